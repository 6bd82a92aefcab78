"""Requests of the Responses API that pass as they came, because the backend has it: OpenAI."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.observe.events import TokenUsage
from tests.contract.bodies import ANSWER
from tests.contract.scripted_upstream import answers, hang, streams
from tests.scenarios.messages import chat_stream, local, openai
from tests.scenarios.nexus import running, upstreams
from tests.scenarios.responses import (
    SHORT,
    STREAMS,
    TURNS,
    WITH_REASONING,
    ask,
    body_of,
    events_of,
    headers_of,
    recorded_stream,
    sdk,
    streamed,
)

WHOLE = json.loads(recorded_stream("02-turn-2").rpartition(b"data: ")[2])["response"]


@pytest.mark.parametrize("name", TURNS)
async def test_a_recorded_request_reaches_openai_as_it_came_but_for_the_model(name: str) -> None:
    whole = json.dumps(body_of(name), indent=1).encode()
    async with (
        upstreams(streams([recorded_stream("01-turn-1")])) as (up,),
        running(openai(up.url, models={"m": "gpt-5.5"})) as nexus,
    ):
        answer = await nexus.http.post("/v1/responses", content=whole, headers=headers_of(name))

    assert answer.content == recorded_stream("01-turn-1")
    assert up.last.body == whole.replace(b'"model": "m"', b'"model": "gpt-5.5"', 1)
    assert up.last.target == "/v1/responses"
    names = {key.lower() for key, _ in up.last.headers}
    assert not {key for key in names if key.startswith(("x-codex", "session", "thread"))}
    assert [value for _, value in up.last.headers if "CLIENT-KEY" in value] == []


async def test_the_header_that_says_where_codex_puts_its_tools_passes() -> None:
    name = "05-gpt-6-additional-tools"
    async with upstreams(hang) as (up,), running(openai(up.url)) as nexus:
        up.script = streams([recorded_stream("01-turn-1")])
        await ask(nexus, body_of(name), **headers_of(name))

    assert up.last.header("x-openai-internal-codex-responses-lite") == "true"


@pytest.mark.parametrize("stem", STREAMS)
async def test_a_stream_in_two_parts_passes_with_its_usage(stem: str) -> None:
    told = recorded_stream(stem)
    async with upstreams(hang) as (up,), running(openai(up.url)) as nexus:
        for cut in range(1, len(told), 37):
            up.script = streams([told[:cut], told[cut:]])
            answer = await ask(nexus, SHORT | {"stream": True})
            assert answer.content == told

    (usage,) = {one.usage for one in nexus.finished()}
    assert usage == TokenUsage(prompt_tokens=3000, completion_tokens=50, reasoning_tokens=10)


async def test_a_whole_answer_of_openais_passes_with_its_usage() -> None:
    async with upstreams(answers(WHOLE)) as (up,), running(openai(up.url)) as nexus:
        answer = await ask(nexus, SHORT)
        async with sdk(nexus) as client:
            response = await client.responses.create(model="m", input="hi")

    assert answer.json() == WHOLE
    assert response.output_text == "The folder has hello.txt; it says hi."
    assert nexus.finished()[0].usage is not None


async def test_a_whole_answer_of_openais_becomes_the_stream_that_was_asked_for() -> None:
    async with upstreams(answers(WHOLE)) as (up,), running(openai(up.url)) as nexus:
        answer = await ask(nexus, SHORT | {"stream": True})
        response = await streamed(nexus, **SHORT)

    events = events_of(answer.text)
    assert events[-1]["response"] == WHOLE
    assert response.output_text == "The folder has hello.txt; it says hi."


STORED = pytest.mark.parametrize("field", [{"previous_response_id": "resp_1"}, {"store": True}])


@STORED
async def test_what_refers_to_stored_answers_passes_to_an_openai_that_is_named(
    field: dict[str, Any],
) -> None:
    async with (
        upstreams(hang, answers(WHOLE)) as (gpu, up),
        running(local(gpu.url), openai(up.url)) as nexus,
    ):
        answer = await ask(nexus, SHORT | field, **{"X-Nexus-Backend": "openai"})
        other = await ask(nexus, SHORT | field, **{"X-Nexus-Backend": "gpu"})

    assert answer.json() == WHOLE
    assert field.items() <= json.loads(up.last.body).items()
    assert (other.status_code, other.json()["error"]["param"]) == (400, next(iter(field)))
    assert gpu.received == []


@STORED
async def test_what_refers_to_stored_answers_passes_where_there_is_one_backend(
    field: dict[str, Any],
) -> None:
    async with (
        upstreams(hang, answers(WHOLE)) as (gpu, up),
        running(local(gpu.url, models=("other",)), openai(up.url)) as nexus,
    ):
        answer = await ask(nexus, SHORT | field)

    assert (answer.status_code, answer.headers["x-nexus-backend"]) == (200, "openai")


@STORED
async def test_what_refers_to_stored_answers_is_refused_where_they_may_be_anywhere(
    field: dict[str, Any],
) -> None:
    async with (
        upstreams(hang, hang) as (gpu, up),
        running(local(gpu.url), openai(up.url)) as nexus,
    ):
        answer = await ask(nexus, SHORT | field)

    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, next(iter(field)))
    assert "X-Nexus-Backend" in error["message"]
    assert gpu.received == up.received == []


async def test_thinking_of_another_model_is_left_out_for_openai() -> None:
    async with (
        upstreams(chat_stream(), answers(WHOLE)) as (gpu, up),
        running(local(gpu.url), openai(up.url, models=("c",))) as nexus,
    ):
        said = await streamed(nexus, **SHORT, **WITH_REASONING)
        items = [one.to_dict() for one in said.output]
        await ask(nexus, {"model": "c", "input": items})

    kept = ["message", "function_call", "function_call"]
    assert [one["type"] for one in items] == ["reasoning", *kept]
    kinds = [one["type"] for one in json.loads(up.last.body)["input"]]
    assert kinds == kept


async def test_what_openai_refuses_is_refused() -> None:
    error = {"error": {"message": "Item with id 'rs_1' not found.", "param": "input"}}
    async with upstreams(answers(error, 404)) as (up,), running(openai(up.url)) as nexus:
        missing = await ask(nexus, SHORT)
        up.script = answers({"error": {"message": "bad", "code": None}}, 400)
        wrong = await ask(nexus, SHORT)

    assert (missing.status_code, missing.json()) == (404, error)
    assert wrong.status_code == 400
    assert [one.target for one in up.received] == ["/v1/responses", "/v1/responses"]


async def test_a_server_that_only_calls_itself_openai_is_asked_in_chats_format() -> None:
    async def script(exchange: Any) -> None:
        is_chat = exchange.target == "/v1/chat/completions"
        await (answers(ANSWER) if is_chat else answers({"detail": "Not Found"}, 404))(exchange)

    async with upstreams(script) as (up,), running(openai(up.url)) as nexus:
        first = await ask(nexus, SHORT)
        second = await ask(nexus, SHORT)

    assert (first.status_code, second.status_code) == (200, 200)
    asked = [one.target.rpartition("/")[2] for one in up.received]
    assert asked == ["responses", "completions", "completions"]


async def test_a_local_server_that_has_the_api_gets_the_bytes() -> None:
    body = json.dumps(body_of("02-turn-2")).encode()
    told = recorded_stream("02-turn-2")
    async with (
        upstreams(streams([told])) as (up,),
        running(local(up.url, apis=("responses",))) as nexus,
    ):
        answer = await nexus.http.post("/v1/responses", content=body)

    assert answer.content == told
    assert (up.last.target, up.last.body) == ("/v1/responses", body)


async def test_tools_that_a_local_server_does_not_know_are_translated_for_it() -> None:
    refusal = {"error": {"code": 400, "message": "'type' of tool must be 'function'"}}

    async def script(exchange: Any) -> None:
        is_chat = exchange.target == "/v1/chat/completions"
        await (chat_stream() if is_chat else answers(refusal, 400))(exchange)

    async with upstreams(script) as (up,), running(local(up.url, apis=("responses",))) as nexus:
        answer = await ask(nexus, body_of("02-turn-2"))
        again = await ask(nexus, body_of("02-turn-2"))

    for one in (answer, again):
        assert events_of(one.text)[-1]["type"] == "response.completed"
    asked = [one.target.rpartition("/")[2] for one in up.received]
    assert asked == ["responses", "completions", "completions"]


@pytest.mark.parametrize("configured", [local, openai])
async def test_a_long_whole_answer_is_made_of_a_stream(configured: Any) -> None:
    script = chat_stream() if configured is local else streams([recorded_stream("01-turn-1")])
    async with (
        upstreams(script) as (up,),
        running(configured(up.url)) as nexus,
        sdk(nexus) as client,
    ):
        response = await client.responses.create(**SHORT, max_output_tokens=64_000)

    assert json.loads(up.last.body)["stream"] is True
    assert response.status == "completed"
    assert response.output[-1].type == "function_call"
    (finished,) = nexus.finished()
    assert finished.usage is not None
    assert response.usage is not None
    assert response.usage.output_tokens == finished.usage.completion_tokens
