"""What ends an exchange before its end."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from nexus_core.upstream.base import (
    UpstreamEngine,
    UpstreamProtocolError,
    UpstreamResponse,
)
from tests.faults.raw_server import (
    CHUNKED,
    LAST_CHUNK,
    RawRequest,
    RawServer,
    chunk_bytes,
    hang,
    head_bytes,
    send,
    send_sse,
)
from tests.upstream.test_engines import Reader, Writer, engine, pieces_of, post, send_to
from tests.waiting import turns

__all__ = ["engine"]


async def test_close_cuts_a_streaming_answer(engine: UpstreamEngine) -> None:
    gone = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send_sse(writer, ["one"], finish=False)
        await hang(reader)
        gone.set()

    async with RawServer(handler) as upstream:
        response = await send_to(engine, post(upstream.url))
        await response.read()

        await response.close()
        await response.close()

        async with asyncio.timeout(1):
            await gone.wait()


async def test_close_ends_a_read_that_waits(engine: UpstreamEngine) -> None:
    reading = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send_sse(writer, ["one"], finish=False)
        await hang(reader)

    async def read(response: UpstreamResponse) -> None:
        while await response.read():
            reading.set()

    async def read_in_vain(response: UpstreamResponse) -> None:
        with pytest.raises(UpstreamProtocolError):
            await read(response)

    async with RawServer(handler) as upstream:
        response = await send_to(engine, post(upstream.url))
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            tasks.create_task(read_in_vain(response))
            await reading.wait()
            await response.close()


async def test_cancelling_a_read_loses_nothing(engine: UpstreamEngine) -> None:
    go_on = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send_sse(writer, ["one"], finish=False)
        await go_on.wait()
        await send(writer, chunk_bytes(b"data: two\n\n") + LAST_CHUNK)

    async with RawServer(handler) as upstream:
        response = await send_to(engine, post(upstream.url))
        assert await response.read() == b"data: one\n\n"
        for _ in range(3):
            reading = asyncio.ensure_future(response.read())
            await turns(3)
            reading.cancel()
            await asyncio.wait([reading])
            assert reading.cancelled()
        go_on.set()

        assert await pieces_of(response) == [b"data: two\n\n"]
        assert await response.read() == b""  # however often it is asked
        await response.close()


async def test_a_body_that_was_cut_never_ends_well_however_often_it_is_read(
    engine: UpstreamEngine,
) -> None:
    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send_sse(writer, ["one"], finish=False)
        writer.close()

    async with RawServer(handler) as upstream:
        response = await send_to(engine, post(upstream.url))
        assert await response.read() == b"data: one\n\n"
        for _ in range(3):
            with pytest.raises(UpstreamProtocolError, match=r"^the answer ended early$"):
                await response.read()
        await response.close()
        with pytest.raises(UpstreamProtocolError):
            await response.read()


async def test_an_answer_never_read_is_closed_too(engine: UpstreamEngine) -> None:
    gone = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send_sse(writer, ["one"], finish=False)
        await hang(reader)
        gone.set()

    async with RawServer(handler) as upstream:
        response = await send_to(engine, post(upstream.url))

        await response.close()

        async with asyncio.timeout(1):
            await gone.wait()


async def test_cancelling_send_closes_the_connection(engine: UpstreamEngine) -> None:
    gone = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await hang(reader)
        gone.set()

    async with RawServer(handler) as upstream:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(
                engine.send(post(upstream.url), connect_timeout_seconds=5.0)
            )
            await upstream.wait_for_requests(1)
            sending.cancel()

        async with asyncio.timeout(1):
            await gone.wait()


async def test_cancelling_send_drops_what_the_server_does_not_read(
    engine: UpstreamEngine,
) -> None:
    cancelled = asyncio.Event()
    gone = asyncio.Event()
    received = 0

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        nonlocal received
        await cancelled.wait()
        with suppress(ConnectionError):  # as it ends where bytes of it were dropped
            while piece := await reader.read(64 * 1024):
                received += len(piece)
        gone.set()

    async with RawServer(handler, read_bodies=False) as upstream:
        body = b"x" * (64 * 1024 * 1024)
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(
                engine.send(post(upstream.url, body), connect_timeout_seconds=5.0)
            )
            await upstream.wait_for_requests(1)
            sending.cancel()
        cancelled.set()

        async with asyncio.timeout(1):
            await gone.wait()

    assert received < len(body) // 2


async def test_closing_the_engine_ends_what_streams(engine: UpstreamEngine) -> None:
    gone = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send(writer, head_bytes() + b"a body that lasts until the connection ends")
        await hang(reader)
        gone.set()

    async with RawServer(handler) as upstream:
        response = await send_to(engine, post(upstream.url))
        await response.read()

        async with asyncio.timeout(1):
            await engine.close()
            await gone.wait()

        with pytest.raises(UpstreamProtocolError):
            await response.read()
        await response.close()


async def test_a_slow_reader_slows_the_backend_down(engine: UpstreamEngine) -> None:
    written = 0
    stalled = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        nonlocal written
        await send(writer, head_bytes(200, [CHUNKED]))
        piece = chunk_bytes(b"x" * 64 * 1024)
        while written < 64 * 1024 * 1024:
            writer.write(piece)
            draining = asyncio.ensure_future(writer.drain())
            await turns(200)
            if draining.cancel():
                break
            written += len(piece)
        stalled.set()

    async with RawServer(handler) as upstream:
        response = await send_to(engine, post(upstream.url))
        await response.read()
        async with asyncio.timeout(10):
            await stalled.wait()
        await response.close()

    assert written < 16 * 1024 * 1024
