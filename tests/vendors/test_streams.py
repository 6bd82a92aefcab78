"""Streams of Anthropic and Google through the whole proxy: how they end, break and are left."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from nexus_core.config.schema import BackendConfig
from tests.contract.scripted_upstream import (
    Exchange,
    Script,
    ScriptedUpstream,
    answers,
    hang,
    silent_for,
    streams,
)
from tests.vendors.live import KEY, LiveNexus, backend, nexus_with
from tests.vendors.samples import ANTHROPIC, PING, PROVIDERS, TEXT, Provider, both
from tests.vendors.test_errors import spare_of
from tests.waiting import take_time

SPARE_STREAM = (
    b'data: {"choices":[{"index":0,"delta":{"content":"spare"},"finish_reason":"stop"}]}\n\n'
    b"data: [DONE]\n\n"
)


def of(provider: Provider, upstream: ScriptedUpstream) -> BackendConfig:
    return backend(provider.type, upstream.url, provider.model, priority=90)


def streaming_spare(upstream: ScriptedUpstream) -> BackendConfig:
    config = spare_of(upstream)
    upstream.script = streams([SPARE_STREAM])
    return config


def events_of(answer: httpx.Response) -> list[Any]:
    """The data of all events; [DONE] as a string."""
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    lines = answer.text.split("\n\n")
    assert lines.pop() == ""
    return [line[6:] if line == "data: [DONE]" else json.loads(line[6:]) for line in lines]


def text_of(events: list[Any]) -> str:
    choices = [choice for event in events if isinstance(event, dict) for choice in event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def failures(nexus: LiveNexus, provider: Provider) -> int:
    return nexus.gateway.stats.backend(provider.type.value).failures


@both
async def test_a_stream_ends_with_done_and_its_usage_only_if_asked(
    provider: Provider, upstream: ScriptedUpstream
) -> None:
    upstream.script = streams(provider.events)

    async with nexus_with(of(provider, upstream)) as nexus:
        plain = events_of(await nexus.chat(stream=True))
        asked = events_of(await nexus.chat(stream=True, stream_options={"include_usage": True}))
        counted = nexus.gateway.stats.backend(provider.type.value)

    assert text_of(plain) == text_of(asked) == TEXT
    assert plain.pop() == asked.pop() == "[DONE]"
    assert plain[0]["choices"][0]["delta"]["role"] == "assistant"
    assert all(event["choices"] and not event.get("usage") for event in plain)
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["total_tokens"] == 7
    assert (counted.prompt_tokens, counted.completion_tokens) == (6, 8)


@both
@pytest.mark.parametrize("engine", ["http1", "httpx"])
async def test_each_piece_arrives_before_the_next_is_sent(
    provider: Provider, upstream: ScriptedUpstream, engine: str
) -> None:
    gate = asyncio.Event()
    cut = next(at for at, piece in enumerate(provider.events) if b"Hello" in piece) + 1
    upstream.script = streams([*provider.events[:cut], gate, *provider.events[cut:]])
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}

    async with (
        nexus_with(of(provider, upstream), server={"upstream": engine}) as nexus,
        nexus.http.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        lines = answer.aiter_lines()
        async for line in lines:
            if "Hello" in line:
                break
        gate.set()
        rest = [line async for line in lines]

    assert rest[-2:] == ["data: [DONE]", ""]


@both
async def test_a_stream_cut_anywhere_in_its_bytes_is_the_same(
    provider: Provider, upstream: ScriptedUpstream
) -> None:
    whole = b"".join(provider.events)
    texts = []
    async with nexus_with(of(provider, upstream)) as nexus:
        for size in (1, 7, len(whole)):
            parts = [whole[at : at + size] for at in range(0, len(whole), size)]
            upstream.script = streams(parts)
            texts.append(text_of(events_of(await nexus.chat(stream=True))))

    assert texts == [TEXT] * 3


@both
@pytest.mark.parametrize("is_whole", [True, False])
async def test_a_stream_without_its_end_mark_counts_as_failed(
    provider: Provider, upstream: ScriptedUpstream, is_whole: bool
) -> None:
    upstream.script = streams(provider.events[:-1], is_whole=is_whole)

    async with nexus_with(of(provider, upstream)) as nexus:
        events = events_of(await nexus.chat(stream=True))
        failed = failures(nexus, provider)

    assert events[-1]["error"]["code"] == "upstream_error"
    assert text_of(events[:-1]) == TEXT
    assert "[DONE]" not in events
    assert failed == 1


@both
@pytest.mark.parametrize("at_once", [False, True])
async def test_an_error_event_becomes_the_error_chunk_after_all_that_came_before_it(
    provider: Provider, upstream: ScriptedUpstream, at_once: bool
) -> None:
    """Even if they come in the same bytes. The stream ends there, without [DONE]."""
    gate = asyncio.Event()
    events = [*provider.events[:-1], provider.error_event, *provider.events]
    first, *others = events
    upstream.script = streams([first, gate, *([b"".join(others)] if at_once else others)])
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}

    async with nexus_with(of(provider, upstream)) as nexus:
        async with nexus.http.stream("POST", "/v1/chat/completions", json=body) as answer:
            gate.set()
            await answer.aread()
        failed = failures(nexus, provider)

    *events, error = events_of(answer)
    assert text_of(events) == TEXT
    assert "Overloaded" in error["error"]["message"]
    assert failed == 1


@both
async def test_the_key_is_cut_out_of_a_stream_and_of_its_error(
    provider: Provider, upstream: ScriptedUpstream
) -> None:
    told = [piece.replace(b"Hello", KEY.encode()) for piece in provider.events[:-1]]
    error = provider.error_event.replace(b"Overloaded", f"you sent {KEY}".encode())
    gate = asyncio.Event()
    upstream.script = streams([told[0], gate, *told[1:], error])
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": True}

    async with (
        nexus_with(of(provider, upstream)) as nexus,
        nexus.http.stream("POST", "/v1/chat/completions", json=body) as answer,
    ):
        gate.set()
        await answer.aread()

    *events, last = events_of(answer)
    assert text_of(events) == "[key] there."
    assert "you sent [key]" in last["error"]["message"]
    assert KEY not in answer.text


BEFORE_THE_FIRST_BYTE = {
    "nothing": lambda provider: streams([]),
    "comments alone": lambda provider: streams([b": hello\n\n"]),
    "an error event": lambda provider: streams([provider.error_event]),
    "an error event with the beginning": lambda provider: streams(
        [provider.events[0] + provider.error_event]
    ),
    "no JSON": lambda provider: streams([b"data: {]\n\n"]),
    "no object": lambda provider: streams([b"data: 3\n\n"]),
    "a whole answer": lambda provider: answers(provider.answer),
    "a cut connection": lambda provider: streams([b"data: "], is_whole=False),
}


@both
@pytest.mark.parametrize("name", BEFORE_THE_FIRST_BYTE)
async def test_what_fails_before_the_first_byte_goes_to_the_next_backend(
    provider: Provider, upstream: ScriptedUpstream, spare: ScriptedUpstream, name: str
) -> None:
    upstream.script = BEFORE_THE_FIRST_BYTE[name](provider)
    own_status = 529 if provider is ANTHROPIC else 503  # of an error that it tells

    async with nexus_with(of(provider, upstream)) as nexus:
        alone = await nexus.chat(stream=True)
    async with nexus_with(of(provider, upstream), streaming_spare(spare)) as nexus:
        answer = await nexus.chat(stream=True)

    assert alone.status_code == (own_status if "error event" in name else 502)
    assert alone.json()["error"]["code"] == "upstream_error"
    assert answer.text == SPARE_STREAM.decode()
    assert answer.headers["x-nexus-route-reason"] == "backend-failover"


async def pings(exchange: Exchange) -> None:
    """One a second for as long as the other side listens."""
    await exchange.send_head(
        200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
    )
    while not exchange.closed.is_set():
        await exchange.send_chunk(PING)
        await take_time(1)


LIMIT_SECONDS = 5
LATE: list[tuple[Provider, Script]] = [
    *((provider, silent_for(LIMIT_SECONDS)) for provider in PROVIDERS),
    *((provider, streams([LIMIT_SECONDS, asyncio.Event()])) for provider in PROVIDERS),
    (ANTHROPIC, pings),  # they say that it lives, not that it has begun
]


@pytest.mark.parametrize(("provider", "script"), LATE)
async def test_a_late_first_byte_fails_over(
    upstream: ScriptedUpstream, spare: ScriptedUpstream, provider: Provider, script: Script
) -> None:
    upstream.script = script

    async with nexus_with(
        of(provider, upstream),
        streaming_spare(spare),
        server={"first_byte_timeout_seconds": LIMIT_SECONDS},
    ) as nexus:
        answer = await nexus.chat(stream=True)
        await upstream.last.closed.wait()

    assert answer.text == SPARE_STREAM.decode()


async def test_pings_keep_a_stream_alive_that_says_nothing_for_long(
    upstream: ScriptedUpstream,
) -> None:
    """A model that thinks out of sight sends nothing else for minutes."""

    begins, *rest = ANTHROPIC.events
    second: list[bytes | float] = [1, PING]
    upstream.script = streams([begins, *second * 2 * LIMIT_SECONDS, *rest])
    server = {"idle_timeout_seconds": LIMIT_SECONDS}

    async with nexus_with(of(ANTHROPIC, upstream), server=server) as nexus:
        events = events_of(await nexus.chat(stream=True))

    assert events[-1] == "[DONE]"
    assert text_of(events) == TEXT


@both
async def test_silence_in_mid_stream_has_a_limit(
    provider: Provider, upstream: ScriptedUpstream
) -> None:
    upstream.script = streams([*provider.events[:-1], LIMIT_SECONDS, asyncio.Event()])
    server = {"idle_timeout_seconds": LIMIT_SECONDS}

    async with nexus_with(of(provider, upstream), server=server) as nexus:
        events = events_of(await nexus.chat(stream=True))
        await upstream.last.closed.wait()

    assert events[-1]["error"]["code"] == "upstream_timeout"


@both
@pytest.mark.parametrize("piece", [b"x" * 65536, b'data: "' + b"x" * 60_000 + b'"\n'])
async def test_an_endless_line_or_event_is_given_up(
    provider: Provider, upstream: ScriptedUpstream, piece: bytes
) -> None:
    sent = 0

    async def script(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.send_head(
            200, [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
        )
        while not exchange.closed.is_set():
            await exchange.send_chunk(piece)
            sent += len(piece)

    upstream.script = script

    async with nexus_with(of(provider, upstream)) as nexus:
        answer = await nexus.chat(stream=True)
        await upstream.last.closed.wait()

    assert answer.status_code == 502
    assert sent < 32 * 1024 * 1024


@both
@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_the_upstream_exchange(
    provider: Provider, upstream: ScriptedUpstream, stream: bool
) -> None:
    upstream.script = streams([provider.events[0], asyncio.Event()]) if stream else hang
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": stream}

    async with nexus_with(of(provider, upstream)) as nexus:
        if stream:
            async with nexus.http.stream("POST", "/v1/chat/completions", json=body) as answer:
                await anext(answer.aiter_lines())
        else:
            asking = asyncio.ensure_future(nexus.http.post("/v1/chat/completions", json=body))
            await upstream.wait_for_requests(1)
            asking.cancel()
        async with asyncio.timeout(1):
            await upstream.last.closed.wait()
        in_flight = nexus.gateway.registry.snapshot(provider.type.value).in_flight

    assert in_flight == 0
