"""The official OpenAI client, a running Nexus, and a server in each provider's own format."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

import openai
import pytest
from openai.lib.streaming._deltas import accumulate_delta
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionMessage
from pydantic import BaseModel

from nexus_core.catalog import BackendType
from nexus_core.demo.simulated import (
    FULL_SPEED,
    AnthropicFormat,
    Behaviour,
    Fault,
    GoogleFormat,
    SimulatedServer,
)
from nexus_core.demo.simulated.wire import WireFormat
from tests.vendors.live import KEY, MODEL, LiveNexus, backend, nexus_with

PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg"
    "gg=="
)
USER: Any = {"role": "user", "content": "hi"}
SEARCH: Any = {
    "type": "function",
    "function": {
        "name": "search",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
    },
}
PING: Any = {"type": "function", "function": {"name": "ping"}}


@dataclass(frozen=True, slots=True)
class Said:
    """An answer as the client's user has it, whole or joined from a stream."""

    message: ChatCompletionMessage
    finish_reason: str | None
    usage: CompletionUsage | None
    headers: Any


async def whole(client: openai.AsyncOpenAI, **fields: Any) -> Said:
    raw = await client.chat.completions.with_raw_response.create(
        model=MODEL, **{"messages": [USER], **fields}
    )
    completion = raw.parse()
    (choice,) = completion.choices
    return Said(choice.message, choice.finish_reason, completion.usage, raw.headers)


async def streamed(client: openai.AsyncOpenAI, **fields: Any) -> Said:
    raw = await client.chat.completions.with_raw_response.create(
        model=MODEL,
        stream=True,
        stream_options={"include_usage": True},
        **{"messages": [USER], **fields},
    )
    message: dict[Any, Any] = {}
    reason, usage = None, None
    async for chunk in raw.parse():
        assert usage is None  # it comes last, and once
        usage = chunk.usage
        for choice in chunk.choices:
            message = accumulate_delta(message, choice.delta.to_dict())
            reason = choice.finish_reason or reason
    joined = ChatCompletionMessage.model_validate({"content": None, **message})
    return Said(joined, reason, usage, raw.headers)


@dataclass(frozen=True, slots=True)
class Vendor:
    """A provider's server, and a model that has all that these tests need."""

    type: BackendType
    wire: WireFormat
    model: str


ANTHROPIC = Vendor(BackendType.ANTHROPIC, AnthropicFormat(), "claude-haiku-4-5")
NEW_ANTHROPIC = Vendor(BackendType.ANTHROPIC, AnthropicFormat(), "claude-sonnet-5")
GOOGLE = Vendor(BackendType.GOOGLE, GoogleFormat(), "gemini-2.5-flash")
NEW_GOOGLE = Vendor(BackendType.GOOGLE, GoogleFormat(), "gemini-3-flash-preview")
VENDORS = (ANTHROPIC, NEW_ANTHROPIC, GOOGLE, NEW_GOOGLE)

ways = pytest.mark.parametrize("way", [whole, streamed])
vendors = pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.model)


@asynccontextmanager
async def world(
    vendor: Vendor, *faults: Fault, **routing: Any
) -> AsyncIterator[tuple[openai.AsyncOpenAI, SimulatedServer, LiveNexus]]:
    """A client of a Nexus in front of the vendor's server."""
    behaviour = Behaviour(models=(vendor.model,), api_key=KEY, faults=faults or (Fault.NONE,))
    async with (
        SimulatedServer(behaviour, wire=vendor.wire, random=Random(5), speed=FULL_SPEED) as server,
        nexus_with(backend(vendor.type, server.url, vendor.model), routing=routing) as nexus,
        nexus.openai() as client,
    ):
        yield client, server, nexus


def asked(server: SimulatedServer) -> Any:
    """The last request's body."""
    received = [request for request in server.received if request.method == "POST"]
    return json.loads(received[-1].body)


@ways
@vendors
async def test_a_text_with_its_usage(way: Any, vendor: Vendor) -> None:
    async with world(vendor) as (client, _, _):
        said = await way(client)

    assert said.finish_reason == "stop"
    assert said.message.content
    assert said.message.tool_calls is None
    assert said.usage is not None
    assert 20 <= said.usage.completion_tokens <= 120
    assert said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens
    assert said.headers["x-nexus-model"] == vendor.model


