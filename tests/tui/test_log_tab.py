from __future__ import annotations

import pytest

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
    assert after[-1].rstrip().endswith("│ [/] it broke")
    assert "? help  : command  q quit" in after[-1]


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
    assert "it broke" not in during.splitlines()[-1]
    assert after.splitlines()[-1].rstrip().endswith("│ it broke")


async def test_enter_on_a_line_of_a_request_opens_it_and_esc_leads_back() -> None:
    stage, logs = make_stage(), make_logs()
    request = stage.source.requests.newest(3)[2]
    logs.add(LogLine(NOW, "warning", "nexus_core.proxy", "it broke", request.request_id))
    app = NexusApp(stage.source, now=fixed_now, logs=logs)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "6")
        opened = await press(pilot, "enter")
        back = await press(pilot, "escape")
        whole = await press(pilot, "space")

    assert f"Request {request.request_id}" in opened
    assert "── Logs ──" in back
    assert "warning nexus_core.proxy at 14:02:31" in whole


async def test_a_request_that_is_no_longer_kept_is_told_with_the_whole_line() -> None:
    logs = make_logs()
    logs.add(LogLine(NOW, "warning", "x", "it broke", "0123456789abcdef"))
    app = NexusApp(make_stage().source, now=fixed_now, logs=logs)

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "6", "enter")

    assert "it broke" in text
    assert "Request 0123456789abcdef is no longer kept." in text


async def test_what_was_said_is_kept_among_the_lines_of_the_log() -> None:
    app = NexusApp(make_stage().source, now=fixed_now, logs=make_logs())

    async with app.run_test(size=(120, 36)) as pilot:
        app.notice("vllm-a is off until restart")
        text = await press(pilot, "6")

    assert "14:02:31 notice   vllm-a is off until restart" in text
    assert text.index("released slot") < text.index("notice   vllm-a is off")


async def test_a_line_begins_with_what_is_said_and_ends_with_who_says_it() -> None:
    app = NexusApp(make_stage().source, now=fixed_now, logs=make_logs())

    async with app.run_test(size=(200, 36)) as pilot:
        wide = await press(pilot, "6")
    narrow_app = NexusApp(make_stage().source, now=fixed_now, logs=make_logs())
    async with narrow_app.run_test(size=(120, 36)) as pilot:
        narrow = await press(pilot, "6")

    line = next(line for line in wide.splitlines() if "exo-lab now=unhealthy" in line)
    assert line.startswith(" 14:01:33 warning  health backend=exo-lab now=unhealthy")
    assert line.rstrip().endswith("  fleet.health")
    assert "fleet.health" not in narrow


@pytest.mark.parametrize("width", [60, 80, 120, 200])
async def test_what_was_asked_for_is_said_whole_where_there_is_room(width: int) -> None:
    app = NexusApp(make_stage().source, now=fixed_now, logs=make_logs())

    async with app.run_test(size=(width, 24)) as pilot:
        await press(pilot)
        app.notice("vllm-a is off until restart")
        await until(lambda: "│ vllm-a is off until restart" in screen_text(app))
        last = screen_text(app).splitlines()[-1]

    assert "? help  : command  q quit" in last


async def test_a_click_on_a_hint_beside_a_notice_is_the_key() -> None:
    app = NexusApp(make_stage().source, now=fixed_now, logs=make_logs())

    async with app.run_test(size=(120, 24)) as pilot:
        app.notice("done")
        text = await press(pilot, "6")
        at = text.splitlines()[-1].index("? help")
        await pilot.click("HintBar", offset=(at, 0))
        await until(lambda: "Help" in screen_text(app))
