"""Read the screen of a running app as text, and wait for what must come."""

from __future__ import annotations

from textual.pilot import Pilot

from nexus_tui.app import NexusApp
from tests.waiting import until


def screen_text(app: NexusApp) -> str:
    """What is on the screen, line by line."""
    height = app.size.height
    strips = app.screen._compositor.render_strips()
    return "\n".join(strip.text for strip in strips[:height])


def paint_round(app: NexusApp) -> None:
    """Take in what happened and paint what changed, as the pacer does."""
    app.painter.intake.collect()
    for slot in app.painter.begin_round():
        for group in slot:
            app.painter.paint_group(group)


async def still(pilot: Pilot[None]) -> str:
    """The screen once the first rounds of painting are over."""
    app = pilot.app
    assert isinstance(app, NexusApp)
    shown = list[str]()

    async def is_same() -> bool:
        await pilot.pause()
        shown.append(screen_text(app))
        return not app.view._dirty and len(shown) > 1 and shown[-1] == shown[-2]

    await until(is_same)
    return shown[-1]


async def press(pilot: Pilot[None], *keys: str) -> str:
    """Press one key after the other; the screen after the last one."""
    app = pilot.app
    assert isinstance(app, NexusApp)
    for key in keys:
        await pilot.press(key)
        await until(lambda: app.typed.is_idle)
        await pilot.pause()
    await until(lambda: not app.painter.is_due)
    await pilot.pause()
    return screen_text(app)