def as_object(message: ChatCompletionMessage) -> Any:
    return message


def as_dump(message: ChatCompletionMessage) -> Any:
    return message.model_dump()


def rebuilt(message: ChatCompletionMessage) -> Any:
    """What clients make that keep no more than content and calls."""
    calls = [call.to_dict() for call in message.tool_calls or ()]
    kept = {"role": "assistant", "content": message.content}
    return kept | ({"tool_calls": calls} if calls else {})


histories = pytest.mark.parametrize("keep", [as_object, as_dump, rebuilt])


@ways
@vendors
@histories
@pytest.mark.parametrize("effort", [None, "low"])
async def test_parallel_tools_through_two_turns(
    way: Any, vendor: Vendor, keep: Any, effort: str | None
) -> None:
    """The servers refuse thinking and calls whose signatures they do not find again."""
    options = {"tools": [SEARCH, PING]} | ({"reasoning_effort": effort} if effort else {})
    async with world(vendor) as (client, _, _):
        first = await way(client, **options)
        calls = first.message.tool_calls
        results = [
            {"role": "tool", "tool_call_id": call.id, "content": f"of {call.function.name}"}
            for call in calls
        ]
        history = [USER, keep(first.message), *reversed(results)]
        second = await way(client, messages=history, **options)
        third = await way(client, messages=[*history, keep(second.message), USER], **options)

    assert first.finish_reason == third.finish_reason == "tool_calls"
    assert [call.function.name for call in calls] == ["search", "ping"]
    assert json.loads(calls[0].function.arguments)["query"]
    assert json.loads(calls[1].function.arguments) == {}
    assert second.finish_reason == "stop"
    assert second.message.content


THOUGHTFUL = [ANTHROPIC, NEW_ANTHROPIC, NEW_GOOGLE]


@ways
@pytest.mark.parametrize("vendor", THOUGHTFUL, ids=lambda vendor: vendor.model)
@histories
async def test_thinking_and_its_signature_over_two_turns(
    way: Any, vendor: Vendor, keep: Any
) -> None:
    options: Any = {"tools": [SEARCH], "reasoning_effort": "high"}
    async with world(vendor) as (client, server, _):
        first = await way(client, **options)
        (call,) = first.message.tool_calls
        result = {"role": "tool", "tool_call_id": call.id, "content": "found"}
        second = await way(client, messages=[USER, keep(first.message), result], **options)
        returned = server.received[-1].body

    assert first.message.reasoning_content
    assert first.usage.completion_tokens_details.reasoning_tokens > 0
    assert second.message.reasoning_content
    assert second.message.content
    assert b"ignature" in returned


@ways
async def test_the_signature_of_a_text_over_two_turns(way: Any) -> None:
    async with world(NEW_GOOGLE) as (client, server, _):
        first = await way(client)
        await way(client, messages=[USER, first.message, USER])

    (part,) = asked(server)["contents"][1]["parts"]
    assert part["text"] == first.message.content
    assert part["thoughtSignature"]


@ways
@pytest.mark.parametrize("vendor", [ANTHROPIC, GOOGLE], ids=lambda vendor: vendor.model)
async def test_a_call_that_another_model_made_is_gone_on_with(way: Any, vendor: Vendor) -> None:
    """Foreign ids, no signatures: history of a server that the client used before."""
    call = {
        "id": "functions.search:0",
        "type": "function",
        "function": {"name": "search", "arguments": '{"query": "x"}'},
    }
    history = [
        USER,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "found"},
    ]
    for one in (vendor, NEW_ANTHROPIC if vendor is ANTHROPIC else NEW_GOOGLE):
        async with world(one) as (client, _, _):
            said = await way(client, messages=history, tools=[SEARCH], reasoning_effort="low")

        assert said.message.content


