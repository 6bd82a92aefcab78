"""What every upstream engine promises, held against a server that misbehaves as scripted."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from nexus_core.upstream import create_engine
from nexus_core.upstream.base import (
    UpstreamConnectError,
    UpstreamConnectTimeoutError,
    UpstreamEngine,
    UpstreamRequest,
    UpstreamResponse,
)
from tests.faults.raw_server import (
    EVENT_STREAM,
    LAST_CHUNK,
    RawRequest,
    RawServer,
    answer_bytes,
    chunk_bytes,
    head_bytes,
    send,
    send_answer,
    send_sse,
)
from tests.waiting import pass_time, take_time

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter

SECRET = "sk-nobody-may-see-this"  # noqa: S105  nobody's


@pytest.fixture(params=["http1", "httpx"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[UpstreamEngine]:
    made = create_engine(request.param)
    yield made
    await made.close()


def post(url: str, body: bytes = b"{}", *headers: tuple[str, str]) -> UpstreamRequest:
    return UpstreamRequest("POST", f"{url}/v1/chat/completions", headers, body)


async def send_to(
    engine: UpstreamEngine, request: UpstreamRequest, connect_timeout_seconds: float = 5.0
) -> UpstreamResponse:
    async with asyncio.timeout(5):
        return await engine.send(request, connect_timeout_seconds=connect_timeout_seconds)


async def pieces_of(response: UpstreamResponse) -> list[bytes]:
    async with asyncio.timeout(5):
        pieces: list[bytes] = []
        while piece := await response.read():
            pieces.append(piece)
        return pieces


async def exchange(
    engine: UpstreamEngine, request: UpstreamRequest
) -> tuple[UpstreamResponse, bytes]:
    response = await send_to(engine, request)
    try:
        return response, b"".join(await pieces_of(response))
    finally:
        await response.close()


async def answer_ok(reader: Reader, writer: Writer, request: RawRequest) -> None:
    await send_answer(writer, b'{"ok": true}')


# The request


async def test_the_request_head_is_what_was_asked(engine: UpstreamEngine) -> None:
    async with RawServer(answer_ok) as upstream:
        headers = (("authorization", f"Bearer {SECRET}"), ("content-type", "application/json"))

        await exchange(engine, post(upstream.url, b'{"a": 1}', *headers))

        (request,) = upstream.requests
        assert (request.method, request.target) == ("POST", "/v1/chat/completions")
        assert request.names == {"host", "content-length", "authorization", "content-type"}
        assert request.header("host") == upstream.authority
        assert request.header("content-length") == "8"
        assert request.header("authorization") == f"Bearer {SECRET}"
        assert request.body == b'{"a": 1}'


async def test_a_get_carries_no_body_and_nothing_of_the_librarys(engine: UpstreamEngine) -> None:
    async with RawServer(answer_ok) as upstream:
        await exchange(engine, UpstreamRequest("GET", f"{upstream.url}/v1/models", ()))

        assert upstream.requests[0].names == {"host"}


async def test_an_empty_post_says_that_it_is_empty(engine: UpstreamEngine) -> None:
    async with RawServer(answer_ok) as upstream:
        await exchange(engine, post(upstream.url, b""))

        assert upstream.requests[0].header("content-length") == "0"


async def test_the_engine_frames_the_body_itself(engine: UpstreamEngine) -> None:
    async with RawServer(answer_ok) as upstream:
        framing = (("Content-Length", "1"), ("Transfer-Encoding", "chunked"))

        await exchange(engine, post(upstream.url, b'{"a": 1}', *framing))

        assert upstream.requests[0].header("transfer-encoding") is None
        assert upstream.requests[0].header("content-length") == "8"
        assert upstream.requests[0].body == b'{"a": 1}'


@pytest.mark.parametrize(
    "target",
    [
        "/models/a%2Fb%3Ac:generateContent",
        "/v1/models?x=%20&y=a+b",
        "/a/../b//c",
        "/v1?q='(*)|",
    ],
)
async def test_the_url_is_sent_as_given(engine: UpstreamEngine, target: str) -> None:
    async with RawServer(answer_ok) as upstream:
        await exchange(engine, UpstreamRequest("POST", f"{upstream.url}{target}", (), b"{}"))

        assert upstream.requests[0].target == target


async def test_a_large_body_arrives_whole(engine: UpstreamEngine) -> None:
    body = bytes(range(256)) * 4096 * 8  # 8 MiB

    async with RawServer(answer_ok) as upstream:
        await exchange(engine, post(upstream.url, body))

        assert upstream.requests[0].body == body


async def test_requests_share_a_connection(engine: UpstreamEngine) -> None:
    async with RawServer(answer_ok) as upstream:
        for _ in range(3):
            await exchange(engine, post(upstream.url))

        assert upstream.connections == 1


# The answer


async def test_pieces_come_when_they_are_sent(engine: UpstreamEngine) -> None:
    go_on = asyncio.Event()

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send_sse(writer, ["one"], finish=False)
        await go_on.wait()
        await send(writer, chunk_bytes(b"data: two\n\n") + LAST_CHUNK)

    async with RawServer(handler) as upstream:
        response = await send_to(engine, post(upstream.url))
        first = await response.read()
        go_on.set()
        rest = await pieces_of(response)
        await response.close()

    assert first == b"data: one\n\n"
    assert rest == [b"data: two\n\n"]


async def test_headers_come_in_order_in_lower_case_and_repeated(engine: UpstreamEngine) -> None:
    sent = [("X-B", "1"), EVENT_STREAM, ("x-A", "two  words"), ("X-b", "\xe9")]

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send_answer(writer, b"teapot", status=418, headers=sent)

    async with RawServer(handler) as upstream:
        response, body = await exchange(engine, post(upstream.url))

    assert response.status == 418
    assert response.headers == (
        *((name.lower(), value) for name, value in sent),
        ("content-length", "6"),
    )
    assert body == b"teapot"


async def test_interim_answers_are_passed_over(engine: UpstreamEngine) -> None:
    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send(writer, head_bytes(100) + head_bytes(103, [("Link", "x")]) + answer_bytes(b"ok"))

    async with RawServer(handler) as upstream:
        response, body = await exchange(engine, post(upstream.url))

    assert (response.status, body) == (200, b"ok")
    assert response.headers == (("content-length", "2"),)


async def test_gzip_stays_gzip(engine: UpstreamEngine) -> None:
    packed = gzip.compress(b"x" * 100_000)

    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send_answer(writer, packed, headers=[("Content-Encoding", "gzip")])

    async with RawServer(handler) as upstream:
        response, body = await exchange(engine, post(upstream.url))

    assert body == packed
    assert ("content-encoding", "gzip") in response.headers


async def test_a_body_without_framing_ends_with_the_connection(engine: UpstreamEngine) -> None:
    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send(writer, head_bytes() + b"all of it")
        writer.close()

    async with RawServer(handler) as upstream:
        _, body = await exchange(engine, post(upstream.url))

    assert body == b"all of it"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(engine: UpstreamEngine, status: int) -> None:
    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send_answer(writer, status=status, headers=[("Location", "/elsewhere")])

    async with RawServer(handler) as upstream:
        response, _ = await exchange(engine, post(upstream.url))

        assert response.status == status
        assert len(upstream.requests) == 1


async def test_a_cookie_is_not_sent_back(engine: UpstreamEngine) -> None:
    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await send_answer(writer, headers=[("Set-Cookie", "session=1; Path=/")])

    async with RawServer(handler) as upstream:
        for url in (upstream.url_by_name(), upstream.url_by_name(), upstream.url, upstream.url):
            await exchange(engine, post(url))

        assert [request.header("cookie") for request in upstream.requests] == [None] * 4


# No connection


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast("int", probe.getsockname()[1])


@contextmanager
def full_backlog(passing_seconds: float) -> Iterator[int]:
    """A port that completes no more connections: nobody accepts, and the queue is full.

    As soon as somebody tries to connect, so many seconds pass.
    """
    loop = asyncio.get_running_loop()
    connect = loop.sock_connect
    sockets = [socket.socket() for _ in range(8)]
    listener, *fillers = sockets

    async def connect_late(sock: socket.socket, address: tuple[str, int]) -> None:
        if address[1] == port:
            loop.call_soon(pass_time, passing_seconds)
        await connect(sock, address)

    try:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        port = listener.getsockname()[1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "sock_connect", connect_late)
            yield port
    finally:
        for each in sockets:
            each.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_refused_connection_says_so(engine: UpstreamEngine, host: str) -> None:
    request = post(f"http://{host}:{free_port()}")

    with pytest.raises(UpstreamConnectError, match=r"^connection refused$"):
        await send_to(engine, request)


async def test_no_connection_in_time(engine: UpstreamEngine) -> None:
    with full_backlog(2) as port:
        request = post(f"http://127.0.0.1:{port}")

        with pytest.raises(UpstreamConnectTimeoutError, match=r"^no connection within 2 s$"):
            await send_to(engine, request, connect_timeout_seconds=2)


async def test_the_connect_limit_does_not_hold_for_the_answer(engine: UpstreamEngine) -> None:
    async def handler(reader: Reader, writer: Writer, request: RawRequest) -> None:
        await take_time(3)
        await send_answer(writer, b"late")

    async with RawServer(handler) as upstream:
        response = await send_to(engine, post(upstream.url), connect_timeout_seconds=1)
        body = b"".join(await pieces_of(response))
        await response.close()

    assert body == b"late"


async def test_an_unknown_host_says_so(
    engine: UpstreamEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(*args: object, **kwargs: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nobody)

    with pytest.raises(UpstreamConnectError, match=r"^no such host$"):
        await send_to(engine, post("http://backend.invalid"))


async def test_a_failed_tls_handshake_says_so(engine: UpstreamEngine) -> None:
    async def greet(reader: Reader, writer: Writer) -> None:
        await reader.read(1)
        writer.write(b"220 this is not TLS\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]

        with pytest.raises(UpstreamConnectError, match=r"^TLS failed: "):
            await send_to(engine, post(f"https://127.0.0.1:{port}"))


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:1", "http://"])
async def test_what_is_no_http_address_is_a_connect_error(engine: UpstreamEngine, url: str) -> None:
    with pytest.raises(UpstreamConnectError, match=r"^invalid address$"):
        await send_to(engine, post(url))


async def test_after_close_nothing_is_sent(engine: UpstreamEngine) -> None:
    async with RawServer(answer_ok) as upstream:
        await engine.close()

        with pytest.raises(UpstreamConnectError, match=r"^the engine is closed$"):
            await send_to(engine, post(upstream.url))

        assert not upstream.requests
