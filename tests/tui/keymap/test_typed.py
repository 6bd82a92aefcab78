"""Keys typed in one burst: each reaches what the one before it opened, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from textual import events
from textual.keys import _character_to_key
from textual.widgets import Input

from nexus_core.control.commands import Command, Outcome
from nexus_tui.app import NexusApp
from nexus_tui.screens.help import HelpScreen
from nexus_tui.screens.palette import Palette
from tests.tui.fleet import fixed_now
from tests.tui.staged import Stage, keep_two, make_stage
from tests.waiting import until


def make_app(stage: Stage | None = None) -> NexusApp:
    return NexusApp((stage or make_stage()).source, now=fixed_now)


async def burst(app: NexusApp, keys: str | Sequence[str]) -> None:
    """All at once, as they come from a terminal that had nobody to read it."""
    for key in keys:
        name = _character_to_key(key) if len(key) == 1 else key
        event = events.Key(name, key if len(key) == 1 else None)
        event.set_sender(app)
        app.post_message(event)


def entered(app: NexusApp) -> str:
    focused = app.focused
    return focused.value if isinstance(focused, Input) else ""


async def test_a_slash_right_after_the_question_mark_searches_in_the_help() -> None:
    app = make_app()

    async with app.run_test(size=(120, 36)):
        await burst(app, "2?/panic")
        await until(lambda: isinstance(app.screen, HelpScreen) and entered(app) == "panic")

        assert app.tab.filtered is not None
        assert app.tab.filtered.current().text == ""


async def test_what_is_typed_after_the_colon_is_the_command() -> None:
    app = make_app()

    async with app.run_test(size=(120, 36)):
        await burst(app, ":theme nexus-light")
        await until(lambda: entered(app) == "theme nexus-light")

        assert isinstance(app.screen, Palette)


async def test_keys_after_a_command_reach_what_it_opened() -> None:
    app = make_app()

    async with app.run_test(size=(120, 36)):
        await burst(app, [*":tab.backends", "enter", "/", *"vllm"])
        await until(lambda: app.tab.id == "backends" and entered(app) == "vllm")


async def test_a_command_that_opens_something_gets_the_keys_behind_it() -> None:
    app = make_app()

    async with app.run_test(size=(120, 36)):
        await burst(app, [*":help", "enter", "/", *"panic"])
        await until(lambda: isinstance(app.screen, HelpScreen) and entered(app) == "panic")


async def test_a_letter_after_the_sort_key_chooses_the_column_and_the_next_key_is_the_lists() -> (
    None
):
    app = make_app()

    async with app.run_test(size=(120, 36)):
        await burst(app, "2soT")
        await until(lambda: app.theme != "nexus-dark")

        assert app.tabs.requests.list.sorting.column == "total"
        assert len(app.screen_stack) == 1


async def test_what_is_typed_after_the_slash_is_the_filter_and_after_enter_the_lists() -> None:
    app = make_app()

    async with app.run_test(size=(120, 36)):
        await burst(app, [*"2/status:200", "enter", *"3"])
        await until(lambda: app.tab.id == "backends")
        filtered = app.tabs.requests.filtered

        assert filtered is not None
        assert filtered.current().text == "status:200"


async def test_a_replay_is_cancelled_in_the_burst_that_asked_for_it() -> None:
    stage = make_stage()
    keep_two(stage)
    app = make_app(stage)

    async with app.run_test(size=(120, 36)):
        await burst(app, [*"2jjjr", "escape", *"4"])
        await until(lambda: app.tab.id == "zones")

        assert len(app.screen_stack) == 1


async def test_a_paste_keeps_its_place_among_the_keys() -> None:
    app = make_app()

    async with app.run_test(size=(120, 36)):
        await burst(app, "2/")
        paste = events.Paste("model:gpt-4 ")
        paste.set_sender(app)
        app.post_message(paste)
        await burst(app, "live")
        await until(lambda: entered(app) == "model:gpt-4 live")


async def test_a_slow_command_holds_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make_stage()
    app = make_app(stage)
    answer = asyncio.Event()

    carry_out = stage.source.command

    async def slow(command: Command) -> Outcome:
        await answer.wait()
        return await carry_out(command)

    monkeypatch.setattr(stage.source, "command", slow)
    async with app.run_test(size=(120, 36)) as pilot:
        loop = asyncio.get_running_loop()
        started = loop.time()
        await burst(app, "3P4")
        await until(lambda: app.tab.id == "zones")

        assert loop.time() - started < 1  # no key waits that long
        answer.set()
        await pilot.pause()
