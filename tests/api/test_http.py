"""HTTP/1 as clients and checkers really speak it, over a socket and in raw bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import pytest

from nexus_core.api.listen import server
from nexus_core.config.schema import Config, ServerConfig
from nexus_core.gateway import Gateway
from tests.api.in_thread import in_thread
from tests.api.listen.test_server import BODY, nexus, post, status, talk
from tests.contract.bodies import DONE, FIRST, HELLO, STOP, chat
from tests.contract.scripted_upstream import hang, streams
from tests.scenarios.nexus import backend, running, say, upstreams
from tests.waiting import hasten, take_time

LAST = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
LIMIT = 1024 * 1024


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where a Nexus without backends listens."""
    with in_thread(lambda: Gateway(Config(server=ServerConfig(max_body_bytes=LIMIT)))) as found:
        yield found


SETTINGS = b"HTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA"


def offering(
    *headers: bytes, method: bytes = b"POST", path: bytes = b"/v1/chat/completions"
) -> bytes:
    lines = [b"%b %b HTTP/1.1" % (method, path), b"Host: localhost", *headers]
    return b"\r\n".join([*lines, b"", b""])


def sized(*headers: bytes) -> bytes:
    return offering(*headers, b"Content-Length: %d" % len(BODY)) + BODY


def chunked(*headers: bytes) -> bytes:
    middle = len(BODY) // 2
    parts = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in (BODY[:middle], BODY[middle:]))
    return offering(*headers, b"Transfer-Encoding: chunked") + parts + b"0\r\n\r\n"


# How a client says that it would rather speak something else.
OFFERS = {
    "java": (b"Connection: Upgrade, HTTP2-Settings", SETTINGS, b"Upgrade: h2c"),
    "go": (b"Upgrade: h2c", b"Connection: upgrade,http2-settings", SETTINGS),
    "in two lines": (b"Connection: HTTP2-Settings", b"Connection: Upgrade", b"Upgrade: h2c"),
    "curl": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", SETTINGS),
    "websocket": (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13"),
    "tls": (b"Connection: keep-alive, Upgrade", b"Upgrade: TLS/1.2"),
    "several": (b"Connection: Upgrade", b"Upgrade: HTTP/2.0, SHTTP/1.3, IRC/6.9"),
    "nothing": (b"Connection: Upgrade", b"Upgrade:"),
    "without Connection": (b"Upgrade: h2c",),
}


@pytest.mark.parametrize("write", [sized, chunked])
@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
async def test_an_offer_to_upgrade_is_declined_and_the_request_served(
    port: int, offer: tuple[bytes, ...], write: type
) -> None:
    answer = await talk(port, write(*offer) + write(*offer) + LAST)

    assert answer.count(b"HTTP/1.1 404") == answer.count(b"model_not_found") == 2
    assert answer.count(b"HTTP/1.1 200") == 1
    assert b" 101 " not in answer


@pytest.mark.parametrize("write", [sized, chunked])
async def test_an_offer_in_single_bytes_is_understood(port: int, write: type) -> None:
    request = write(*OFFERS["java"]) + LAST

    answer = await talk(port, *(request[i : i + 1] for i in range(len(request))))

    assert answer.count(b"HTTP/1.1 404") == 1
    assert answer.count(b"HTTP/1.1 200") == 1


async def test_offers_without_a_body_are_declined_however_many_come_at_once(port: int) -> None:
    offer = offering(*OFFERS["websocket"], method=b"GET", path=b"/health")

    answer = await talk(port, offer * 1500 + LAST)

    assert answer.count(b"HTTP/1.1 200") == 1501


@pytest.mark.parametrize(
    "path", [b"/v1/responses", b"/v1/realtime", b"/v1/responses?model=x", b"/v1/chat/completions"]
)
async def test_a_websocket_is_refused_with_a_426_and_nothing_is_logged(
    port: int, path: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    offer = offering(*OFFERS["websocket"], b"Sec-WebSocket-Key: x", method=b"GET", path=path)

    with caplog.at_level("INFO"):
        answer = await talk(port, offer + offer + LAST)

    assert status(answer) == 426
    assert answer.count(b"HTTP/1.1 426") == 2
    assert b"upgrade: HTTP/1.1" in answer
    assert b"not served over a websocket; use " in answer
    assert answer.count(b"HTTP/1.1 200") == 1
    assert caplog.records == []


async def test_a_path_that_never_had_one_is_no_websocket_either(port: int) -> None:
    offer = offering(*OFFERS["websocket"], b"Sec-WebSocket-Key: x", method=b"GET", path=b"/nowhere")

    assert status(await talk(port, offer + LAST)) == 404


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Content-Length: 5", b"Content-Length: 50"),
        (b"Transfer-Encoding: chunked, identity",),
    ],
)
async def test_an_offer_hides_no_second_reading(port: int, headers: tuple[bytes, ...]) -> None:
    smuggled = b"0\r\n\r\nGET /nexus/state HTTP/1.1\r\nHost: localhost\r\n\r\n"

    answer = await talk(port, offering(*OFFERS["java"], *headers) + smuggled)

    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_the_limit_of_a_head_holds_for_offers_too(port: int) -> None:
    filler = b"x-filler: " + b"x" * 70_000

    answer = await talk(port, offering(*OFFERS["java"])[:-2] + filler)

    assert status(answer) == 431


