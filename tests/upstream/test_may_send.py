"""A request that is no longer wanted once there is a connection is not sent on it."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from nexus_core.upstream.base import UpstreamEngine, UpstreamNotSentError
from nexus_core.upstream.http1 import Http1Engine
from tests.faults.raw_server import RawRequest, RawServer, send_answer
from tests.upstream.test_engines import engine, pieces_of, post, send_to
from tests.waiting import turns

__all__ = ["engine"]


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: RawRequest
) -> None:
    await send_answer(writer, b"well")


async def test_it_is_asked_when_there_is_a_connection_and_before_anything_is_sent(
    engine: UpstreamEngine,
) -> None:
    async with RawServer(answer) as upstream:
        held_back = replace(post(upstream.url), may_send=lambda: False)
        with pytest.raises(UpstreamNotSentError, match="before the request was sent"):
            await send_to(engine, held_back)

        response = await send_to(engine, post(upstream.url))
        body = b"".join(await pieces_of(response))

    assert body == b"well"
    assert upstream.connections == 2
    assert len(upstream.requests) == 1


async def test_it_is_asked_for_a_kept_connection_too(engine: UpstreamEngine) -> None:
    left = [True, False]
    async with RawServer(answer) as upstream:
        request = replace(post(upstream.url), may_send=lambda: left.pop(0))
        response = await send_to(engine, request)
        await pieces_of(response)
        await response.close()
        with pytest.raises(UpstreamNotSentError):
            await send_to(engine, request)

    assert left == []
    assert len(upstream.requests) == 1


LARGE = b"x" * (32 * 1024 * 1024)  # more than sockets hold


async def test_a_large_request_that_is_on_its_way_is_stopped_where_it_may_not_go_on() -> None:
    arrives, may_read, engine = asyncio.Event(), asyncio.Event(), Http1Engine()
    read = 0

    async def slow(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: RawRequest
    ) -> None:
        nonlocal read
        arrives.set()
        await may_read.wait()
        while data := await reader.read(1024 * 1024):
            read += len(data)

    may_send = True
    async with RawServer(slow, read_bodies=False) as upstream:
        request = replace(post(upstream.url, LARGE), may_send=lambda: may_send)
        sending = asyncio.ensure_future(send_to(engine, request))
        await arrives.wait()
        engine.stop_unsent()
        await turns()
        assert not sending.done()

        may_send = False
        engine.stop_unsent()
        with pytest.raises(UpstreamNotSentError):
            await sending
        may_read.set()

    assert read < len(LARGE)
    await engine.close()
