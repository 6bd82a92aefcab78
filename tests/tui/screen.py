"""Read the screen of a running app as text, and wait for what must come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.pilot import Pilot

from nexus_tui.app import NexusApp


def screen_text(app: NexusApp) -> str:
    """What is on the screen, line by line."""
    height = app.size.height
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips[:height])


def paint_round(app: NexusApp) -> None:
    """Take in what happened and paint what changed, as the pacer does."""
    app.painter.intake.collect()
    for group in app.painter.begin_round():
        app.painter.paint_group(group)


async def until(claim: Callable[[], bool], seconds: float = 20.0) -> None:
    """Let the loop run until the claim holds."""
    async with asyncio.timeout(seconds):
        while not claim():  # noqa: ASYNC110  the screen has no event of its own
            await asyncio.sleep(0.005)


async def press(pilot: Pilot[None], *keys: str) -> str:
    """Press one key after the other; the screen after the last one."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause()
    assert isinstance(pilot.app, NexusApp)
    return screen_text(pilot.app)
