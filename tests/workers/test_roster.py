"""Whom a supervisor asks: a worker that can't be asked now ends nothing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus_core.workers.roster import Roster

SHORTAGE = OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.mark.parametrize(
    "error", [SHORTAGE, ImportError("cannot import"), httpx.ConnectError("refused")], ids=repr
)
async def test_a_worker_is_silent_and_leaves_where_descriptors_are_short(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As httpx fails whose own parts are imported with the first request."""

    async def fail(*_: Any, **__: Any) -> None:
        raise error

    roster = Roster(tmp_path)
    roster.join(1)
    monkeypatch.setattr(httpx.AsyncClient, "send", fail)
    monkeypatch.setattr(httpx.AsyncClient, "aclose", fail)

    assert await roster.each(lambda sibling: sibling.count()) == []
    await roster.learn()
    assert await roster.leave(1) is None
    assert roster.siblings == []
