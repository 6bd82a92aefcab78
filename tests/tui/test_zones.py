"""The zones on the screen: cut at once, opened after a question, and what the banner says."""

from __future__ import annotations

import pytest

from nexus_core.control.commands import (
    Command,
    Outcome,
    SwitchBackend,
)
from nexus_core.errors import InvalidRequestError
from nexus_core.types import PrivacyZone
from tests.tui.fleet import Story, publish
from tests.tui.screen import press, screen_text
from tests.tui.staged import make_stage
from tests.tui.test_states import make_app
from tests.waiting import until


async def test_the_open_zone_is_cut_at_once_and_opened_only_after_a_question() -> None:
    stage = make_stage()
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "2", "!")
        await until(lambda: "OPEN ZONE CUT" in screen_text(app))
        assert not stage.source.is_zone_enabled(PrivacyZone.OPEN)

        asked = await press(pilot, "!")
        assert "Open the open zone again?" in asked
        await press(pilot, "enter")  # the default is No
        assert not stage.source.is_zone_enabled(PrivacyZone.OPEN)

        await press(pilot, "!")
        await until(lambda: "zone again?" in screen_text(app))
        await press(pilot, "y")
        await until(lambda: stage.source.is_zone_enabled(PrivacyZone.OPEN))


async def test_a_zone_that_is_closed_for_want_of_the_fleet_s_word_is_not_said_to_be_on() -> None:
    stage = make_stage()
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        before = await press(pilot, "4")
        stage.gateway.registry.set_cut_off("the workers' store")
        app.painter.paint()
        closed = await press(pilot)

    assert [zone_line(text) for text in (before, closed)] == ["● on", "✗ closed, alone"]


async def test_a_zone_says_when_nothing_of_it_serves_and_what_that_means() -> None:
    app, empty = make_app(make_stage()), make_app(make_stage(is_empty=True))

    async with app.run_test(size=(120, 36)) as pilot:
        for one in app.frames.current.of_zone(PrivacyZone.OPEN):
            await app.source.command(SwitchBackend(backend=one.snapshot.name, enabled=False))
        unusable = await press(pilot, "4")
    async with empty.run_test(size=(120, 36)) as pilot:
        none = await press(pilot, "4")

    assert [zone_line(text) for text in (unusable, none)] == ["● on, 0 usable", "○ empty"]
    assert "no backend: nothing is sent to a cloud" in none
    assert "no backend: requests that must stay are refused" in none


def zone_line(text: str) -> str:
    line = next(one for one in text.splitlines() if one.startswith((" OPEN ", "▌OPEN ")))
    return line[12:27].strip()


async def test_the_zone_is_cut_from_within_a_dialog_too() -> None:
    stage = make_stage()
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "y", "!")
        await until(lambda: not stage.source.is_zone_enabled(PrivacyZone.OPEN))


async def test_the_banner_counts_what_the_cut_did() -> None:
    stage = make_stage()
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "1")
        stage.gateway.cut_open_zone()
        publish(stage.gateway, "local", Story(1, "llama3:70b", "vllm-a"))
        for tab in "123456":
            text = await press(pilot, tab)
            assert (
                "OPEN ZONE CUT 14:02:11: 2 requests ended, 0 refused by the cut, 1 answered" in text
            )
            assert "O✗" in text


async def test_only_a_cut_that_this_screen_asked_for_is_by_you() -> None:
    stage = make_stage()
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "!")
        await until(lambda: "OPEN ZONE CUT 14:02:31 by you: 0 requests" in screen_text(app))
        await press(pilot, "!")
        await until(lambda: "zone again?" in screen_text(app))
        await press(pilot, "y")
        await until(lambda: stage.source.is_zone_enabled(PrivacyZone.OPEN))
        stage.gateway.cut_open_zone()
        await until(lambda: "OPEN ZONE CUT 14:02:11: 2 requests" in screen_text(app))


async def test_a_cut_that_failed_claims_no_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make_stage()
    app = make_app(stage)

    async def refuse(_: Command) -> Outcome:
        raise InvalidRequestError("not now")

    async with app.run_test(size=(120, 36)) as pilot:
        monkeypatch.setattr(stage.source, "command", refuse)
        await press(pilot, "!")
        await until(lambda: "not now" in screen_text(app))
        stage.gateway.cut_open_zone()
        await until(lambda: "OPEN ZONE CUT 14:02:11: 2 requests" in screen_text(app))


async def test_the_restricted_zone_is_switched_off_only_after_a_question() -> None:
    stage = make_stage()
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        asked = await press(pilot, "4", "k", "space")
        assert "No other backend serves llama3:70b, qwen2.5:7b" in asked
        await press(pilot, "n")
        assert stage.source.is_zone_enabled(PrivacyZone.RESTRICTED)
        await press(pilot, "space", "y")
        await until(lambda: "RESTRICTED ZONE CUT" in screen_text(app))


async def test_a_cut_may_let_streams_run_out() -> None:
    stage = make_stage()
    tui = stage.gateway.config.tui.model_copy(update={"panic": "drain"})
    stage.gateway.config = stage.gateway.config.model_copy(update={"tui": tui})
    app = make_app(stage)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "!")
        await until(lambda: bool(stage.gateway.commands))

    assert getattr(stage.gateway.commands[0], "end_running", None) is False
