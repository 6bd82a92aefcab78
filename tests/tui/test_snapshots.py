from __future__ import annotations

from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from nexus_tui.app import NexusApp
from tests.tui.fleet import fixed_now, make_source

SIZES = [(120, 36), (80, 24), (60, 15)]
SCREENS: dict[str, tuple[str, ...]] = {
    "dashboard": (),
    "requests": ("2", "j"),
    "detail": ("2", "j", "j", "j", "enter"),
    "backends": ("3", "j", "j"),
}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("keys", SCREENS.values(), ids=SCREENS.keys())
def test_screen(
    snap_compare: Callable[..., bool], keys: tuple[str, ...], size: tuple[int, int]
) -> None:
    source, _ = make_source(is_demo=True)

    assert snap_compare(NexusApp(source, now=fixed_now), press=keys, terminal_size=size)


def test_empty(snap_compare: Callable[..., bool]) -> None:
    source, _ = make_source(is_empty=True)

    assert snap_compare(NexusApp(source, now=fixed_now), terminal_size=(80, 24))


def test_help(snap_compare: Callable[..., bool]) -> None:
    source, _ = make_source()

    async def open_help(pilot: Pilot[None]) -> None:
        await pilot.press("question_mark")
        await pilot.pause()

    app = NexusApp(source, now=fixed_now)
    assert snap_compare(app, run_before=open_help, terminal_size=(100, 50))


def test_without_colours(
    snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    source, _ = make_source(is_demo=True)

    assert snap_compare(NexusApp(source, now=fixed_now), press=("2", "j"), terminal_size=(80, 24))
