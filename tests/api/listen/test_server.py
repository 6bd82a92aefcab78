"""What a client may do to the listening socket itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from nexus_core.api.listen import server
from nexus_core.config.schema import Config, ServerConfig
from nexus_core.gateway import Gateway
from tests.running import served
from tests.waiting import hasten

BODY = b'{"model":"m","messages":[{"role":"user","content":"x"}]}'


@asynccontextmanager
async def nexus(**settings: object) -> AsyncIterator[int]:
    """A Nexus without backends in this loop; gives its port."""
    async with served(Gateway(Config(server=ServerConfig.model_validate(settings)))) as url:
        yield httpx.URL(url).port or 0


async def talk(port: int, *parts: bytes) -> bytes:
    """Send the parts and read until the server closes or resets the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        async with asyncio.timeout(10):
            for part in parts:
                writer.write(part)
                await writer.drain()
            while more := await reader.read(65536):
                answer += more
    except ConnectionError:
        pass
    finally:
        writer.close()
    return answer


def post(*extra: bytes, length: int | None = None) -> bytes:
    lines = [b"POST /v1/chat/completions HTTP/1.1", b"Host: localhost", b"Connection: close"]
    if length is not None:
        lines.append(b"Content-Length: %d" % length)
    return b"\r\n".join([*lines, *extra, b"", b""])


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def test_a_request_in_single_bytes_is_understood() -> None:
    request = post(length=len(BODY)) + BODY

    async with nexus() as port:
        answer = await talk(port, *(request[i : i + 1] for i in range(len(request))))

    assert status(answer) == 404
    assert b"model_not_found" in answer


@pytest.mark.parametrize("chunk", [1000, 70_000])
async def test_a_head_over_64_kib_is_refused(chunk: int) -> None:
    filler = b"x-filler: " + b"x" * chunk + b"\r\n"

    async with nexus() as port:
        answer = await talk(port, post()[:-2], *[filler] * (80_000 // chunk + 1))

    assert status(answer) == 431


async def test_a_head_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "RECEIPT_TIMEOUT_SECONDS", 5)

    async with nexus() as port:
        begun = b"POST /v1/chat/completions HTTP/1.1\r\nHost: loc"
        answer = await hasten(talk(port, begun), 1)

    assert answer == b""


async def test_a_small_answer_is_sent_at_once() -> None:
    """On a kept connection the rest of it would else wait for an acknowledgement, some 40 ms."""
    accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def note(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = writer.get_extra_info("socket")
        accepted.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listener = server.bind("127.0.0.1", 0)
    async with await asyncio.start_server(note, sock=listener):
        _, writer = await asyncio.open_connection(*listener.getsockname())
        no_delay = await accepted
        writer.close()
        await writer.wait_closed()

    assert no_delay


async def test_keep_alive_serves_one_request_after_another() -> None:
    health = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    async with nexus() as port:
        answer = await talk(port, health, health, last)

    assert answer.count(b"HTTP/1.1 200") == 3


SMUGGLED = b"0\r\n\r\nGET /nexus/state HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Content-Length: 5", b"Content-Length: 50"),
        (b"Transfer-Encoding : chunked",),
        (b"Content-Length: +5",),
        (b"X-A: b\rX-C: d", b"Content-Length: 5"),
        (b"X-A: b\0c", b"Content-Length: 5"),
        (b"Transfer-Encoding: chunked, identity",),
    ],
)
async def test_two_readings_of_one_request_are_refused(headers: tuple[bytes, ...]) -> None:
    async with nexus() as port:
        answer = await talk(port, post(*headers) + SMUGGLED)

    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"started_at" not in answer


@pytest.mark.parametrize("is_declared", [True, False])
async def test_a_body_over_the_limit_is_a_413_that_can_be_read(is_declared: bool) -> None:
    size = 4 * 1024 * 1024
    head = post(length=size) if is_declared else post(b"Transfer-Encoding: chunked")
    body = b"x" * size if is_declared else b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n"

    async with nexus(max_body_bytes=1024) as port:
        answer = await talk(port, head, body)

    assert status(answer) == 413
    assert b"payload_too_large" in answer
    assert b"max_body_bytes (1024 bytes)" in answer


async def test_errors_of_the_door_are_counted() -> None:
    async with nexus() as port:
        await talk(port, post(length=2) + b"{}")
        answer = await talk(
            port, b"GET /v1/stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        )

    assert b'"refused":1' in answer
    assert b'"400":1' in answer
