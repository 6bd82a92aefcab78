"""One connection, one answer each: what is left over is nobody's."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from nexus_core.upstream.base import (
    UpstreamEngine,
    UpstreamProtocolError,
)
from tests.faults.raw_server import (
    CHUNKED,
    LAST_CHUNK,
    Handler,
    RawRequest,
    RawServer,
    answer_bytes,
    chunk_bytes,
    head_bytes,
    send,
    send_answer,
)
from tests.upstream.test_engines import Reader, Writer, engine, exchange, post, send_to

__all__ = ["engine"]

FORGED = answer_bytes(b"forged", headers=[("X-Forged", "1")])


async def surplus_with_the_answer(reader: Reader, writer: Writer, request: RawRequest) -> None:
    await send(writer, answer_bytes(b"honest") + FORGED)


async def surplus_with_the_body(reader: Reader, writer: Writer, request: RawRequest) -> None:
    whole = answer_bytes(b"honest")
    await send(writer, whole[:-6])
    await send(writer, whole[-6:] + FORGED)


async def surplus_after_chunks(reader: Reader, writer: Writer, request: RawRequest) -> None:
    body = chunk_bytes(b"honest") + LAST_CHUNK
    await send(writer, head_bytes(200, [CHUNKED]) + body + FORGED)


@pytest.mark.parametrize(
    "handler", [surplus_with_the_answer, surplus_with_the_body, surplus_after_chunks]
)
async def test_surplus_bytes_are_not_the_next_answer(
    engine: UpstreamEngine, handler: Handler
) -> None:
    async with RawServer(handler) as upstream:
        for number in range(1, 4):
            response, body = await exchange(engine, post(upstream.url))

            assert body == b"honest"
            assert "x-forged" not in dict(response.headers)
            assert upstream.connections == number


async def test_a_wrong_length_spoils_its_own_exchange_only(engine: UpstreamEngine) -> None:
    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        surplus = b" and more than its length says" if request.connection == 1 else b""
        await send(writer, answer_bytes(b"honest") + surplus)

    async with RawServer(handler) as upstream:
        # Whether the surplus is seen in time depends on how the bytes came in.
        with suppress(UpstreamProtocolError):
            _, body = await exchange(engine, post(upstream.url))
            assert body == b"honest"

        _, body = await exchange(engine, post(upstream.url))

        assert body == b"honest"
        assert upstream.connections == 2


@pytest.mark.parametrize("ending", [FORGED, b""])
async def test_what_comes_on_an_idle_connection_spoils_it(
    engine: UpstreamEngine, ending: bytes
) -> None:
    done = asyncio.Event()
    sent = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send_answer(writer, b"honest")
        if request.connection > 1:
            return
        await done.wait()
        if ending:
            await send(writer, ending)
        else:
            writer.close()
        sent.set()

    async with RawServer(handler) as upstream:
        await exchange(engine, post(upstream.url))
        done.set()
        await sent.wait()
        _, body = await exchange(engine, post(upstream.url))

        assert body == b"honest"
        assert [request.connection for request in upstream.requests] == [1, 2]


async def test_a_post_on_a_connection_that_breaks_is_not_sent_twice(
    engine: UpstreamEngine,
) -> None:
    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        if len(upstream.requests) > 1:
            writer.close()
            return
        await send_answer(writer, b"{}")

    async with RawServer(handler) as upstream:
        await exchange(engine, post(upstream.url))

        with pytest.raises(UpstreamProtocolError, match=r"^the connection closed before an answer"):
            await send_to(engine, post(upstream.url))

        assert [request.connection for request in upstream.requests] == [1, 1]
