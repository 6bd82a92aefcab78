"""The simulated server in OpenAI's format, as its clients see it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from random import Random

import httpx
import openai
import pytest
from openai.types.chat import ChatCompletionFunctionToolParam

from nexus_core.demo.simulated import (
    FULL_SPEED,
    Behaviour,
    Fault,
    OpenAIFormat,
    SimulatedServer,
)

MODEL = "llama3:8b"
KEY = "sk-made-up"
QUERY: dict[str, object] = {"type": "object", "properties": {"query": {"type": "string"}}}
SEARCH: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {"name": "search", "parameters": QUERY},
}


def seeded() -> Random:
    return Random(1)


def simulated(*faults: Fault, api_key: str | None = None) -> SimulatedServer:
    behaviour = Behaviour(models=(MODEL,), api_key=api_key, faults=faults or (Fault.NONE,))
    return SimulatedServer(behaviour, random=seeded(), speed=FULL_SPEED)


@pytest.fixture
async def server() -> AsyncIterator[SimulatedServer]:
    async with simulated() as server:
        yield server


@pytest.fixture
async def client(server: SimulatedServer) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(
        base_url=f"{server.url}/v1", api_key="any", max_retries=0
    ) as client:
        yield client


async def test_the_openai_client_parses_a_whole_answer(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "hello"}]
    )

    assert answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert 20 <= answer.usage.completion_tokens <= 120
    assert answer.usage.total_tokens == (
        answer.usage.prompt_tokens + answer.usage.completion_tokens
    )


async def test_the_openai_client_parses_a_stream_with_its_usage(
    client: openai.AsyncOpenAI,
) -> None:
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "hello"}],
        stream=True,
        stream_options={"include_usage": True},
    )

    chunks = [chunk async for chunk in stream]

    assert chunks[0].choices[0].delta.role == "assistant"
    assert all(not chunk.choices[0].delta.role for chunk in chunks[1:-1])
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == len(chunks) - 3


async def test_a_stream_without_stream_options_reports_no_usage(
    client: openai.AsyncOpenAI,
) -> None:
    stream = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "hello"}], stream=True
    )

    chunks = [chunk async for chunk in stream]

    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


async def test_a_stream_ends_with_done(server: SimulatedServer) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True}
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{server.url}/v1/chat/completions", json=body)

    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.endswith("\n\ndata: [DONE]\n\n")


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
async def test_a_token_limit_ends_the_answer(server: SimulatedServer, limit: str) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], limit: 3}
    async with httpx.AsyncClient() as client:
        answer = (await client.post(f"{server.url}/v1/chat/completions", json=body)).json()

    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 3


async def test_a_request_with_tools_gets_a_call_and_its_result_a_text(
    client: openai.AsyncOpenAI,
) -> None:
    first = await client.chat.completions.create(
        model=MODEL, messages=[{"role": "user", "content": "find it"}], tools=[SEARCH]
    )
    calls = first.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].type == "function"

    second = await client.chat.completions.create(
        model=MODEL,
        messages=[
            {"role": "user", "content": "find it"},
            {"role": "tool", "tool_call_id": calls[0].id, "content": "found"},
        ],
        tools=[SEARCH],
    )

    assert first.choices[0].finish_reason == "tool_calls"
    assert calls[0].function.name == "search"
    assert json.loads(calls[0].function.arguments)["query"]
    assert second.choices[0].message.content


async def test_a_streamed_tool_call_joins_to_json(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "find it"}],
        tools=[SEARCH],
        stream=True,
    )

    calls = [
        call
        async for chunk in stream
        for choice in chunk.choices
        for call in choice.delta.tool_calls or ()
    ]

    assert calls[0].id
    assert calls[0].function is not None
    assert calls[0].function.name == "search"
    arguments = "".join(call.function.arguments or "" for call in calls if call.function)
    assert json.loads(arguments)["query"]


async def test_legacy_completions_are_served_whole_and_as_a_stream(
    client: openai.AsyncOpenAI,
) -> None:
    answer = await client.completions.create(model=MODEL, prompt="once upon")
    stream = await client.completions.create(model=MODEL, prompt="once upon", stream=True)
    pieces = [chunk.choices[0].text async for chunk in stream]

    assert answer.object == "text_completion"
    assert answer.choices[0].text
    assert "".join(pieces)


async def test_the_models_are_listed(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == [MODEL]


async def test_an_unknown_model_is_a_404_in_openais_shape(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(
            model="nope", messages=[{"role": "user", "content": "hi"}]
        )

    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"model": "llama3:8b", "tools": [1]}'])
async def test_a_broken_body_is_a_400(server: SimulatedServer, body: bytes) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{server.url}/v1/chat/completions", content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_a_server_with_a_key_refuses_any_other() -> None:
    async with simulated(api_key=KEY) as server, httpx.AsyncClient(base_url=server.url) as client:
        without = await client.get("/v1/models")
        wrong = await client.post("/v1/chat/completions", json={})
        right = await client.get("/v1/models", headers={"Authorization": f"Bearer {KEY}"})

    assert [without.status_code, wrong.status_code, right.status_code] == [401, 401, 200]
    assert without.json()["error"]["code"] == "invalid_api_key"


async def test_faults_come_in_turn() -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    async with (
        simulated(Fault.UNAVAILABLE, Fault.NONE, Fault.DROP) as server,
        httpx.AsyncClient(base_url=server.url) as client,
    ):
        first = await client.post("/v1/chat/completions", json=body)
        second = await client.post("/v1/chat/completions", json=body)
        with pytest.raises(httpx.TransportError):
            await client.post("/v1/chat/completions", json=body)
        fourth = await client.post("/v1/chat/completions", json=body)

    assert [first.status_code, second.status_code, fourth.status_code] == [503, 200, 503]


async def test_a_dropped_stream_breaks_after_its_first_chunks() -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True}
    lines: list[str] = []
    async with (
        simulated(Fault.DROP) as server,
        httpx.AsyncClient(base_url=server.url) as client,
        client.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        with pytest.raises(httpx.TransportError):
            lines.extend([line async for line in answer.aiter_lines()])

    assert "data: [DONE]" not in lines


async def test_requests_are_recorded_as_they_came(server: SimulatedServer) -> None:
    body = b'{ "model":"llama3:8b", "messages":[{"role":"user","content":"hi"}], "x": 1.0 }'
    async with httpx.AsyncClient() as client:
        await client.post(
            f"{server.url}/v1/chat/completions", content=body, headers={"X-Seen": "yes"}
        )

    received = server.received[-1]
    assert (received.method, received.path, received.body) == (
        "POST",
        "/v1/chat/completions",
        body,
    )
    assert ("X-Seen", "yes") in received.headers


async def test_the_same_seed_gives_the_same_answer() -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    texts = []
    for _ in range(2):
        async with simulated() as server, httpx.AsyncClient(base_url=server.url) as client:
            answer = await client.post("/v1/chat/completions", json=body)
            texts.append(answer.json()["choices"][0]["message"]["content"])

    assert texts[0] == texts[1]


async def test_a_stream_comes_at_a_human_pace() -> None:
    behaviour = Behaviour(
        models=(MODEL,), tokens_per_second=100, first_token_seconds=0, lengths=(20, 20)
    )
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True}
    loop = asyncio.get_running_loop()
    async with (
        SimulatedServer(behaviour, random=seeded()) as server,
        httpx.AsyncClient() as client,
    ):
        started = loop.time()
        await client.post(f"{server.url}/v1/chat/completions", json=body)

    assert loop.time() - started > 0.1  # 22 chunks, 10 ms each on average


async def test_two_tools_are_called_at_once_unless_the_client_wants_one_call(
    client: openai.AsyncOpenAI,
) -> None:
    other: ChatCompletionFunctionToolParam = {"type": "function", "function": {"name": "look_up"}}
    called = []
    for parallel in (True, False):
        answer = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "find it"}],
            tools=[SEARCH, other],
            parallel_tool_calls=parallel,
        )
        called.append([c.function.name for c in answer.choices[0].message.tool_calls or ()])  # type: ignore[union-attr]

    assert called == [["search", "look_up"], ["search"]]


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.ERROR_EVENT])
async def test_a_stream_that_ends_midway_has_no_end_mark(fault: Fault) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "stream": True}
    async with simulated(fault) as server, httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post("/v1/chat/completions", json=body)

    assert "[DONE]" not in answer.text
    assert ("error" in answer.text) is (fault is Fault.ERROR_EVENT)


async def test_a_busy_server_says_when_to_come_back() -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    async with simulated(Fault.BUSY) as server, httpx.AsyncClient(base_url=server.url) as client:
        answer = await client.post("/v1/chat/completions", json=body)

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")


@pytest.mark.parametrize("given", ["a text", ["one", "two"], [1, 2, 3], [[1, 2], [3]]])
async def test_embeddings_are_the_same_in_base64_and_as_floats(
    client: openai.AsyncOpenAI, given: str | list[str] | list[int] | list[list[int]]
) -> None:
    packed = await client.embeddings.create(model=MODEL, input=given, dimensions=4)
    plain = await client.embeddings.create(
        model=MODEL, input=given, dimensions=4, encoding_format="float"
    )

    assert len(packed.data) == (2 if isinstance(given[0], list | str) and given != "a text" else 1)
    for one, other in zip(packed.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-6)
        assert sum(value * value for value in other.embedding) == pytest.approx(1)


async def test_ollama_knows_neither_base64_nor_tokens() -> None:
    behaviour = Behaviour(models=(MODEL,))
    wire = OpenAIFormat(embeds_floats_only=True)
    async with (
        SimulatedServer(behaviour, wire=wire, speed=FULL_SPEED) as server,
        httpx.AsyncClient(base_url=server.url) as client,
    ):
        text = {"model": MODEL, "input": "x", "encoding_format": "base64"}
        floats = await client.post("/v1/embeddings", json=text)
        refused = await client.post("/v1/embeddings", json={"model": MODEL, "input": [1, 2]})

    assert isinstance(floats.json()["data"][0]["embedding"], list)
    assert refused.status_code == 400
