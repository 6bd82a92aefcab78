"""Read the screen of a running app as text, and wait for what must come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from nexus_tui.app import NexusApp


def screen_text(app: NexusApp) -> str:
    """What is on the screen, line by line."""
    height = app.size.height
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips[:height])


async def until(claim: Callable[[], bool], seconds: float = 20.0) -> None:
    """Let the loop run until the claim holds."""
    async with asyncio.timeout(seconds):
        while not claim():  # noqa: ASYNC110  the screen has no event of its own
            await asyncio.sleep(0.005)
