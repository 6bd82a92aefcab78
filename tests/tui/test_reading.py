"""Reading in the detail of a request: search, forms of a body, a running answer, the pager."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import pytest
from textual.pilot import Pilot

from nexus_tui.app import NexusApp
from nexus_tui.draw.foreground import Terminal
from tests.tui.fleet import Story, fixed_now, publish
from tests.tui.screen import press, screen_text
from tests.tui.staged import Stage, captured, keep_two, make_stage, streamed
from tests.waiting import until

T = TypeVar("T")
LONG = "\n".join(f"line {number} says needle" if number % 40 == 39 else f"line {number}"
                 for number in range(200))  # fmt: skip


async def without_terminal(use: Callable[[Any], Awaitable[T]]) -> T:
    """Of the app, for programs that are not run."""
    return await use(None)


def has(given: list[object], number: int) -> bool:
    return len(given) == number


@asynccontextmanager
async def reading(
    stage: Stage, size: tuple[int, int] = (120, 36)
) -> AsyncGenerator[tuple[NexusApp, Pilot[None]]]:
    """The answer of a request, in full."""
    app = NexusApp(stage.source, now=fixed_now)
    async with app.run_test(size=size) as pilot:
        await press(pilot, *"jjj", "enter", "tab")
        await until(lambda: app.tabs.requests.detail.kept is not None)
        await pilot.pause()
        yield app, pilot


def stage_with(answer: str) -> Stage:
    stage = make_stage()
    keep_two(stage)
    stage.kept["a81f7c"] = captured("a81f7c", answer.encode())
    return stage


async def search(pilot: Pilot[None], text: str) -> str:
    await press(pilot, "/")
    await pilot.pause()
    return await press(pilot, *text, "enter")


@pytest.mark.parametrize("size", [(120, 36), (80, 24)])
async def test_a_text_is_found_and_n_goes_from_place_to_place(size: tuple[int, int]) -> None:
    async with reading(stage_with(LONG), size) as (app, pilot):
        found = await search(pilot, "needle")
        second = await press(pilot, "n")
        first = await press(pilot, "N")
        last = await press(pilot, "N")

        assert "search: needle ── 1 of 5" in found
        assert "line 39 says needle" in found
        assert "2 of 5" in second
        assert "line 79 says needle" in second
        assert "1 of 5" in first
        assert "5 of 5" in last
        assert "line 199 says needle" in last
        assert app.view.filter.text == ""


async def test_escape_ends_the_search_and_then_the_detail() -> None:
    async with reading(stage_with(LONG)) as (app, pilot):
        await search(pilot, "needle")
        text = await press(pilot, "escape")
        assert "search:" not in text
        assert app.tabs.requests.is_open
        await press(pilot, "escape")
        assert not app.tabs.requests.is_open


async def test_what_is_not_there_is_said_to_be_not_there() -> None:
    async with reading(stage_with(LONG)) as (_, pilot):
        text = await search(pilot, "haystack")
        assert "search: haystack ── not found" in text
        assert "not found: haystack" in await press(pilot, "n")


async def test_the_answer_is_shown_as_text_as_json_and_raw() -> None:
    stage = make_stage()
    keep_two(stage)
    async with reading(stage) as (_, pilot):
        shown = [await press(pilot), await press(pilot, "v"), await press(pilot, "v")]
        again = await press(pilot, "v")

    assert "The sky is blue because" in shown[0]
    assert '"content": "The "' in shown[1]
    assert 'data: {"choices"' in shown[2]
    assert "The sky is blue because" in again


async def test_the_request_is_shown_as_json_and_raw() -> None:
    stage = make_stage()
    keep_two(stage)
    async with reading(stage) as (_, pilot):
        pretty = await press(pilot, "tab")
        raw = await press(pilot, "v")

    assert '"role": "user"' in pretty
    assert '{"model":"gpt-4","messages":[{"role":"user"' in raw


async def test_an_answer_that_runs_grows_on_the_screen() -> None:
    stage = make_stage(plays=False)
    publish(stage.gateway, "r1", Story(0, "gpt-4o", "openai", total_ms=None, tokens=None))
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "enter", "tab")
        stage.kept["r1"] = captured("r1", streamed("first words"))
        await until(lambda: "first words" in screen_text(app))
        stage.kept["r1"] = captured("r1", streamed("first words and more"))
        await until(lambda: "first words and more" in screen_text(app))


async def test_the_end_of_an_answer_that_runs_stays_in_sight() -> None:
    stage = make_stage(plays=False)
    publish(stage.gateway, "r1", Story(0, "gpt-4o", "openai", total_ms=None, tokens=None))
    stage.kept["r1"] = captured("r1", LONG.encode())
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "enter", "tab")
        await until(lambda: "line 1" in screen_text(app))
        await press(pilot, "G")
        stage.kept["r1"] = captured("r1", f"{LONG}\nthe newest line".encode())
        await until(lambda: "the newest line" in screen_text(app))


async def test_a_test_terminal_can_not_be_given_to_a_pager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAGER", "cat")
    async with reading(stage_with(LONG)) as (app, pilot):
        await press(pilot, "|")
        await until(lambda: "there is no terminal for another program" in screen_text(app))


async def test_the_pager_gets_the_whole_text_and_a_restricted_one_is_kept_from_files(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[object] = []

    async def run(_: Terminal, command: list[str], **options: object) -> int:
        given.append((command, options))
        return 0

    monkeypatch.setattr("nexus_tui.actions.requests.reading.run", run)
    monkeypatch.setenv("PAGER", "less -S")
    stage = make_stage()
    keep_two(stage)
    kept = captured("a81f7c", b"x" * 100_000 + b"\x1b[2J")
    async with reading(stage) as (app, pilot):
        app.on_terminal = without_terminal  # type: ignore[method-assign]
        detail = app.tabs.requests.detail
        for number, is_restricted in enumerate((False, True), 1):
            detail.kept = replace(kept, is_restricted=is_restricted)
            await press(pilot, "|")
            await until(partial(has, given, number))

    text = "x" * 100_000 + "\\x1b[2J\n"
    assert given == [
        (["less", "-S"], {"stdin": text, "environ": {}}),
        (["less", "-S"], {"stdin": text, "environ": {"LESSSECURE": "1"}}),
    ]