@pytest.mark.parametrize("offer", [(), OFFERS["java"]], ids=["plain", "offer"])
async def test_head_and_body_have_one_time_together(
    monkeypatch: pytest.MonkeyPatch, offer: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(server, "RECEIPT_TIMEOUT_SECONDS", 5)  # of a head; a body has 30 s
    head = offering(*offer, b"Connection: close", b"Content-Length: 9")

    async with nexus() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head[:20])
        await talk(port, LAST)  # by now that has been read
        writer.write(head[20:])
        await take_time(5)
        answer = await hasten(reader.read(), 1)
        writer.close()

    assert status(answer) == 400
    assert b"did not arrive within" in answer


async def test_a_backend_sees_nothing_of_an_offer() -> None:
    body = json.dumps(chat("m")).encode()
    async with upstreams(say) as (up,), running(backend("a", up.url)) as nexus:
        length = b"Content-Length: %d" % len(body)
        answer = await talk(
            nexus.http.base_url.port or 0,
            offering(b"Connection: Upgrade, HTTP2-Settings, close", b"Upgrade: h2c", length) + body,
        )

    assert status(answer) == 200
    assert up.last.body == body
    assert up.last.header("upgrade") is None
    assert up.last.header("http2-settings") is None


# --- HTTP/1.0 ---------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [(), (b"Connection: keep-alive",), (b"Expect: 100-continue",)])
async def test_a_stream_for_http_1_0_ends_with_the_connection(extra: tuple[bytes, ...]) -> None:
    body = json.dumps(chat("m", stream=True)).encode()
    lines = [b"POST /v1/chat/completions HTTP/1.0", b"Host: localhost", *extra]
    head = b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", b""])
    parts = [FIRST, STOP, DONE]

    async with (
        upstreams(streams(parts)) as (up,),
        running(backend("a", up.url)) as nexus,
    ):
        answer = await talk(nexus.http.base_url.port or 0, head + body)

    told, _, streamed = answer.partition(b"\r\n\r\n")
    assert status(answer) == 200
    assert b"transfer-encoding" not in told.lower()
    assert b"connection: close" in told.lower()
    assert streamed == b"".join(parts)


async def test_a_broken_stream_for_http_1_0_ends_with_its_error_event() -> None:
    body = json.dumps(chat("m", stream=True)).encode()
    head = b"POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\n"

    async with (
        upstreams(streams([FIRST, HELLO], is_whole=False)) as (up,),
        running(backend("a", up.url)) as nexus,
    ):
        answer = await talk(
            nexus.http.base_url.port or 0,
            head + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        )

    streamed = answer.partition(b"\r\n\r\n")[2]
    assert streamed.startswith(FIRST + HELLO)
    assert streamed.endswith(b"}\n\n")
    assert b'data: {"error"' in streamed
    assert b"[DONE]" not in streamed


