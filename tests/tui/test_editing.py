"""A request is edited before it is replayed: inside the dashboard, or by the user's editor."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from textual.widgets import TextArea

from nexus_core.control.commands import ReplayRequest
from nexus_tui.app import NexusApp
from nexus_tui.draw.foreground import NoProgramError
from tests.tui.fleet import Story, fixed_now, publish
from tests.tui.screen import press, screen_text
from tests.tui.staged import Stage, captured, make_stage, streamed
from tests.tui.test_reading import without_terminal
from tests.waiting import until

BODY = json.dumps({"model": "llama3:70b", "messages": [{"role": "user", "content": "hi"}]}).encode()


def make(*, is_restricted: bool = False) -> Stage:
    stage = make_stage(plays=False)
    publish(stage.gateway, "first", Story(0, "llama3:70b", "vllm-a"))
    kept = captured("first", streamed("an answer"), BODY)
    stage.kept["first"] = replace(kept, is_restricted=is_restricted)
    return stage


def area(app: NexusApp) -> TextArea:
    return app.screen.query_one(TextArea)


def replays(stage: Stage) -> list[ReplayRequest]:
    return [one for one in stage.gateway.commands if isinstance(one, ReplayRequest)]


async def test_an_edited_request_is_sent_in_place_of_the_original() -> None:
    stage = make()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "r", "e")
        assert "Edit first" in text
        area(app).text = area(app).text.replace("hi", "something else")
        text = await press(pilot, "ctrl+o")
        assert "Edited. Whatever bound the original binds it as well." in text
        await press(pilot, "enter")
        await until(lambda: len(replays(stage)) == 1)

    (sent,) = replays(stage)
    assert sent.edited is not None
    assert json.loads(sent.edited.body)["messages"][0]["content"] == "something else"
    assert sent.edited.min_tier == 3  # as the original's header says


async def test_a_fault_is_told_and_the_text_stays() -> None:
    stage = make()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "r", "e")
        area(app).text = area(app).text.replace('"body": {', '"body": {{')
        wrong = area(app).text
        text = await press(pilot, "ctrl+o")
        assert "line 5: Expecting property name" in text
        assert area(app).text == wrong
        asked = await press(pilot, "escape")
        assert "esc again discards it" in asked
        text = await press(pilot, "escape")
        assert "Replay first" in text
        assert "The replay is pinned" in text
    assert replays(stage) == []


async def test_where_the_edited_model_is_not_served_the_backend_says_so() -> None:
    stage = make()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "r", "e")
        area(app).text = area(app).text.replace("llama3:70b", "gpt-4o")
        text = await press(pilot, "ctrl+o")

    assert "vllm-a  does not serve gpt-4o" in text


async def test_the_user_s_editor_is_taken_where_there_is_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def edit(_: object, command: list[str], text: str, suffix: str) -> str:
        assert (command, suffix) == (["vi", "-n"], ".json")
        return text.replace("hi", "edited")

    monkeypatch.setenv("EDITOR", "vi -n")
    monkeypatch.setattr("nexus_tui.actions.requests.replay.edit", edit)
    stage = make()
    app = NexusApp(stage.source, now=fixed_now)
    app.on_terminal = without_terminal  # type: ignore[method-assign]

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "r", "e")
        assert "Edited." in text
        await press(pilot, "enter")
        await until(lambda: len(replays(stage)) == 1)

    sent = replays(stage)[0].edited
    assert sent is not None
    assert b"edited" in sent.body


@pytest.mark.parametrize("left", ["{", None])
async def test_what_an_editor_left_wrong_is_mended_inside(
    monkeypatch: pytest.MonkeyPatch, left: str | None
) -> None:
    async def edit(*_: object) -> str:
        if left is None:
            raise NoProgramError("vi: not found")
        return left

    monkeypatch.setenv("VISUAL", "vi")
    monkeypatch.setattr("nexus_tui.actions.requests.replay.edit", edit)
    app = NexusApp(make().source, now=fixed_now)
    app.on_terminal = without_terminal  # type: ignore[method-assign]

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "r", "e")
        assert ("vi: not found" if left is None else "line 1: Expecting") in text
        assert (left or "llama3:70b") in area(app).text


async def test_a_restricted_body_is_never_given_to_an_editor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def edit(*_: object) -> str:
        raise AssertionError("it would be in a file")

    monkeypatch.setenv("EDITOR", "vi")
    monkeypatch.setattr("nexus_tui.actions.requests.replay.edit", edit)
    app = NexusApp(make(is_restricted=True).source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "r", "e")
        assert "llama3:70b" in area(app).text


async def test_a_body_that_is_no_json_can_not_be_edited() -> None:
    stage = make()
    stage.kept["first"] = replace(stage.kept["first"], body=b"no json")
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "r", "e")
        assert "Replay first" in screen_text(app)
        text = await press(pilot, "escape")

    assert "can't be edited: its body is not JSON" in text