@ways
@vendors
async def test_an_image_arrives(way: Any, vendor: Vendor) -> None:
    parts = [
        {"type": "text", "text": "what is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    ]
    async with world(vendor) as (client, server, _):
        said = await way(client, messages=[{"role": "user", "content": parts}])

    body = asked(server)
    if vendor.type is BackendType.ANTHROPIC:
        image = body["messages"][0]["content"][1]["source"]
        assert image == {"type": "base64", "media_type": "image/png", "data": PNG}
    else:
        assert body["contents"][0]["parts"][1]["inlineData"] == {
            "mimeType": "image/png",
            "data": PNG,
        }
    assert said.message.content


class Step(BaseModel):
    explanation: str
    weight: int


class Plan(BaseModel):
    title: str
    is_final: bool
    steps: list[Step]


@vendors
async def test_a_json_schema_answer_is_parsed(vendor: Vendor) -> None:
    async with world(vendor) as (client, _, _):
        completion = await client.chat.completions.parse(
            model=MODEL, messages=[USER], response_format=Plan
        )
        async with client.chat.completions.stream(
            model=MODEL, messages=[USER], response_format=Plan
        ) as stream:
            final = await stream.get_final_completion()

    for each in (completion, final):
        plan = each.choices[0].message.parsed
        assert plan is not None
        assert plan.is_final
        assert plan.steps[0].explanation


@ways
@vendors
async def test_a_model_that_declines_is_a_refusal(way: Any, vendor: Vendor) -> None:
    async with world(vendor, Fault.DECLINE) as (client, _, _):
        said = await way(client)

    assert said.finish_reason == "content_filter"
    assert said.message.refusal
    assert not said.message.content


@ways
@vendors
async def test_a_limit_is_told(way: Any, vendor: Vendor) -> None:
    async with world(vendor) as (client, _, _):
        said = await way(client, max_completion_tokens=3)

    assert said.finish_reason == "length"
    assert said.usage.completion_tokens == 3


@vendors
async def test_a_stream_reports_no_usage_unless_asked(vendor: Vendor) -> None:
    async with world(vendor) as (client, _, _):
        stream = await client.chat.completions.create(model=MODEL, messages=[USER], stream=True)
        chunks = [chunk async for chunk in stream]

    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


@ways
@vendors
async def test_dropped_hints_are_named(way: Any, vendor: Vendor) -> None:
    async with world(vendor) as (client, server, _):
        said = await way(client, frequency_penalty=0.5, logit_bias={"1": 1}, user="u")

    names = said.headers["x-nexus-dropped-params"].split(", ")
    assert set(names) == {"frequency_penalty", "logit_bias"}
    assert b"penalty" not in server.received[-1].body.lower()


@ways
@vendors
async def test_where_it_is_so_configured_a_dropped_hint_is_an_error(
    way: Any, vendor: Vendor
) -> None:
    async with world(vendor, unsupported_params="reject") as (client, _, _):
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            await way(client, frequency_penalty=0.5, logit_bias={"1": 1})
        fine = await way(client, user="u")

    assert "frequency_penalty" in caught.value.message
    assert "logit_bias" in caught.value.message
    assert "x-nexus-dropped-params" not in fine.headers


UNSUPPORTED: list[tuple[Vendor, dict[str, Any]]] = [
    (
        ANTHROPIC,
        {
            "n": 2,
            "logprobs": True,
            "response_format": {"type": "json_schema", "json_schema": {"name": "n"}},
        },
    ),
    (NEW_ANTHROPIC, {"n": 2, "audio": {"voice": "a", "format": "wav"}}),
    (GOOGLE, {"n": 9, "logprobs": True, "prediction": {"type": "content", "content": "x"}}),
    (NEW_GOOGLE, {"n": 9, "logprobs": True}),
]


@ways
@pytest.mark.parametrize(("vendor", "fields"), UNSUPPORTED)
async def test_a_422_names_every_field_and_nothing_is_sent(
    way: Any, vendor: Vendor, fields: dict[str, Any]
) -> None:
    async with world(vendor) as (client, server, nexus):
        with pytest.raises(openai.UnprocessableEntityError) as caught:
            await way(client, **fields)
        held = nexus.gateway.registry.snapshot(vendor.type.value).in_flight

    assert [name for name in fields if name not in caught.value.message] == []
    assert caught.value.param in fields
    assert caught.value.response.headers["x-nexus-backend"] == vendor.type.value
    assert [request for request in server.received if request.method == "POST"] == []
    assert held == 0
