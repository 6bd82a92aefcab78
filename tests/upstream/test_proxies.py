"""Ways through proxies, whichever engine is configured: what is sent, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from nexus_core.config.outbound_proxy import OutboundProxy, read_proxy_url
from nexus_core.upstream import create_engine, engine_for
from nexus_core.upstream.base import (
    UpstreamConnectError,
    UpstreamConnectTimeoutError,
    UpstreamEngine,
    UpstreamNotSentError,
    UpstreamRequest,
)
from nexus_core.upstream.http1 import Http1Engine
from tests.faults.raw_server import RawRequest, RawServer, hang, send_answer
from tests.upstream.proxies import HttpProxy, SocksProxy
from tests.upstream.test_engines import exchange, send_to
from tests.waiting import take_time

VENDOR = "http://api.vendor.example"  # only the proxy knows where it is
CONNECT_SECONDS = 20  # enough on a busy machine: the first connection also loads modules
SECRET = "hush-hush"  # noqa: S105  nobody's
KEY = ("authorization", "Bearer sk-0123456789abcdef")


@pytest.fixture(params=["http1", "httpx"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[UpstreamEngine]:
    made = create_engine(request.param)
    yield made
    await made.close()


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: RawRequest
) -> None:
    await send_answer(writer, b"well")


def post(proxy: str, url: str = VENDOR) -> UpstreamRequest:
    target = f"{url}/v1/chat/completions"
    return UpstreamRequest("POST", target, (KEY,), b"{}", read_proxy_url(proxy))


def with_credentials(url: str, password: str = SECRET) -> str:
    return url.replace("://", f"://me:{password}@")


PROXIES = pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])


@PROXIES
async def test_a_request_goes_through_the_proxy_and_arrives_as_it_is(
    engine: UpstreamEngine, kind: type[Any]
) -> None:
    async with RawServer(answer) as upstream, kind(upstream.url) as proxy:
        response, body = await exchange(engine, post(proxy.url))

        (request,) = upstream.requests
        assert (response.status, body) == (200, b"well")
        assert request.target == "/v1/chat/completions"
        assert request.header("host") == "api.vendor.example"
        assert request.header("authorization") == KEY[1]
        assert request.names == {"host", "content-length", "authorization"}
        assert proxy.connections == 1


async def test_a_socks_proxy_is_told_the_name_and_looks_it_up_itself(
    engine: UpstreamEngine,
) -> None:
    async with RawServer(answer) as upstream, SocksProxy(upstream.url) as proxy:
        await exchange(engine, post(proxy.url))
        await exchange(engine, post(proxy.url.replace("socks5", "socks5h")))

        assert proxy.asked == [("api.vendor.example", 80)] * 2


@pytest.mark.parametrize("path", ["/models/a%2Fb%3Ac:generateContent", "/v1/m?x=%20&y=a+b"])
@PROXIES
async def test_a_path_is_sent_as_it_was_asked(
    engine: UpstreamEngine, kind: type[Any], path: str
) -> None:
    async with RawServer(answer) as upstream, kind(upstream.url) as proxy:
        way = read_proxy_url(proxy.url)
        await exchange(engine, UpstreamRequest("POST", VENDOR + path, (), b"{}", way))

        assert upstream.requests[0].target == path


@PROXIES
async def test_the_proxys_password_goes_to_the_proxy_alone(
    engine: UpstreamEngine, kind: type[Any]
) -> None:
    async with (
        RawServer(answer) as upstream,
        kind(upstream.url, credentials=("me", SECRET)) as proxy,
    ):
        for _ in range(2):  # the second on a kept connection, if there is one
            await exchange(engine, post(with_credentials(proxy.url)))

        assert len(upstream.requests) == 2
        assert not [r for r in upstream.requests if "proxy-authorization" in r.names]


@pytest.mark.parametrize("given", [None, "wrong"])
@PROXIES
async def test_a_proxy_that_wants_a_password_is_told_and_no_password_is(
    engine: UpstreamEngine, kind: type[Any], given: str | None
) -> None:
    async with (
        RawServer(answer) as upstream,
        kind(upstream.url, credentials=("me", SECRET)) as proxy,
    ):
        url = with_credentials(proxy.url, given) if given else proxy.url
        with pytest.raises(UpstreamConnectError) as refused:
            await send_to(engine, post(url))

        told = str(refused.value)
        assert f"the proxy {proxy.url}" in told
        assert "user name and password" in told
        assert not [secret for secret in (SECRET, "wrong", "me:") if secret in told]
        assert upstream.requests == []


@pytest.mark.parametrize(
    ("refusal", "headers", "told"),
    [
        (407, "", "requires a user name and password (407); put them in the URL in HTTPS_PROXY"),
        (403, "X-Squid-Error: ERR_ACCESS_DENIED 0\r\n", "refuses to connect (403)"),
        (502, "Proxy-Status: p; error=dns_error\r\n", "could not connect: it answers (502)"),
    ],
)
async def test_a_proxys_own_refusal_is_no_answer_of_the_backend(
    engine: UpstreamEngine, refusal: int, headers: str, told: str
) -> None:
    async with HttpProxy("http://127.0.0.1:9", refusal=refusal, refusal_headers=headers) as proxy:
        with pytest.raises(UpstreamConnectError) as refused:
            await send_to(engine, post(proxy.url))

        assert str(refused.value) == f"the proxy {proxy.url} {told}"


@pytest.mark.parametrize("status", [403, 407, 502])
async def test_a_proxy_that_makes_no_tunnel_is_told(engine: UpstreamEngine, status: int) -> None:
    async with HttpProxy("http://127.0.0.1:9", refusal=status) as proxy:
        with pytest.raises(UpstreamConnectError, match=f"the proxy {proxy.url} .*({status})"):
            await send_to(engine, post(proxy.url, "https://api.vendor.example"))

        (asked,) = proxy.asked
        assert (asked.method, asked.target) == ("CONNECT", "api.vendor.example:443")
        assert "authorization" not in asked.headers


async def test_what_a_backend_answers_stays_its_answer(engine: UpstreamEngine) -> None:
    async def busy(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: RawRequest
    ) -> None:
        writer.write(b"HTTP/1.1 503 x\r\nContent-Length: 4\r\n\r\nbusy")

    async with RawServer(busy) as upstream, HttpProxy(upstream.url) as proxy:
        response, body = await exchange(engine, post(proxy.url))

        assert (response.status, body) == (503, b"busy")


@pytest.mark.parametrize(
    ("reply", "told"),
    [(2, "not allowed by proxy rules"), (4, "host unreachable"), (5, "connection refused")],
)
async def test_a_socks_proxy_says_why_it_does_not_connect(
    engine: UpstreamEngine, reply: int, told: str
) -> None:
    async with SocksProxy("http://127.0.0.1:9", reply=reply) as proxy:
        with pytest.raises(UpstreamConnectError) as refused:
            await send_to(engine, post(proxy.url))

        assert str(refused.value) == f"the proxy {proxy.url} could not connect: {told}"


@pytest.mark.parametrize("scheme", ["http", "https", "socks5"])
@pytest.mark.parametrize("target", [VENDOR, "https://api.vendor.example"])
async def test_a_proxy_that_is_not_there_is_told(
    engine: UpstreamEngine, scheme: str, target: str
) -> None:
    async with HttpProxy("http://127.0.0.1:9") as gone:
        port = gone.port

    with pytest.raises(UpstreamConnectError) as refused:
        await send_to(engine, post(with_credentials(f"{scheme}://127.0.0.1:{port}"), target))

    told = str(refused.value)
    assert told == f"connection refused, through the proxy {scheme}://127.0.0.1:{port}"


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_that_says_nothing_ends_with_the_connect_limit(
    engine: UpstreamEngine, scheme: str
) -> None:
    async def say_nothing(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: RawRequest
    ) -> None:
        await hang(reader)

    async with RawServer(say_nothing) as silent:
        proxy = silent.url.replace("http", scheme)
        with pytest.raises(UpstreamConnectTimeoutError, match=f"through the proxy {proxy}"):
            await send_to(engine, post(proxy, "https://v.example"), 0.2)


async def test_what_is_no_socks_proxy_is_told(engine: UpstreamEngine) -> None:
    async with NoProxy("http://127.0.0.1:9") as proxy:
        with pytest.raises(UpstreamConnectError, match="does not answer as a SOCKS5 proxy"):
            await send_to(engine, post(proxy.url))


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH_9.7\r\n"])
async def test_what_is_no_http_proxy_is_told(engine: UpstreamEngine, said: bytes) -> None:
    async def hang_up(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: RawRequest
    ) -> None:
        writer.write(said)
        writer.close()

    async with RawServer(hang_up) as proxy:
        with pytest.raises(UpstreamConnectError) as refused:
            await send_to(engine, post(proxy.url, "https://api.vendor.example"))

        assert str(refused.value) == f"the proxy {proxy.url} does not answer as an HTTP proxy"


class NoProxy(SocksProxy):
    """An HTTP server where SOCKS is expected."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read(3)


