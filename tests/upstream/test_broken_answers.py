"""Answers that are cut, reset, endless or no HTTP."""

from __future__ import annotations

import asyncio

import pytest

from nexus_core.upstream.base import (
    MAX_HEAD_BYTES,
    UpstreamEngine,
    UpstreamProtocolError,
    UpstreamRequest,
)
from tests.faults.raw_server import (
    CHUNKED,
    Handler,
    RawRequest,
    RawServer,
    chunk_bytes,
    hang,
    head_bytes,
    reset,
    send,
    send_answer,
    send_half,
    send_sse,
)
from tests.upstream.test_engines import (
    SECRET,
    Reader,
    Writer,
    engine,
    exchange,
    pieces_of,
    post,
    send_to,
)

__all__ = ["engine"]


async def hang_up(reader: Reader, writer: Writer, request: RawRequest) -> None:
    writer.close()


async def hang_up_within_the_head(reader: Reader, writer: Writer, request: RawRequest) -> None:
    await send(writer, b"HTTP/1.1 200 OK\r\nContent-Type: text/")
    writer.close()


async def reset_before_the_answer(reader: Reader, writer: Writer, request: RawRequest) -> None:
    reset(writer)


@pytest.mark.parametrize("handler", [hang_up, hang_up_within_the_head, reset_before_the_answer])
async def test_no_answer_is_an_error_that_hides_the_query(
    engine: UpstreamEngine,
    handler: Handler,
) -> None:
    async with RawServer(handler) as upstream:
        request = UpstreamRequest("POST", f"{upstream.url}/v1?key={SECRET}", (), b"{}")

        with pytest.raises(UpstreamProtocolError) as caught:
            await send_to(engine, request)

        assert str(caught.value) == "the connection closed before an answer came"


async def cut_content_length(reader: Reader, writer: Writer, request: RawRequest) -> None:
    await send_half(writer, b"x" * 1000)


async def cut_between_chunks(reader: Reader, writer: Writer, request: RawRequest) -> None:
    await send_sse(writer, ["one"], finish=False)
    writer.close()


async def cut_within_a_chunk(reader: Reader, writer: Writer, request: RawRequest) -> None:
    await send(writer, head_bytes(200, [CHUNKED]) + b"ff\r\nhalf of")
    writer.close()


@pytest.mark.parametrize("handler", [cut_content_length, cut_between_chunks, cut_within_a_chunk])
async def test_a_cut_body_is_never_a_whole_one(engine: UpstreamEngine, handler: Handler) -> None:
    async with RawServer(handler) as upstream:
        response = await send_to(engine, post(upstream.url))

        with pytest.raises(UpstreamProtocolError, match=r"^the answer ended early$"):
            await pieces_of(response)

        await response.close()


async def test_a_malformed_chunk_ends_the_reading(engine: UpstreamEngine) -> None:
    has_a_piece = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send_sse(writer, ["one"], finish=False)
        await has_a_piece.wait()
        await send(writer, b"no size\r\nat all\r\n")
        await hang(reader)

    async with RawServer(handler) as upstream:
        response = await send_to(engine, post(upstream.url))
        await response.read()
        has_a_piece.set()

        with pytest.raises(UpstreamProtocolError, match=r"^the answer ended early$"):
            async with asyncio.timeout(5):
                await response.read()

        await response.close()


@pytest.mark.parametrize("framing", [(), (CHUNKED,), (("Content-Length", "100"),)])
async def test_a_reset_is_no_end(
    engine: UpstreamEngine, framing: tuple[tuple[str, str], ...]
) -> None:
    has_a_piece = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        piece = chunk_bytes(b"piece") if CHUNKED in framing else b"piece"
        await send(writer, head_bytes(200, framing) + piece)
        await has_a_piece.wait()
        reset(writer)

    async with RawServer(handler) as upstream:
        response = await send_to(engine, post(upstream.url))
        assert await response.read() == b"piece"
        has_a_piece.set()

        with pytest.raises(UpstreamProtocolError, match=r"^the answer ended early$"):
            await response.read()

        await response.close()


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"\x16\x03\x01\x02\x00" * 10 + b"\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Evil: a\0b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Evil: a\rb\r\n\r\n",
    ],
)
async def test_garbage_is_not_http(engine: UpstreamEngine, garbage: bytes) -> None:
    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send(writer, garbage)
        await hang(reader)

    async with RawServer(handler) as upstream:
        with pytest.raises(UpstreamProtocolError, match=r"^not HTTP: [ -~]+$"):
            await send_to(engine, post(upstream.url))


async def test_an_error_repeats_nothing_of_the_answer(engine: UpstreamEngine) -> None:
    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send(writer, f"{SECRET}\r\nis wrong\r\n\r\n".encode())
        await hang(reader)

    async with RawServer(handler) as upstream:
        with pytest.raises(UpstreamProtocolError) as caught:
            await send_to(engine, post(upstream.url))

        assert SECRET not in str(caught.value)


async def endless_value(reader: Reader, writer: Writer, request: RawRequest) -> None:
    await send(writer, b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        await send(writer, b"x" * 8192)


async def endless_lines(reader: Reader, writer: Writer, request: RawRequest) -> None:
    await send(writer, b"HTTP/1.1 200 OK\r\n")
    while True:
        await send(writer, b"X-Long: xxxxxxxxxxxxxxxxxxxxxxxxxx\r\n" * 16)


async def endless_reason(reader: Reader, writer: Writer, request: RawRequest) -> None:
    await send(writer, b"HTTP/1.1 200 ")
    while True:
        await send(writer, b"OK " * 1024)


async def slightly_too_long(reader: Reader, writer: Writer, request: RawRequest) -> None:
    line = ("X-Long", "x" * (MAX_HEAD_BYTES // 4))
    await send_answer(writer, b"{}", headers=[line] * 4)
    await hang(reader)


@pytest.mark.parametrize(
    "handler", [endless_value, endless_lines, endless_reason, slightly_too_long]
)
async def test_a_head_beyond_the_limit_is_refused(engine: UpstreamEngine, handler: Handler) -> None:
    async with RawServer(handler) as upstream:
        with pytest.raises(UpstreamProtocolError, match=r"^the answer's headers are larger"):
            await send_to(engine, post(upstream.url))


async def test_a_long_head_within_the_limit_is_read(engine: UpstreamEngine) -> None:
    value = "x" * (MAX_HEAD_BYTES - 1024)

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send_answer(writer, b"{}", headers=[("X-Long", value)])

    async with RawServer(handler) as upstream:
        response, _ = await exchange(engine, post(upstream.url))

    assert ("x-long", value) in response.headers
