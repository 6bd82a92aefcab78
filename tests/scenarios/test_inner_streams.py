"""Long whole answers: asked for as a stream inside, so that silence counts and not the length."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anthropic.types import Message

from nexus_core.config.schema import ServerConfig
from tests.contract.bodies import ANSWER, DONE, HELLO, STOP, event
from tests.contract.scripted_upstream import Exchange, Script, answers, silent_for, streams
from tests.scenarios.messages import (
    MESSAGE,
    SHORT,
    ask,
    body_of,
    call_piece,
    chat_stream,
    claude,
    create,
    gemini,
    google_stream,
    local,
    openai,
    recorded_stream,
)
from tests.scenarios.nexus import Nexus, hang_up, running, upstreams

LONG = SHORT | {"max_tokens": 64_000}
BRIEF = ServerConfig(request_timeout_seconds=4, idle_timeout_seconds=3)


def asked_of(exchange: Exchange) -> dict[str, Any]:
    """The body that came."""
    body: dict[str, Any] = json.loads(exchange.body)
    return body


async def long_message(nexus: Nexus) -> Message:
    """What the client gets, read as Anthropic's client does."""
    answer = await ask(nexus, LONG)
    assert answer.status_code == 200, answer.text
    return Message.model_validate_json(answer.content)


def slow(*parts: bytes) -> Script:
    """A stream of these parts with two seconds before each but the first."""
    first, *rest = parts
    timed: list[bytes | float] = [first]
    for part in rest:
        timed += [2, part]
    return streams(timed)


async def test_an_answer_of_any_length_comes_while_something_comes() -> None:
    pieces = [event({"content": f"{number} "}) for number in range(5)]
    async with (
        upstreams(slow(*pieces, STOP, DONE)) as (up,),
        running(local(up.url), server=BRIEF) as nexus,
    ):
        message = await long_message(nexus)

    assert message.content[0].type == "text"
    assert message.content[0].text == "0 1 2 3 4 "
    assert asked_of(up.last)["stream"] is True
    (finished,) = nexus.finished()
    assert finished.status == 200


async def test_a_short_answer_is_asked_for_as_it_was() -> None:
    async with upstreams(answers(ANSWER)) as (up,), running(local(up.url)) as nexus:
        await create(nexus, SHORT)

    assert "stream" not in asked_of(up.last)


async def test_calls_and_usage_are_those_of_a_whole_answer() -> None:
    async with upstreams(chat_stream()) as (up,), running(local(up.url)) as nexus:
        message = await long_message(nexus)

    kinds = [block.type for block in message.content]
    assert kinds == ["thinking", "text", "tool_use", "tool_use"]
    last = message.content[-1]
    assert last.type == "tool_use"
    assert (last.name, last.input) == ("Read", {"file_path": "/a"})
    assert message.stop_reason == "tool_use"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens) == (40, 60, 20)
    (finished,) = nexus.finished()
    assert finished.usage is not None
    assert (finished.usage.prompt_tokens, finished.usage.completion_tokens) == (100, 20)


async def test_anthropics_bytes_pass_but_for_the_stream() -> None:
    body = json.dumps(LONG | {"stream": False})
    async with (
        upstreams(streams([recorded_stream("02-turn-1")])) as (up,),
        running(claude(up.url)) as nexus,
    ):
        headers = {"anthropic-version": "2023-06-01"}
        answer = await nexus.http.post("/v1/messages", content=body, headers=headers)

    assert up.last.body == body.replace("false", "true").encode()
    assert answer.headers["content-type"] == "application/json"
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert answer.json()["type"] == "message"
    assert answer.json()["stop_reason"] is not None


@pytest.mark.parametrize(("kind", "script"), [(gemini, google_stream()), (openai, chat_stream())])
async def test_every_other_cloud_is_asked_for_a_stream(kind: Any, script: Script) -> None:
    async with upstreams(script) as (up,), running(kind(up.url)) as nexus:
        message = await long_message(nexus)

    assert message.stop_reason == "tool_use"
    assert "stream" in up.last.target or asked_of(up.last)["stream"] is True


