from __future__ import annotations

from nexus_core.observe.log_ring import LogLine
from nexus_tui.app import NexusApp
from tests.tui.fake_gateway import NOW
from tests.tui.fleet import fixed_now
from tests.tui.screen import paint_round, press, screen_text, still
from tests.tui.staged import make_logs, make_stage
from tests.tui.test_states import make_app
from tests.waiting import until


async def test_a_warning_is_in_the_last_line_and_nowhere_else() -> None:
    logs = make_logs()
    logs.last_warning = None
    app = NexusApp(make_stage().source, now=fixed_now, logs=logs)

    async with app.run_test(size=(120, 36)) as pilot:
        await until(lambda: "a81f7f" in screen_text(app) and "17 req/s" in screen_text(app))
        before = (await still(pilot)).splitlines()
        logs.add(LogLine(NOW, "info", "x", "quiet"))
        paint_round(app)
        await pilot.pause()
        assert screen_text(app).splitlines() == before

        logs.add(LogLine(NOW, "error", "nexus_core.proxy", "[/] it broke"))
        paint_round(app)
        await pilot.pause()
        after = screen_text(app).splitlines()

    assert after[:-1] == before[:-1]
    assert after[-1].strip() == "[/] it broke"


async def test_the_log_is_narrowed_by_level_and_words() -> None:
    app = make_app(make_stage())

    async with app.run_test(size=(120, 36)) as pilot:
        everything = await press(pilot, "6")
        words = await press(pilot, "/", *"health", "enter")
        warnings = await press(pilot, "v", "v")
        cleared = await press(pilot, "escape")

    assert "released slot" in everything
    assert "vllm-a now=healthy" in words
    assert "released slot" not in words
    assert "exo-lab now=unhealthy" in warnings
    assert "vllm-a" not in warnings
    assert "answered 529" in cleared


async def test_the_log_follows_until_the_cursor_is_moved() -> None:
    logs = make_logs()
    app = NexusApp(make_stage().source, now=fixed_now, logs=logs)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6", "k")
        for number in range(60):
            logs.add(LogLine(NOW, "info", "x", f"line {number}"))
        app.painter.paint()
        stayed = await press(pilot)
        newest = await press(pilot, "f")

    assert "answered 529" in stayed
    assert "line 59" not in stayed
    assert "line 59" in newest


async def test_enter_shows_the_whole_of_a_long_line() -> None:
    logs = make_logs()
    logs.add(LogLine(NOW, "error", "x", "it broke\\x0aTraceback: " + "deep " * 60 + "end [/]"))
    app = NexusApp(make_stage().source, now=fixed_now, logs=logs)

    async with app.run_test(size=(120, 36)) as pilot:
        cut = await press(pilot, "6")
        whole = await press(pilot, "enter")

    assert "end [/]" not in cut
    assert "end [/]" in whole
    assert "error x at 14:02:31" in whole


async def test_a_warning_of_long_ago_is_no_news() -> None:
    logs = make_logs()
    logs.add(LogLine(NOW - 3 * 86_400, "error", "x", "it broke"))
    app = NexusApp(make_stage().source, now=fixed_now, logs=logs)

    async with app.run_test(size=(120, 36)) as pilot:
        paint_round(app)
        first = await press(pilot)
        listed = await press(pilot, "6")

    assert "it broke" not in first
    assert "it broke" in listed


async def test_a_warning_waits_until_an_outcome_has_had_its_time() -> None:
    logs = make_logs()
    logs.last_warning = None
    app = NexusApp(make_stage().source, now=fixed_now, logs=logs)

    async with app.run_test(size=(120, 36)) as pilot:
        app.notice("done")
        logs.add(LogLine(NOW, "error", "x", "it broke"))
        paint_round(app)
        during = await press(pilot)
        app._notices._clear("done")
        paint_round(app)
        after = await press(pilot)

    assert "done" in during.splitlines()[-1]
    assert after.splitlines()[-1].strip() == "it broke"
