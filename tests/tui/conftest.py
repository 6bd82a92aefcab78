from __future__ import annotations

import time
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each key Textual's pilot looks whether the app is idle, every 20 ms.

    Half of that is still longer than the 8 ms after which a repaint comes at the latest.
    """
    monkeypatch.setattr("textual._wait.SLEEP_GRANULARITY", 0.011)


@pytest.fixture(autouse=True)
def _fixed_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """UTC and colours, whatever the machine has."""
    monkeypatch.setenv("TZ", "UTC")
    for name in ("NO_COLOR", "VISUAL", "EDITOR", "PAGER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLORTERM", "truecolor")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
