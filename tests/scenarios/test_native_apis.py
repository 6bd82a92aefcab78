"""Local servers that speak the Messages API themselves: found out, passed to, and never a loss."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.config.schema import HealthCheckConfig
from tests.contract.bodies import ANSWER
from tests.contract.scripted_upstream import (
    Exchange,
    Script,
    ScriptedUpstream,
    answers,
    streams,
)
from tests.scenarios.messages import (
    MESSAGE,
    SHORT,
    ask,
    body_of,
    chat_stream,
    create,
    local,
    recorded_stream,
    streamed,
)
from tests.scenarios.nexus import RESTRICTED, Nexus, running, say, upstreams
from tests.waiting import until

REFUSED = answers({"error": {"message": "model is required"}}, 400)
NO_PATH = answers({"detail": "Not Found"}, 404)
LATE_SYSTEM = SHORT | {
    "messages": [
        {"role": "user", "content": "hi"},
        {"role": "system", "content": "Be brief."},
    ]
}


async def messages_only(exchange: Exchange) -> None:
    """A server that speaks Messages beside chat: what it says of its APIs when it is asked."""
    is_spoken = exchange.target == "/v1/messages"
    await (REFUSED if is_spoken else NO_PATH)(exchange)


def by_path(**scripts: Script) -> Script:
    """A script by the last word of the path."""

    async def script(exchange: Exchange) -> None:
        await scripts[exchange.target.rpartition("/")[2]](exchange)

    return script


async def found(nexus: Nexus, *apis: str) -> None:
    """Wait until that is known of the local server."""
    await until(lambda: nexus.backend("gpu").apis == apis)


def _paths(up: ScriptedUpstream) -> list[str]:
    return [exchange.target for exchange in up.received]


async def test_bytes_pass_both_ways() -> None:
    body = json.dumps(SHORT | {"stream": True, "top_k": 5, "unknown": [1.50]})
    stream = recorded_stream("02-turn-1")
    async with upstreams(streams([stream])) as (up,):
        up.apis = messages_only
        async with running(local(up.url, models={"m": "qwen3"})) as nexus:
            await found(nexus, "chat", "messages")
            answer = await nexus.http.post("/v1/messages", content=body, headers=RESTRICTED)

    assert answer.content == stream
    assert up.last.target == "/v1/messages"
    assert up.last.body == body.replace('"m"', '"qwen3"').encode()
    assert answer.headers["x-nexus-backend"] == "gpu"
    (finished,) = nexus.finished()
    assert finished.usage is not None
    assert finished.usage.completion_tokens > 0


async def test_a_whole_answer_passes_and_its_usage_is_counted() -> None:
    async with upstreams(answers(MESSAGE)) as (up,):
        up.apis = messages_only
        async with running(local(up.url)) as nexus:
            await found(nexus, "chat", "messages")
            message = await create(nexus, SHORT)

    assert message.content[0].type == "text"
    assert message.content[0].text == "Hello."
    (finished,) = nexus.finished()
    assert finished.usage is not None
    assert (finished.usage.prompt_tokens, finished.usage.completion_tokens) == (15, 2)
    assert finished.cost is None


async def test_a_turn_of_claude_code_passes_but_for_its_note_on_billing() -> None:
    asked = body_of("02-turn-1", "m", stream=True)
    async with upstreams(streams([recorded_stream("02-turn-1")])) as (up,):
        up.apis = messages_only
        async with running(local(up.url)) as nexus:
            await found(nexus, "chat", "messages")
            await streamed(nexus, asked)

    got = json.loads(up.last.body)
    assert "x-anthropic-billing-header" not in up.last.body.decode()
    assert got["system"] == asked["system"][1:]
    assert got["tools"] == asked["tools"]
    assert got["messages"] == asked["messages"]


@pytest.mark.parametrize(
    "gone",
    [
        answers(b"404 page not found", 404),
        answers({"detail": "Method Not Allowed"}, 405),
        answers({"error": {"message": "The model does not support Messages API"}}, 400),
    ],
)
async def test_a_path_that_is_not_there_after_all_costs_nothing(gone: Script) -> None:
    async with upstreams(by_path(messages=gone, completions=chat_stream())) as (up,):
        up.apis = messages_only
        async with running(local(up.url)) as nexus:
            await found(nexus, "chat", "messages")
            first = await streamed(nexus, SHORT)
            second = await streamed(nexus, SHORT)

    assert first.stop_reason == second.stop_reason == "tool_use"
    chat = "/v1/chat/completions"
    assert _paths(up) == ["/v1/messages", chat, chat]
    assert nexus.failed() == []


async def test_an_unknown_model_is_no_missing_path() -> None:
    missing = {"error": {"type": "not_found_error", "message": 'model "m" not found'}}
    async with upstreams(answers(missing, 404)) as (up,):
        up.apis = messages_only
        async with running(local(up.url)) as nexus:
            await found(nexus, "chat", "messages")
            answer = await ask(nexus, SHORT)

    assert answer.status_code == 404
    assert _paths(up) == ["/v1/messages"]


async def test_a_field_that_the_server_refuses_is_translated_for_it() -> None:
    refuses = answers({"error": {"message": "content.0: Input should be 'text'"}}, 400)
    async with upstreams(by_path(messages=refuses, completions=answers(ANSWER))) as (up,):
        up.apis = messages_only
        async with running(local(up.url)) as nexus:
            await found(nexus, "chat", "messages")
            await create(nexus, SHORT)
            await create(nexus, SHORT)

    chat = "/v1/chat/completions"
    assert _paths(up) == ["/v1/messages", chat, "/v1/messages", chat]


async def test_a_too_long_prompt_is_told_at_once() -> None:
    words = "This model's maximum context length is 4096 tokens, however you requested 9000."
    async with upstreams(answers({"error": {"message": words}}, 400)) as (up,):
        up.apis = messages_only
        async with running(local(up.url)) as nexus:
            await found(nexus, "chat", "messages")
            answer = await ask(nexus, SHORT)

    assert answer.status_code == 400
    assert "prompt is too long: 9000 tokens > 4096 maximum" in answer.text
    assert _paths(up) == ["/v1/messages"]


async def test_system_messages_that_are_refused_become_texts_from_then_on() -> None:
    async def picky(exchange: Exchange) -> None:
        asked = json.loads(exchange.body)
        if any(message["role"] == "system" for message in asked["messages"]):
            told = {"error": {"message": "messages.1.role: 'system' is no role"}}
            await answers(told, 400)(exchange)
        else:
            await answers(MESSAGE)(exchange)

    async with upstreams(by_path(messages=picky, completions=say)) as (up,):
        up.apis = messages_only
        async with running(local(up.url)) as nexus:
            await found(nexus, "chat", "messages")
            await create(nexus, LATE_SYSTEM)
            await create(nexus, LATE_SYSTEM)

    assert _paths(up) == ["/v1/messages", "/v1/chat/completions", "/v1/messages"]
    late = json.loads(up.last.body)["messages"][1]
    assert (late["role"], "Be brief." in late["content"]) == ("user", True)


async def test_counts_come_from_the_server_where_it_has_them() -> None:
    counted: dict[str, Any] = {key: SHORT[key] for key in ("model", "messages")}
    async with upstreams(answers({"input_tokens": 77})) as (up,):
        up.apis = messages_only
        async with running(local(up.url)) as nexus:
            await found(nexus, "chat", "messages")
            answer = await nexus.http.post("/v1/messages/count_tokens", json=counted)

    assert answer.json() == {"input_tokens": 77}
    assert _paths(up) == ["/v1/messages/count_tokens"]


async def test_a_server_that_comes_back_is_asked_again() -> None:
    checks = HealthCheckConfig(interval_seconds=30, failure_threshold=1)
    async with (
        upstreams(answers(MESSAGE)) as (up,),
        running(local(up.url), health_check=checks) as nexus,
    ):
        await found(nexus, "chat")
        up.listing = answers({"error": "restarting"}, 503)
        await nexus.switch("backends/gpu/probe")
        up.listing, up.apis = answers({"data": [{"id": "m"}]}), messages_only
        told = await nexus.switch("backends/gpu/probe")
        state = (await nexus.http.get("/nexus/state")).json()

    assert told
    assert state["backends"][0]["apis"] == ["chat", "messages"]


async def test_the_configuration_forces_and_forbids() -> None:
    async with upstreams(answers(MESSAGE), answers(ANSWER)) as (speaks, silent):
        silent.apis = messages_only
        async with running(local(speaks.url, apis=("messages",))) as nexus:
            await create(nexus, SHORT)
        async with running(local(silent.url, apis=("chat",))) as nexus:
            await create(nexus, SHORT)

    assert _paths(speaks) == ["/v1/messages"]
    assert _paths(silent) == ["/v1/chat/completions"]
    assert speaks.api_probes == silent.api_probes == []
