"""Send again, compare, capture: what is done with a request that was kept."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest

from nexus_core.control.commands import Command, Outcome, ReplayRequest, SendRequest
from nexus_core.types import PrivacyZone
from nexus_tui.app import NexusApp
from tests.tui.fleet import Story, fixed_now, publish
from tests.tui.screen import press, screen_text
from tests.tui.staged import Stage, captured, keep_two, make_stage, streamed
from tests.waiting import until


def keep(stage: Stage, request_id: str, story: Story) -> None:
    publish(stage.gateway, request_id, story)
    stage.kept[request_id] = captured(request_id, streamed("an answer"))


async def test_a_request_that_was_not_kept_can_not_be_sent_again() -> None:
    stage = make_stage()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "r")

    assert "can't be replayed. Body capture is off. B starts it" in text
    assert stage.gateway.commands == []


async def test_a_restricted_request_has_no_open_backend_to_go_to() -> None:
    stage = make_stage(plays=False)
    restricted = (("X-Nexus-Privacy-Zone", "restricted"),)
    keep(stage, "secret", Story(1, "gpt-4o", None, None, status=503, headers=restricted))
    keep(stage, "plain", Story(0, "llama3:70b", "vllm-a"))
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "j", "r")
        assert "openai  zone open, the request is restricted" in text
        await press(pilot, *"kkkk", "enter")  # on openai: nothing happens
        assert "Replay secret" in screen_text(app)
    assert not any(isinstance(one, ReplayRequest) for one in stage.gateway.commands)


async def test_a_local_backend_is_asked_at_once_and_a_cloud_after_a_question() -> None:
    stage = make_stage(plays=False)
    keep(stage, "cloudy", Story(1, "gpt-4o", "openai"))
    keep(stage, "local", Story(0, "qwen2.5:7b", "local-llama"))
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "r", "enter")
        await until(
            lambda: (
                ReplayRequest(request_id="local", backend="local-llama") in stage.gateway.commands
            )
        )
        asked = await press(pilot, "j", "r", "enter")  # no other backend could take it
        assert "Send it to openai?" in asked
        await press(pilot, "enter")  # the default is No
        await press(pilot, "r", "enter", "y")
        sent = ReplayRequest(request_id="cloudy", backend="openai")
        await until(lambda: stage.gateway.commands.count(sent) == 1)


@pytest.mark.parametrize("comes_at_once", [True, False])
async def test_a_replay_is_marked_with_its_original_for_the_diff(comes_at_once: bool) -> None:
    stage = make_stage(plays=False)
    keep(stage, "first", Story(0, "llama3:70b", "vllm-a"))

    async def command(command: Command) -> Outcome:
        assert isinstance(command, ReplayRequest)
        begin = partial(publish, stage.gateway, "again", Story(0, "llama3:70b", command.backend))
        if comes_at_once:
            begin()
        else:  # as the gateway does: the request begins after the command is answered
            asyncio.get_running_loop().call_soon(begin)
        stage.kept["again"] = captured("again", streamed("another answer"))
        return Outcome(message="sent", data={"request_id": "again"})

    stage.source.command = command  # type: ignore[method-assign]
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "r", "enter")
        await until(lambda: [row.request_id for row in app.view.marked] == ["first", "again"])
        assert "sent; d compares them" in screen_text(app)
        text = await press(pilot, "d")

    assert "-an answer" in text
    assert "+another answer" in text


async def test_the_backend_that_was_chosen_last_is_the_first_choice() -> None:
    stage = make_stage(plays=False)
    keep(stage, "first", Story(0, "llama3:70b", "vllm-a"))
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "r", "j", "enter")
        again = ReplayRequest(request_id="first", backend="vllm-a")
        await until(lambda: again in stage.gateway.commands)
        await press(pilot, "r", "enter")
        await until(lambda: stage.gateway.commands.count(again) == 2)


async def test_a_replay_under_the_cursor_is_compared_with_its_original() -> None:
    stage = make_stage(plays=False)
    keep(stage, "first", Story(1, "llama3:70b", "vllm-a"))
    keep(stage, "again", Story(0, "llama3:70b", "vllm-a"))
    again = stage.gateway.recent.get("again")
    assert again is not None
    again.replay_of = "first"
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "enter", "d")

    assert "── Diff ──" in text
    assert text.index(" first ") < text.index(" again ")


async def test_a_replay_that_ended_waits_for_no_headers() -> None:
    stage = make_stage(plays=False)
    keep(stage, "again", Story(0, "llama3:70b", "vllm-a"))
    again = stage.gateway.recent.get("again")
    assert again is not None
    again.replay_of, again.answer_headers = "first", b""
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 70)) as pilot:
        text = await press(pilot, "enter")

    assert "none: a replay answers no client" in text
    assert "none yet" not in text


async def test_the_diff_follows_an_answer_that_still_runs() -> None:
    stage = make_stage(plays=False)
    keep(stage, "first", Story(1, "llama3:70b", "vllm-a"))
    publish(stage.gateway, "again", Story(0, "llama3:70b", "vllm-a", total_ms=None, tokens=None))
    stage.kept["again"] = captured("again", streamed("another"))
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "m", "j", "m", "d")
        stage.kept["again"] = captured("again", streamed("another ending"))
        await until(lambda: "ending" in screen_text(app))


async def test_without_bodies_the_diff_says_how_to_keep_them() -> None:
    stage = make_stage()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "m", *"jjj", "m", "d")

    assert "The answer of both was not captured." in text
    assert "B starts it, in memory only" in text
    assert "Δ " in text or "has not ended" in text


async def test_one_mark_is_not_enough_and_the_third_takes_the_first_s_place() -> None:
    stage = make_stage()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        told = await press(pilot, "m", "d")
        await press(pilot, "j", "m", "j", "m")

    assert "mark two requests with m first, or replay one with r" in told
    assert [row.request_id for row in app.view.marked] == ["a81f7e", "a81f7d"]


async def test_the_detail_shows_what_was_kept() -> None:
    stage = make_stage()
    keep_two(stage)
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, *"jjj", "enter", "tab")
        await until(lambda: "The sky is blue because" in screen_text(app))
        body = await press(pilot, "tab")

    assert "[REC]" in body
    assert '"content": "Why is the sky blue?"' in body


async def test_the_route_tells_the_score_and_where_it_would_go_now() -> None:
    stage = make_stage()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, *"jjj", "enter")
        await until(lambda: "Asked again now" in screen_text(app))
        text = screen_text(app)

    assert "priority 50×0.50=25" in text  # noqa: RUF001
    assert "other-cloud: healthy → other-cloud, capability-match" in text


async def test_an_export_writes_what_the_list_shows_and_nothing_over_a_file(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    stage = make_stage()
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "E", "e", "l", "enter")
        await until(lambda: "exported 2 requests to " in screen_text(app))
        again = await press(pilot, "e", "l", "enter")

    assert "file exists" in again


# An imagined request ------------------------------------------------------------------------------


def sent_by(stage: Stage) -> list[SendRequest]:
    return [one for one in stage.gateway.commands if isinstance(one, SendRequest)]


async def test_an_imagined_request_for_a_local_backend_is_sent_at_once() -> None:
    stage = make_stage(plays=False)
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "x", *"qwen2.5:7b", "enter")  # to the result
        assert sent_by(stage) == []
        await press(pilot, "enter")
        await until(lambda: len(sent_by(stage)) == 1)
        assert "── Explain ──" not in screen_text(app)

    (sent,) = sent_by(stage)
    assert json.loads(sent.body) == {
        "model": "qwen2.5:7b",
        "messages": [{"role": "user", "content": "hi"}],
    }
    assert sent.zone is PrivacyZone.OPEN


async def test_a_cloud_is_asked_after_a_question_only_and_no_goes_back_to_the_form() -> None:
    stage = make_stage(plays=False)
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        asked = await press(pilot, "x", *"gpt-4o", "enter", "enter")
        await until(lambda: "Send it to openai?" in screen_text(app))
        back = await press(pilot, "enter")  # the default is No
        assert sent_by(stage) == []
        assert "gpt-4o" in back
        await press(pilot, "enter")
        await until(lambda: "Send it to openai?" in screen_text(app))
        await press(pilot, "y")
        await until(lambda: len(sent_by(stage)) == 1)

    assert "price unknown" in asked


async def test_a_cloud_that_is_only_the_second_choice_is_asked_about_as_well() -> None:
    stage = make_stage(plays=False)
    config = stage.gateway.config
    fallbacks = {"qwen2.5:7b": ("gpt-4o",)}
    routing = config.routing.model_copy(update={"fallbacks": fallbacks})
    stage.gateway.config = config.model_copy(update={"routing": routing})
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        await press(pilot, "x", *"qwen2.5:7b", "enter", "enter")
        await until(lambda: "Send it to openai?" in screen_text(app))
        text = screen_text(app)

    assert "If the backends before it fail" in text
    assert sent_by(stage) == []


async def test_a_read_only_screen_sends_nothing() -> None:
    stage = make_stage(plays=False)
    stage.source.is_read_only = True
    app = NexusApp(stage.source, now=fixed_now)

    async with app.run_test(size=(120, 36)) as pilot:
        text = await press(pilot, "x", *"qwen2.5:7b", "enter", "enter")

    assert "read-only dashboard: changes are disabled" in text
    assert sent_by(stage) == []