async def test_claude_codes_fallback_is_served_so() -> None:
    body = {k: v for k, v in body_of("02-turn-1").items() if k != "stream"}
    async with upstreams(chat_stream()) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, body)

    assert answer.json()["stop_reason"] == "tool_use"
    assert asked_of(up.last)["stream"] is True


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (streams([HELLO], is_whole=False), ""),
        (streams([HELLO, 5, STOP, DONE]), "no data for 3 s"),
        (streams([HELLO, b'data: {"error": {"message": "out of memory"}}\n\n']), "out of memory"),
        (hang_up, ""),
    ],
)
async def test_an_answer_that_breaks_fails_over(script: Script, why: str) -> None:
    async with (
        upstreams(script, chat_stream()) as (first, second),
        running(
            local(first.url, priority=90),
            openai(second.url),
            server=BRIEF,
        ) as nexus,
    ):
        message = await long_message(nexus)

    assert message.stop_reason == "tool_use"
    (failed,) = nexus.failed()
    assert why in failed.attempt.error


async def test_the_last_failure_is_an_error_with_its_status() -> None:
    async with (
        upstreams(streams([HELLO, 5, STOP])) as (up,),
        running(local(up.url), server=BRIEF) as nexus,
    ):
        answer = await ask(nexus, LONG)

    assert answer.status_code == 504
    assert answer.json()["type"] == "error"


async def test_the_limit_of_the_first_content_holds() -> None:
    limits = ServerConfig(first_byte_timeout_seconds=2)
    async with (
        upstreams(silent_for(3)) as (up,),
        running(local(up.url), server=limits) as nexus,
    ):
        answer = await ask(nexus, LONG)

    assert answer.status_code == 504
    assert "no first byte within 2 s" in answer.text


async def test_a_whole_answer_in_place_of_the_stream_is_one() -> None:
    async with upstreams(answers(MESSAGE)) as (up,), running(claude(up.url)) as nexus:
        message = await long_message(nexus)

    assert message.content[0].type == "text"
    assert message.content[0].text == "Hello."
    assert (message.usage.input_tokens, message.usage.output_tokens) == (10, 2)


async def test_a_broken_call_is_no_answer() -> None:
    parts = [call_piece(0, '{"a', id="call_1", name="Bash"), event({}, "tool_calls"), DONE]
    async with upstreams(streams(parts)) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, LONG)

    assert answer.status_code == 502
    assert answer.json()["type"] == "error"


async def test_an_answer_longer_than_the_limit_is_refused() -> None:
    pieces = [event({"content": "x" * 1000})] * 20
    limits = ServerConfig(max_response_bytes=10_000)
    async with (
        upstreams(streams([*pieces, STOP, DONE])) as (up,),
        running(local(up.url), server=limits) as nexus,
    ):
        answer = await ask(nexus, LONG)

    assert answer.status_code == 502
    assert "max_response_bytes" in answer.text


@pytest.mark.parametrize("limit", [100, 64_000])
async def test_a_call_that_is_cut_off_at_the_limit_is_told_as_such(limit: int) -> None:
    """However it is asked for: another try would be as long, and be paid again."""
    arguments = '{"command": "ls'
    call = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": arguments}}
    message = {"role": "assistant", "content": "Hm.", "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "length"}
    pieces = [
        event({"content": "Hm."}),
        call_piece(0, arguments, id="call_a", name="f"),
        event({}, "length"),
        DONE,
    ]
    script = streams(pieces) if limit > 21_333 else answers(ANSWER | {"choices": [choice]})
    async with upstreams(script) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT | {"max_tokens": limit})

    told = Message.model_validate_json(answer.content)
    assert (answer.status_code, told.stop_reason) == (200, "max_tokens")
    assert [block.type for block in told.content] == ["text", "tool_use"]
    assert told.content[1].input == {}  # type: ignore[union-attr]
    assert nexus.failed() == []


async def test_a_call_of_anthropics_that_is_cut_off_is_told_as_such() -> None:
    told = recorded_stream("02-turn-1")
    last = told.rindex(b"event: content_block_delta")
    cut = told[:last] + told[told.index(b"event: content_block_stop", last) :]
    cut = cut.replace(b'"stop_reason":"tool_use"', b'"stop_reason":"max_tokens"')
    async with upstreams(streams([cut])) as (up,), running(claude(up.url)) as nexus:
        message = await long_message(nexus)

    assert message.stop_reason == "max_tokens"
    assert message.content[-1].type == "tool_use"
    assert nexus.failed() == []
