"""The simulated server in Anthropic's format, as Anthropic's own client sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import anthropic
import httpx
import pytest

from nexus_core.demo.simulated import (
    FULL_SPEED,
    AnthropicFormat,
    Behaviour,
    Fault,
    SimulatedServer,
)
from tests.scenarios.messages import body_of, headers_of

MODEL = "claude-haiku-4-5"
MODELS = (MODEL, *(f"claude-{number}" for number in range(30)))
KEY = "sk-ant-made-up"
USER: dict[str, Any] = {"role": "user", "content": "hi"}
SEARCH: dict[str, Any] = {
    "name": "search",
    "input_schema": {"type": "object", "properties": {"query": {"type": "string"}}},
}
PING: dict[str, Any] = {"name": "ping", "input_schema": {"type": "object"}}
THINKING = {"type": "enabled", "budget_tokens": 1024}


@asynccontextmanager
async def client_of(*faults: Fault, key: str = KEY) -> AsyncIterator[anthropic.AsyncAnthropic]:
    behaviour = Behaviour(models=MODELS, api_key=KEY, faults=faults or (Fault.NONE,))
    async with (
        SimulatedServer(
            behaviour, wire=AnthropicFormat(), random=Random(1), speed=FULL_SPEED
        ) as server,
        anthropic.AsyncAnthropic(base_url=server.url, api_key=key, max_retries=0) as client,
    ):
        yield client


async def ask(client: anthropic.AsyncAnthropic, **fields: Any) -> anthropic.types.Message:
    given = {"model": MODEL, "max_tokens": 4096, "messages": [USER], **fields}
    answer: anthropic.types.Message = await client.messages.create(**given)
    return answer


async def streamed(client: anthropic.AsyncAnthropic, **fields: Any) -> anthropic.types.Message:
    given = {"model": MODEL, "max_tokens": 4096, "messages": [USER], **fields}
    async with client.messages.stream(**given) as stream:
        answer: anthropic.types.Message = await stream.get_final_message()
        return answer


WAYS = [ask, streamed]


@pytest.mark.parametrize("turn", ["02-turn-1", "03-turn-2-tool-results"])
async def test_a_turn_of_claude_code_is_answered(turn: str) -> None:
    path, headers = "/v1/messages", headers_of(turn) | {"x-api-key": KEY}
    behaviour = Behaviour(models=MODELS, api_key=KEY, tool_prefix="demo_")
    async with (
        SimulatedServer(behaviour, wire=AnthropicFormat(), speed=FULL_SPEED) as server,
        httpx.AsyncClient(base_url=server.url) as client,
    ):
        answer = await client.post(path, json=body_of(turn, MODEL, stream=False), headers=headers)

    assert answer.status_code == 200, answer.text
    assert "tool_use" not in answer.text


@pytest.mark.parametrize("way", WAYS)
async def test_a_text(way: Any) -> None:
    async with client_of() as client:
        message = await way(client)

    assert message.stop_reason == "end_turn"
    assert [block.type for block in message.content] == ["text"]
    assert 20 <= message.usage.output_tokens <= 120
    assert message.usage.input_tokens > 0


@pytest.mark.parametrize("way", WAYS)
async def test_thinking_then_two_calls_and_after_their_results_a_text(way: Any) -> None:
    async with client_of() as client:
        first = await way(client, tools=[SEARCH, PING], thinking=THINKING)
        calls = [block for block in first.content if block.type == "tool_use"]
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": "found"} for call in calls
        ]
        second = await way(
            client,
            tools=[SEARCH, PING],
            thinking=THINKING,
            messages=[
                USER,
                {"role": "assistant", "content": [block.to_dict() for block in first.content]},
                {"role": "user", "content": results},
            ],
        )

    assert first.stop_reason == "tool_use"
    assert [block.type for block in first.content] == ["thinking", "tool_use", "tool_use"]
    assert first.usage.output_tokens_details.thinking_tokens > 0
    assert [set(call.input) for call in calls] == [{"query"}, set()]
    assert [block.type for block in second.content] == ["thinking", "text"]


@pytest.mark.parametrize("way", WAYS)
async def test_a_model_that_declines_says_so(way: Any) -> None:
    async with client_of(Fault.DECLINE) as client:
        message = await way(client)

    assert (message.stop_reason, message.content) == ("refusal", [])
    assert message.stop_details is not None


@pytest.mark.parametrize("way", WAYS)
async def test_a_limit_ends_the_answer(way: Any) -> None:
    async with client_of() as client:
        message = await way(client, max_tokens=3)

    assert (message.stop_reason, message.usage.output_tokens) == ("max_tokens", 3)


THOUGHT = {"type": "thinking", "thinking": "hm", "signature": "Zm9yZWlnbg=="}
USE = {"type": "tool_use", "id": "toolu_1", "name": "search", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "found"}
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "a signature of somebody else": (
        {"messages": [USER, {"role": "assistant", "content": [THOUGHT, USE]}]},
        "Invalid `signature`",
    ),
    "a tool that goes on without its thinking": (
        {
            "thinking": THINKING,
            "messages": [
                USER,
                {"role": "assistant", "content": [USE]},
                {"role": "user", "content": [RESULT]},
            ],
        },
        "Expected `thinking`",
    ),
    "a call without its result": (
        {"messages": [USER, {"role": "assistant", "content": [USE]}, USER]},
        "without `tool_result`",
    ),
    "a result after a text": (
        {
            "messages": [
                USER,
                {"role": "assistant", "content": [USE]},
                {"role": "user", "content": [{"type": "text", "text": "so"}, RESULT]},
            ]
        },
        "must come first",
    ),
    "a choice without tools": ({"tool_choice": {"type": "auto"}}, "tool_choice"),
    "no message": ({"messages": []}, "at least one message"),
    "a budget beyond the limit": (
        {"thinking": THINKING, "max_tokens": 1000},
        "thinking.budget_tokens",
    ),
    "a field that it has not": ({"extra_body": {"frequency_penalty": 1}}, "Extra inputs"),
}


@pytest.mark.parametrize(("fields", "message"), REFUSED.values(), ids=REFUSED)
async def test_what_the_real_one_refuses_is_a_400(fields: dict[str, Any], message: str) -> None:
    async with client_of() as client:
        with pytest.raises(anthropic.BadRequestError, match=message):
            await ask(client, **fields)


async def test_the_version_is_demanded() -> None:
    async with client_of() as client, httpx.AsyncClient() as plain:
        body = {"model": MODEL, "max_tokens": 1, "messages": [USER]}
        url = f"{str(client.base_url).rstrip('/')}/v1/messages"
        answer = await plain.post(url, json=body, headers={"x-api-key": KEY})

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


ERRORS: dict[str, tuple[Fault, dict[str, Any], int, str]] = {
    "busy": (Fault.BUSY, {}, 429, "rate_limit_error"),
    "overloaded": (Fault.UNAVAILABLE, {}, 529, "overloaded_error"),
    "no such model": (Fault.NONE, {"model": "nope"}, 404, "not_found_error"),
}


@pytest.mark.parametrize(("fault", "fields", "status", "kind"), ERRORS.values(), ids=ERRORS)
async def test_errors_have_their_own_shape(
    fault: Fault, fields: dict[str, Any], status: int, kind: str
) -> None:
    async with client_of(fault) as client:
        with pytest.raises(anthropic.APIStatusError) as caught:
            await ask(client, **fields)

    assert caught.value.status_code == status
    assert caught.value.body["error"]["type"] == kind  # type: ignore[index]


async def test_a_wrong_key_is_refused_everywhere() -> None:
    async with client_of(key="wrong") as client:
        with pytest.raises(anthropic.AuthenticationError):
            await ask(client)
        with pytest.raises(anthropic.AuthenticationError):
            await client.models.list()


async def test_an_error_event_ends_a_stream() -> None:
    async with client_of(Fault.ERROR_EVENT) as client:
        with pytest.raises(anthropic.APIStatusError, match="overloaded"):
            await streamed(client)


async def test_the_models_are_listed_page_by_page() -> None:
    async with client_of() as client:
        first = await client.models.list(limit=10)
        names = [model.id async for model in client.models.list(limit=10)]

    assert first.has_more
    assert tuple(names) == MODELS