@pytest.mark.parametrize(
    ("request_line", "expected"),
    [
        (b"GET /health HTTP/1.0", 200),
        (b"HEAD /health HTTP/1.0", 405),
        (b"OPTIONS / HTTP/1.0", 404),
        (b"GET /metrics HTTP/1.0", 200),
        (b"GET /nexus/state HTTP/1.0", 200),
        (b"POST /v1/chat/completions HTTP/1.0", 400),
    ],
)
async def test_http_1_0_is_answered_in_its_terms(
    port: int, request_line: bytes, expected: int
) -> None:
    answer = await talk(port, request_line + b"\r\nHost: localhost\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert status(answer) == expected
    assert b"transfer-encoding" not in fields
    assert fields[b"connection"] == b"close"
    assert request_line.startswith(b"HEAD") or int(fields[b"content-length"]) == len(body)


# --- the rest of the protocol -----------------------------------------------------------------


async def test_a_client_that_waits_for_100_continue_gets_it(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(post(b"Expect: 100-continue", length=len(BODY)))
    async with asyncio.timeout(10):
        interim = await reader.readuntil(b"\r\n\r\n")
        writer.write(BODY)
        answer = await reader.read()
    writer.close()

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert status(answer) == 404


async def test_a_body_that_is_too_large_is_refused_before_100_continue(port: int) -> None:
    answer = await talk(port, post(b"Expect: 100-continue", length=LIMIT + 1))

    assert status(answer) == 413
    assert b"100 Continue" not in answer


FRAMED = (b"Transfer-Encoding: chunked", b"Connection: close")
CHUNKED = offering(*FRAMED)


@pytest.mark.parametrize(
    "line", [b"Host: evil.example", b"X-Nexus-Min-Tier: 9", b"Origin: null", b"Authorization: x"]
)
async def test_a_trailer_is_no_part_of_the_head(port: int, line: bytes) -> None:
    answer = await talk(port, CHUNKED + b"%x\r\n%b\r\n0\r\n%b\r\n\r\n" % (len(BODY), BODY, line))

    assert status(answer) == 404
    assert b"model_not_found" in answer


@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/nexus/zones/open", b"/nowhere"])
@pytest.mark.parametrize(
    "begun", [b"0\r\nX-A: ", b"1;a=", b"1\r\n{\r\n1;a="], ids=["trailer", "extension", "later"]
)
async def test_what_stands_around_chunks_has_the_limit_of_a_head(
    port: int, path: bytes, begun: bytes
) -> None:
    head = offering(*FRAMED, b"Content-Type: application/json", path=path)

    answer = await talk(port, head + begun, *[b"x" * 200_000] * 4)

    assert status(answer) == 431
    assert answer.count(b"HTTP/1.1 ") == 1


async def test_chunks_of_one_byte_with_extensions_are_read(port: int) -> None:
    chunks = b"".join(b"1;%b\r\n%b\r\n" % (b"a" * 3000, BODY[i : i + 1]) for i in range(len(BODY)))

    answer = await talk(port, CHUNKED + chunks + b"0\r\n\r\n")

    assert b"model_not_found" in answer


async def test_a_head_that_is_too_large_is_no_answer_to_the_request_before_it() -> None:
    body = json.dumps(chat("m")).encode()
    first = offering(b"Content-Length: %d" % len(body)) + body
    filler = b"GET /health HTTP/1.1\r\nx-filler: " + b"x" * 70_000

    async with upstreams(hang) as (up,), running(backend("a", up.url)) as nexus:
        reader, writer = await asyncio.open_connection("127.0.0.1", nexus.http.base_url.port)
        writer.write(first)
        await up.wait_for_requests(1)
        writer.write(filler)
        answer = await reader.read()
        writer.close()

    assert answer == b""


@pytest.mark.parametrize(
    "request_line",
    [
        b"post /v1/chat/completions HTTP/1.1",
        b"get /health HTTP/1.1",
        b"BREW /health HTTP/1.1",
        b"CONNECT localhost:80 HTTP/1.1",
        b"CONNECT /health HTTP/1.1",
        b"GET health HTTP/1.1",
        b"GET /he alth HTTP/1.1",
        b"GET /v1/models/\xff HTTP/1.1",
        b"GET http://localhost:99999999999999/health HTTP/1.1",
        b"PRI * HTTP/2.0",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
)
async def test_what_is_no_http_request_is_a_400_in_the_envelope(
    port: int, request_line: bytes
) -> None:
    answer = await talk(port, request_line + b"\r\nHost: localhost\r\n\r\n")

    head, _, body = answer.partition(b"\r\n\r\n")
    assert status(answer) == 400
    assert b"application/json" in head
    assert json.loads(body)["error"]["type"] == "invalid_request_error"
