"""What a narrow terminal must not lose."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot

from nexus_tui.app import NexusApp
from tests.tui.fleet import fixed_now
from tests.tui.screen import screen_text, until
from tests.tui.staged import make_stage


async def press(pilot: Pilot[None], *keys: str) -> str:
    for key in keys:
        await pilot.press(key)
        await pilot.pause()
    assert isinstance(pilot.app, NexusApp)
    return screen_text(pilot.app)


@pytest.mark.parametrize("size", [(59, 15), (80, 24), (120, 36)])
async def test_every_field_of_the_explain_form_is_whole(size: tuple[int, int]) -> None:
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=size) as pilot:
        text = await press(pilot, "x", "shift+tab", "left")  # to the last backend

    for field in ("zone [any]", "tier [3]", "stream [yes]", "tools [no]", "backend [exo-lab]"):
        assert field in text


async def test_the_explain_form_follows_the_terminal_s_width() -> None:
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        wide = await press(pilot, "x")
        await pilot.resize_terminal(59, 15)
        await until(lambda: "backend [any]" in screen_text(app))
        narrow = screen_text(app).splitlines()

    assert "tools [no]   backend [any]" in wide
    assert narrow[3].strip() == "backend [any]"
    assert "── Route ──" in narrow[4]
