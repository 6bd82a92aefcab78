from __future__ import annotations

from nexus_tui.app import NexusApp
from nexus_tui.process.screen import Screen
from tests.tui.fleet import fixed_now
from tests.tui.screen import screen_text
from tests.tui.staged import make_stage
from tests.waiting import until


async def test_what_others_tell_is_in_the_last_line_while_there_is_a_screen() -> None:
    screen = Screen()
    screen.notice("nobody sees this")
    app = NexusApp(make_stage().source, now=fixed_now)

    async with app.run_test(size=(120, 36)):
        screen.app = app
        screen.notice("SIGHUP: config reloaded\x1b[2J")
        await until(lambda: "SIGHUP: config reloaded\\x1b" in screen_text(app))