@PROXIES
async def test_nothing_is_sent_once_it_must_not_be(engine: UpstreamEngine, kind: type[Any]) -> None:
    async with RawServer(answer) as upstream, kind(upstream.url) as proxy:
        with pytest.raises(UpstreamNotSentError):
            await send_to(engine, replace(post(proxy.url), may_send=lambda: False))

        assert upstream.requests == []
        assert proxy.connections == 1


@PROXIES
async def test_a_stream_ends_without_the_connect_limit(
    engine: UpstreamEngine, kind: type[Any]
) -> None:
    done = asyncio.Event()

    async def slow(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: RawRequest
    ) -> None:
        await done.wait()
        await send_answer(writer, b"late")

    async with RawServer(slow) as upstream, kind(upstream.url) as proxy:
        sending = asyncio.ensure_future(
            engine.send(post(proxy.url), connect_timeout_seconds=CONNECT_SECONDS)
        )
        await upstream.wait_for_requests(1, CONNECT_SECONDS)
        await take_time(3 * CONNECT_SECONDS)
        was_done = sending.done()
        done.set()
        response = await sending
        await response.close()

        assert not was_done


@pytest.mark.parametrize(
    ("proxy", "chosen", "used"),
    [
        (None, "http1", "http1"),
        (None, "httpx", "httpx"),
        ("http://p", "http1", "httpx"),
        ("https://p", "http1", "httpx"),
        ("socks5://p", "http1", "httpx"),
        ("socks5h://p", "httpx", "httpx"),
    ],
)
def test_the_engine_that_can_is_used(proxy: str | None, chosen: Any, used: str) -> None:
    assert engine_for(None if proxy is None else read_proxy_url(proxy), chosen) == used


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_an_engine_that_cannot_never_goes_directly(scheme: str) -> None:
    engine = Http1Engine()
    async with RawServer(answer) as upstream:
        proxy = OutboundProxy(scheme, "p", 1)
        request = UpstreamRequest("POST", upstream.url, (), b"{}", proxy)
        with pytest.raises(UpstreamConnectError):
            await engine.send(request, connect_timeout_seconds=1)
        await engine.close()

        assert upstream.connections == 0
