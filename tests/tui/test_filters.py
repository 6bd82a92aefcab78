"""The filter on the screen: every list has one, and says what it makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual import events

from nexus_core.observe.events import Attempt
from nexus_core.types import RouteReason
from nexus_tui.app import NexusApp
from tests.tui.fake_gateway import NOW, FakeGateway
from tests.tui.fleet import Story, fixed_now, make_source, publish, refuse
from tests.tui.screen import paint_round, press
from tests.tui.staged import make_stage
from tests.tui.test_states import make_app

FAILED = (Attempt(backend="exo-lab", error="answered 500", status=500, elapsed_ms=80),)
OVER = RouteReason.BACKEND_FAILOVER
STORIES = {
    "fine": Story(5, "m-fine", "vllm-a", first_ms=100, total_ms=400),
    "over": Story(30, "m-over", "openai", OVER, failed=FAILED),
    "over-old": Story(90, "m-over-old", "openai", OVER, failed=FAILED),
    "dear": Story(40, "gpt-4o", "openai", tokens=(40_000, 200)),
    "late": Story(41, "m-late", "vllm-a", first_ms=1240.0, total_ms=4000),
    "lost": Story(42, "m-lost", None, None, status=404, first_ms=None, error="no such model"),
    "down": Story(43, "m-down", None, None, status=503, first_ms=None, error="nobody is there"),
    "cut": replace(Story(44, "m-cut", "vllm-a"), error="the answer ended early"),
}


def make() -> tuple[NexusApp, FakeGateway]:
    source, gateway = make_source(plays=False)
    for name, story in STORIES.items():
        publish(gateway, name, story)
    refuse(gateway)
    return NexusApp(source, now=fixed_now), gateway


def shown(app: NexusApp) -> set[str]:
    return {row.request_id for row in app.view.view}


QUESTIONS = {
    "which failed over in the last minute": ("reason:failover last:1m", {"over"}),
    "what cost more than a cent": ("cost:>0.01", {"dear"}),
    "everything of one client key": ("key:ci status:404", {"lost"}),
    "slowest first byte": ("first:>1s", {"late"}),
    "only broken streams": ("cut", {"cut"}),
    "4xx or 5xx in one go": ("status:4xx,5xx", {"lost", "down", "a81bff"}),
    "fast ones": ("slow:<500ms", {"fine"}),
    "what did clients abandon": ("left", set()),
    "big prompts": ("tokens:>2k", {"dear"}),
    "one id from a log line": ("id:ver-o", {"over-old"}),
}


@pytest.mark.parametrize("question", QUESTIONS)
async def test_an_operators_questions_are_answered(question: str) -> None:
    text, expected = QUESTIONS[question]
    app, _ = make()

    async with app.run_test(size=(120, 36)) as pilot:
        screen = await press(pilot, "2", "slash", *text, "enter")

    assert shown(app) == expected
    assert f"filter: {text} ── {len(expected)} of {len(STORIES) + 1}" in screen


async def test_an_unknown_key_is_told_while_it_is_typed_and_never_as_no_match() -> None:
    app, _ = make()

    async with app.run_test(size=(120, 36)) as pilot:
        typed = await press(pilot, "2", "slash", *"staus:5xx")
        entered = await press(pilot, "enter")

    told = 'unknown key "staus"; did you mean "status"?'
    assert [told in line for line in typed.splitlines()[-2:]] == [True, False]
    assert told in entered
    assert "Nothing matches" not in typed + entered
    assert shown(app) == set()


async def test_a_name_that_nothing_has_is_told_and_shown_once_it_comes() -> None:
    app, gateway = make()

    async with app.run_test(size=(120, 36)) as pilot:
        typed = await press(pilot, "2", "slash", *"model:m-nwe", "enter")
        before = shown(app)
        publish(gateway, "new", Story(0, "m-nwe", "openai"))
        app.painter.paint()

    assert 'model: none is called "m-nwe"; did you mean' in typed
    assert (before, shown(app)) == (set(), {"new"})


async def test_a_model_with_a_colon_is_a_word() -> None:
    app, gateway = make()
    publish(gateway, "tag", Story(0, "llama3:70b", "vllm-a"))

    async with app.run_test(size=(120, 36)) as pilot:
        screen = await press(pilot, "2", "slash", *"llama3:70b")

    assert shown(app) == {"tag"}
    assert "unknown" not in screen


async def test_rows_leave_by_time_alone() -> None:
    source, gateway = make_source(plays=False)
    publish(gateway, "fine", Story(5, "m", "vllm-a"))
    time = NOW
    app = NexusApp(source, now=lambda: time)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", "slash", *"last:1m", "enter")
        before = shown(app)
        time += 60
        paint_round(app)

    assert (before, shown(app)) == ({"fine"}, set())


async def test_the_key_that_is_being_typed_is_explained_and_completed() -> None:
    app, _ = make()

    async with app.run_test(size=(120, 36)) as pilot:
        suggested = await press(pilot, "2", "slash", *"sta")
        await press(pilot, "tab")
        after_tab = app.focused
        explained = await press(pilot, *">=4")
        await press(pilot, *"00 backend:vl", "tab", "enter")

    assert "status:" in suggested.splitlines()[-2]
    assert after_tab is not None
    assert "HTTP status, or a class of them:  503  5xx  >=400" in explained.splitlines()[-2]
    assert app.view.filter.text == "status:>=400 backend:vllm-a"


async def test_earlier_filters_come_back() -> None:
    app, _ = make()

    async def typed(*keys: str) -> str:
        await press(pilot, *keys)
        return app.view.filter.text

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", "slash", *"left", "enter", "slash", "ctrl+u", *"cut", "enter")
        assert await typed("slash", "ctrl+u", *"live") == "live"
        assert await typed("up") == "cut"
        assert await typed("up") == "left"
        assert await typed("up") == "left"
        assert await typed("down") == "cut"
        assert await typed("down") == "live"  # what was not entered yet
        assert await typed("up", "up", "enter") == "left"
        assert await typed("slash", "up") == "cut"  # what is in force is not offered
        await press(pilot, "escape")
        assert await typed("6", "slash", "up", "escape", "2") == ""  # the log has its own


async def test_a_page_that_is_pasted_is_no_filter() -> None:
    app, _ = make()

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "slash", *"cut")
        app.post_message(events.Paste(" or left"))
        app.post_message(events.Paste("word " * 1000))
        await press(pilot, "enter")

    assert app.view.filter.text == "cut or left"


async def test_ten_filters_are_kept() -> None:
    app, _ = make()

    async with app.run_test(size=(120, 36)) as pilot:
        for number in range(12):
            await press(pilot, "slash", "ctrl+u", *f"id:{number:x}", "enter")
        await press(pilot, "slash", *["up"] * 20)

    assert app.view.filter.text == "id:2"


async def test_each_tab_has_its_own_filter_and_escape_clears_it_there() -> None:
    app = make_app(make_stage(has_costs=True))

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", "slash", *"secret", "enter")
        backends = await press(pilot, "3", "slash", *"zone:open !state:auth", "enter")
        costs = await press(pilot, "5", "slash", *"llama", "enter")
        logs = await press(pilot, "6", "slash", *"level:error or 529", "enter")
        cleared = [await press(pilot, "escape"), await press(pilot, "5", "escape")]
        cleared += [await press(pilot, "3", "escape")]
        requests = await press(pilot, "2")

    assert "filter: zone:open !state:auth ── 2 of 7" in backends
    assert "openai-eu" in backends
    assert "vllm-a" not in backends
    assert "filter: llama ── 1 of " in costs
    assert "llama3:70b" in costs
    assert "gpt-4o" not in costs
    assert "filter: level:error or 529" in logs
    assert "released slot" not in logs
    for text, tab in zip(cleared, ("Logs", "Costs", "Backends"), strict=True):
        assert f"── {tab} ──" in text
        assert "filter:" not in text
    assert "filter: secret" in requests


async def test_a_tab_without_a_list_says_so_and_stays() -> None:
    app = make_app(make_stage())

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "4", "slash")

    assert "── Zones ──" in text
    assert "no list to filter" in text.splitlines()[-1]


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (("3", "slash", *"stat:down"), 'unknown key "stat"; did you mean "state"?'),
        (("3", "slash", *"nobody"), "Nothing matches. esc shows all"),
        (("3", "slash", *"name:vlm"), 'name: none is called "vlm"; did you mean "vllm-a"?'),
        (("5", "slash", *"cots:>1"), 'unknown key "cots"; did you mean "cost"?'),
        (("5", "slash", *"nobody"), "Nothing matches. esc shows all"),
        (("6", "slash", *"levl:error"), 'unknown key "levl"; did you mean "level"?'),
        (("6", "slash", *"nobody"), "Nothing matches. esc shows all"),
    ],
)
async def test_every_list_says_why_it_is_empty(keys: tuple[str, ...], told: str) -> None:
    app = make_app(make_stage(has_costs=True))

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, *keys, "enter")

    assert told in text


async def test_the_cursor_stays_on_its_backend_and_unusable_ones_are_filtered_as_well() -> None:
    app = make_app(make_stage())

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "3", *"jj")
        before = app.tabs.backends.table.selected
        await press(pilot, "slash", *"model:qwen", "enter")
        after = app.tabs.backends.table.selected
        unused = await press(pilot, "slash", "ctrl+u", *"state:unused", "enter")

    assert before is not None
    assert after is not None
    assert (before.snapshot.name, after.snapshot.name) == ("lmstudio", "lmstudio")
    assert "1 of 7" in unused
    assert "openai-eu" in unused
    assert app.tabs.backends.table.selected is None
