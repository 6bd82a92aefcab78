"""Streams that say nothing for long: signs of life, and what becomes of an answer behind them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import openai
import pytest

from nexus_core.config.schema import QueueConfig, ServerConfig
from tests.contract.bodies import DONE, FIRST, HELLO, STOP, chat
from tests.contract.scripted_upstream import (
    Exchange,
    Script,
    answers,
    hang,
    silent_for,
    streams,
)
from tests.scenarios.messages import MESSAGES, SHORT, claude, recorded_stream, streamed
from tests.scenarios.nexus import (
    CHAT,
    Gate,
    Nexus,
    backend,
    hang_up,
    in_turn,
    running,
    say,
    upstreams,
)
from tests.waiting import take_time, until

COMMENT = b": waiting\n\n"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'
WHOLE = b"".join((FIRST, STOP, DONE))
SOON = ServerConfig(ping_seconds=2)
QUICK = ServerConfig(ping_seconds=2, first_byte_timeout_seconds=5)


def later(seconds: float, script: Script) -> Script:
    """The same after a silence."""

    async def waits(exchange: Exchange) -> None:
        await take_time(seconds)
        await script(exchange)

    return waits


@asynccontextmanager
async def asking(nexus: Nexus, **more: Any) -> AsyncIterator[httpx.Response]:
    """A streamed chat request whose answer is read as it comes."""
    async with nexus.http.stream("POST", CHAT, json=chat("m", stream=True), **more) as answer:
        yield answer


def told_inside(body: bytes) -> dict[str, str]:
    """The headers among the comments of a stream."""
    lines = [line for line in body.decode().splitlines() if line.startswith(": x-nexus-")]
    return dict(line[2:].split(": ", 1) for line in lines)


async def test_a_silent_model_gets_comments_before_its_answer() -> None:
    async with (
        upstreams(later(3, streams([FIRST, STOP, DONE]))) as (up,),
        running(backend("gpu", up.url), server=SOON) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    assert "x-nexus-request-id" in answer.headers
    assert "x-nexus-backend" not in answer.headers  # nobody knew who would answer
    assert answer.content.startswith(COMMENT)
    assert answer.content.endswith(b"\n\n" + WHOLE)
    told = told_inside(answer.content)
    assert (told["x-nexus-backend"], told["x-nexus-privacy-zone"]) == ("gpu", "restricted")


async def test_openais_client_reads_such_a_stream() -> None:
    async with (
        upstreams(later(3, streams([FIRST, 3, STOP, DONE]))) as (up,),
        running(backend("gpu", up.url), server=SOON) as nexus,
        openai.AsyncOpenAI(
            api_key="unused", base_url=f"{nexus.http.base_url}/v1", max_retries=0
        ) as client,
    ):
        hello: Any = [{"role": "user", "content": "hi"}]
        stream = await client.chat.completions.create(model="m", messages=hello, stream=True)
        chunks = [chunk async for chunk in stream]

    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_messages_get_ping_events_and_anthropics_client_reads_on() -> None:
    passed = recorded_stream("02-turn-1")
    async with (
        upstreams(in_turn(later(3, streams([passed])), later(3, streams([passed])))) as (up,),
        running(claude(up.url), server=SOON) as nexus,
    ):
        answer = await nexus.http.post(MESSAGES, json=SHORT | {"stream": True})
        message = await streamed(nexus, SHORT)

    assert answer.content.startswith(PING)
    assert answer.content.endswith(passed)
    assert "request-id" in answer.headers
    assert message.stop_reason is not None


async def test_a_backend_that_answers_in_time_is_not_touched() -> None:
    async with (
        upstreams(later(1, streams([FIRST, 1, STOP, DONE]))) as (up,),
        running(backend("gpu", up.url), server=SOON) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert answer.content == WHOLE
    assert answer.headers["x-nexus-backend"] == "gpu"


async def test_signs_stand_between_events_only() -> None:
    parts: list[bytes | float] = [
        HELLO,
        3,
        STOP[:-1],
        3,
        STOP[-1:],
        DONE,
    ]  # the blank line comes late
    async with (
        upstreams(streams(parts)) as (up,),
        running(backend("gpu", up.url), server=SOON) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert answer.content == b"".join((HELLO, COMMENT, STOP, DONE))


async def test_another_backend_answers_behind_a_sign() -> None:
    async with (
        upstreams(in_turn(later(3, hang_up)), say) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url), server=SOON
        ) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert answer.content.endswith(WHOLE)
    told = told_inside(answer.content)
    assert (told["x-nexus-backend"], told["x-nexus-route-reason"]) == ("second", "backend-failover")
    assert [failed.attempt.backend for failed in nexus.failed()] == ["first"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (later(3, hang_up), "ended"),
        (later(3, answers({"error": {"message": "out of memory"}}, 500)), "out of memory"),
        (later(3, answers({"error": {"message": "no such tool"}}, 400)), "no such tool"),
    ],
)
async def test_a_failure_behind_a_sign_is_an_event(script: Script, words: str) -> None:
    async with upstreams(script) as (up,), running(backend("gpu", up.url), server=SOON) as nexus:
        answer = await nexus.ask(stream=True)

    assert answer.status_code == 200
    last = answer.content.removesuffix(b"\n\n").rpartition(b"\n\n")[2]
    error = json.loads(last.removeprefix(b"data: "))["error"]
    assert error["message"].startswith('backend "gpu": ')
    assert b"[DONE]" not in answer.content
    assert words in error["message"] or words == "ended"
    (finished,) = nexus.finished()
    assert finished.status != 200


async def test_a_limit_that_passes_behind_a_sign_is_an_event() -> None:
    async with (
        upstreams(later(3, silent_for(3))) as (up,),
        running(claude(up.url), server=QUICK) as nexus,
    ):
        answer = await nexus.http.post(MESSAGES, json=SHORT | {"stream": True})

    assert answer.status_code == 200
    assert answer.content.startswith(PING)
    assert b"event: error" in answer.content
    assert b"no first byte within 5 s" in answer.content


async def test_who_waits_for_a_slot_gets_signs() -> None:
    queue = QueueConfig(enabled=True)
    async with (
        upstreams(in_turn(gate := Gate(), say)) as (up,),
        running(backend("gpu", up.url, max_concurrent=1), queue=queue, server=SOON) as nexus,
    ):
        holding = nexus.start(stream=True)
        await up.wait_for_requests(1)
        waiting = await nexus.start_waiting(1, stream=True)
        await take_time(3)
        gate.open()
        first, second = await holding, await waiting

    assert first.content.replace(COMMENT, b"") == WHOLE
    assert second.content.startswith(COMMENT)
    assert second.content.endswith(WHOLE)


async def test_a_queue_that_takes_too_long_is_told_inside() -> None:
    queue = QueueConfig(enabled=True, max_wait_seconds=6)
    async with (
        upstreams(in_turn(gate := Gate(), say)) as (up,),
        running(backend("gpu", up.url, max_concurrent=1), queue=queue, server=SOON) as nexus,
    ):
        holding = nexus.start(stream=True)
        await up.wait_for_requests(1)
        waiting = await nexus.start_waiting(1, stream=True)
        await take_time(3)
        await take_time(4)
        second = await waiting
        gate.open()
        await holding

    assert second.status_code == 200
    assert second.content.startswith(COMMENT)
    assert b'"code":"capacity_exceeded"' in second.content.replace(b'": "', b'":"')


async def test_a_client_that_leaves_behind_a_sign_ends_its_request() -> None:
    async with (
        upstreams(later(3, hang)) as (up,),
        running(backend("gpu", up.url), server=SOON) as nexus,
    ):
        async with asking(nexus) as answer:
            async for part in answer.aiter_raw():
                assert part == COMMENT
                break
        await asyncio.wait_for(up.last.closed.wait(), 1)
        await until(lambda: len(nexus.finished()) == 1)

    assert nexus.finished()[0].client_left


async def test_a_compressed_request_gets_signs_too() -> None:
    body = gzip.compress(json.dumps(chat("m", stream=True)).encode())
    async with (
        upstreams(later(3, streams([HELLO, 3, STOP, DONE]))) as (up,),
        running(backend("gpu", up.url), server=SOON) as nexus,
    ):
        headers = {"content-encoding": "gzip", "content-type": "application/json"}
        answer = await nexus.http.post(CHAT, content=body, headers=headers)

    assert answer.content.startswith(COMMENT)
    assert b"".join((HELLO, COMMENT, STOP, DONE)) in answer.content


@pytest.mark.parametrize(("seconds", "is_stream"), [(0, True), (2, False)])
async def test_no_sign_where_none_is_wanted_or_none_fits(seconds: float, is_stream: bool) -> None:
    async with (
        upstreams(later(3, say)) as (up,),
        running(backend("gpu", up.url), server=ServerConfig(ping_seconds=seconds)) as nexus,
    ):
        answer = await nexus.ask(stream=is_stream)

    assert b"waiting" not in answer.content
    assert answer.headers["x-nexus-backend"] == "gpu"


async def test_codex_is_told_a_failure_behind_a_sign_in_its_own_way() -> None:
    body = {"model": "m", "input": "hi", "stream": True}
    async with (
        upstreams(later(3, hang_up)) as (up,),
        running(backend("gpu", up.url), server=SOON) as nexus,
    ):
        answer = await nexus.http.post("/v1/responses", json=body)

    assert answer.status_code == 200
    assert answer.content.startswith(COMMENT)
    assert b"response.failed" in answer.content


async def test_lines_of_ollamas_get_no_sign() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    async with (
        upstreams(later(3, streams([HELLO, STOP, DONE]))) as (up,),
        running(backend("gpu", up.url), server=SOON) as nexus,
    ):
        answer = await nexus.http.post("/api/chat", json=body)

    assert answer.headers["x-nexus-backend"] == "gpu"
    assert all(json.loads(line) for line in answer.content.splitlines())
