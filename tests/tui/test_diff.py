"""The diff on the screen: long answers are compared beside the loop, within a bound."""

from __future__ import annotations

import threading

from nexus_tui.app import NexusApp
from nexus_tui.screens.diff import DiffScreen
from nexus_tui.text.diff import Comparison, compare
from tests.tui.fleet import fixed_now
from tests.tui.screen import press, screen_text
from tests.tui.staged import captured, keep_two, make_stage, streamed
from tests.waiting import until

LONG = "".join(f"one-{number} " for number in range(3000))
UNLIKE = "".join(f"other-{number} " for number in range(3000))
KEYS = (*"jjj", "m", *"jjjj", "m", "d")


async def test_a_long_comparison_does_not_hold_the_loop() -> None:
    stage = make_stage()
    app = NexusApp(stage.source, now=fixed_now)
    may_end, threads = threading.Event(), set[int]()

    def slow(left: str, right: str) -> Comparison:
        threads.add(threading.get_ident())
        assert may_end.wait(10)
        return compare(left, right)

    async with app.run_test(size=(120, 36)) as pilot:
        await pilot.pause()
        rows = (app.view.view[0], app.view.view[1])
        left, right = (
            (row, captured(row.request_id, streamed(text)))
            for row, text in zip(rows, (LONG, UNLIKE), strict=True)
        )
        app.push_screen(DiffScreen(app.keymap, left, right, app.alarms, slow))
        await until(lambda: "comparing…" in screen_text(app))
        assert "one-0" not in screen_text(app)
        may_end.set()
        await until(lambda: "-one-0" in screen_text(app))
        assert "some lines are compared as a whole" in screen_text(app)
        await pilot.resize_terminal(100, 30)
        await until(lambda: "-one-0" in screen_text(app))

    assert threads
    assert threading.get_ident() not in threads


async def test_short_answers_are_compared_at_once() -> None:
    stage = make_stage()
    keep_two(stage)
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, *KEYS)
        swapped = await press(pilot, "s")
        await pilot.resize_terminal(80, 24)
        await until(lambda: "+since" not in screen_text(app))

    assert "-because" in text
    assert "+because" in swapped
    assert "as a whole" not in text
