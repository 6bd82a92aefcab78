"""Which requests the connection's own protocol serves, and that nobody can tell."""

from __future__ import annotations

import asyncio
import gzip
import json
import logging
import re
from contextlib import suppress
from typing import Any

import pytest

from nexus_core.api.app import FrontDoor
from nexus_core.api.listen import connections
from nexus_core.config.schema import AuthConfig, ClientKey, ServerConfig
from nexus_core.proxy.forward import Forwarder
from nexus_core.proxy.streams.relay import StreamRelay
from tests.api.listen.test_server import status, talk
from tests.contract.bodies import ANSWER, DONE, FIRST, HELLO, STOP, chat, event
from tests.contract.scripted_upstream import Exchange, Script, answers, hang, streams
from tests.scenarios.nexus import Nexus, backend, running, say, upstreams
from tests.waiting import turns, until

PATH = b"/v1/chat/completions"
BODY = json.dumps(chat("m")).encode()
STREAM = json.dumps(chat("m", stream=True)).encode()
GZIPPED = gzip.compress(BODY)


def post(*headers: bytes, body: bytes = BODY, path: bytes = PATH, version: bytes = b"1.1") -> bytes:
    """A whole request; a body has its length in the head, unless that says otherwise."""
    lines = [b"POST %b HTTP/%b" % (path, version), b"Host: localhost", *headers]
    if not any(line.lower().startswith(b"transfer-encoding") for line in headers):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", body])


CLOSE = b"Connection: close"
CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)


@pytest.fixture
def through_asgi(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that ASGI was asked for, by every connection."""
    seen: list[str] = []
    front_door = FrontDoor.__call__

    async def noting(door: FrontDoor, scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await front_door(door, scope, receive, send)

    monkeypatch.setattr(FrontDoor, "__call__", noting)
    return seen


def port_of(nexus: Nexus) -> int:
    return nexus.http.base_url.port or 0


@pytest.mark.parametrize(
    ("parts", "is_direct"),
    [
        ((post(CLOSE),), True),
        ((post(CLOSE, body=STREAM),), True),
        ((post(CLOSE)[: -len(BODY)], BODY), True),
        ((post(CLOSE)[:20], post(CLOSE)[20:-9], BODY[-9:]), True),
        ((post(CLOSE, b"Content-Type: text/plain", b"Accept: */*"),), True),
        ((post(version=b"1.0"),), False),
        ((post(CLOSE, path=PATH + b"?api-version=1"),), False),
        ((post(CLOSE, path=b"http://localhost" + PATH),), False),
        ((post(CLOSE, b"Expect: 100-continue"),), False),
        ((post(CLOSE, b"Transfer-Encoding: chunked", body=CHUNKED),), False),
        ((post(CLOSE, b"Content-Encoding: gzip", body=GZIPPED),), False),
    ],
)
async def test_who_serves_a_request(
    through_asgi: list[str], parts: tuple[bytes, ...], is_direct: bool
) -> None:
    async with upstreams(say) as (up,), running(backend("a", up.url)) as nexus:
        answer = await talk(port_of(nexus), *parts)

    assert b"HTTP/1.1 200 OK\r\n" in answer
    assert json.loads(up.last.body)["model"] == "m"
    assert through_asgi == ([] if is_direct else ["/v1/chat/completions"])


LARGE = post(CLOSE, body=b'{"model":"m","messages":[' + b" " * 5000 + b"]}")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (post(CLOSE), 401),
        (post(CLOSE, b"Authorization: Bearer wrong"), 401),
        (post(CLOSE, b"Authorization: Bearer ka", b"Host: localhost"), 400),
        (LARGE.replace(b"\r\n", b"\r\nAuthorization: Bearer ka\r\n", 1), 413),
    ],
)
async def test_what_is_refused_before_its_body_is_read_goes_to_asgi(
    through_asgi: list[str], request_: bytes, expected: int
) -> None:
    """There the answer can be read by a client that is still sending."""
    async with running(
        auth=AuthConfig(api_keys=(ClientKey(name="alice", value=b"ka"),)),
        server=ServerConfig(max_body_bytes=4096),
    ) as nexus:
        answer = await talk(port_of(nexus), request_)

    assert status(answer) == expected
    assert through_asgi == ["/v1/chat/completions"]


# What differs from answer to answer.
OWN = re.compile(rb"(date|x-nexus-request-id|x-nexus-overhead-ms): [^\r]*")

PREFACED = [FIRST, HELLO, STOP, DONE]
ERROR = {"error": {"message": "no such parameter", "type": "invalid_request_error"}}


@pytest.mark.parametrize(
    ("body", "script", "expected"),
    [
        (BODY, answers(ANSWER, headers=[("x-request-id", "r1"), ("set-cookie", "a=b")]), 200),
        (BODY, answers(ERROR, 400), 400),
        (BODY, answers(b"rubbish"), 502),
        (STREAM, streams(PREFACED), 200),
        (STREAM, streams([FIRST, HELLO], is_whole=False), 200),
        (b"\xef\xbb\xbf" + BODY, answers(ANSWER), 200),
        (b"\xff\xfe" + BODY, answers(ANSWER), 400),
        (b"not json", answers(ANSWER), 400),
        (b"", answers(ANSWER), 400),
        (BODY.replace(b'"m"', b'"unknown"'), answers(ANSWER), 404),
    ],
    ids=["whole", "error", "rubbish", "stream", "cut", "bom", "utf-16", "no json", "empty", "name"],
)
@pytest.mark.parametrize("extra", [(), (b"X-Nexus-Min-Tier: 7",), (b"X-Nexus-Flexible: true",)])
async def test_the_answer_is_the_same_either_way(
    through_asgi: list[str], body: bytes, script: Script, expected: int, extra: tuple[bytes, ...]
) -> None:
    """Every byte of it, but for what is different each time."""
    async with upstreams(script) as (up,), running(backend("a", up.url)) as nexus:
        direct, asgi = [
            await talk(port_of(nexus), post(CLOSE, *extra, body=body, path=path))
            for path in (PATH, PATH + b"?by=asgi")
        ]

    assert status(direct) == (400 if b"Tier" in b"".join(extra) else expected)
    assert OWN.sub(rb"\1", direct) == OWN.sub(rb"\1", asgi)
    assert len(OWN.findall(direct)) >= 2
    assert len(through_asgi) == 1


async def test_requests_that_come_at_once_are_answered_in_their_order() -> None:
    names = [b"one", b"two", b"three", b"four"]
    bodies = [BODY.replace(b'"m"', b'"%b"' % name) for name in names]
    asked = b"".join(post(body=body) for body in bodies)

    async with running() as nexus:
        answer = await talk(port_of(nexus), asked + post(CLOSE))

    assert answer.count(b"HTTP/1.1 404") == 5
    assert [name for name in re.findall(rb"model '(\w+)'", answer) if name in names] == names


async def test_a_connection_serves_one_request_after_another(through_asgi: list[str]) -> None:
    async with upstreams(say) as (up,), running(backend("a", up.url)) as nexus:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(nexus))
        answered: list[bytes] = []
        for body in (BODY, STREAM, BODY):
            writer.write(post(body=body))
            head = await reader.readuntil(b"\r\n\r\n")
            answered.append(head)
            if body is STREAM:
                await reader.readuntil(b"\r\n0\r\n\r\n")
            else:
                await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r")[0]))
        writer.close()

    assert [status(head) for head in answered] == [200, 200, 200]
    assert all(b"connection: close" not in head for head in answered)
    assert through_asgi == []


@pytest.mark.parametrize("path", [PATH, PATH + b"?by=asgi"])
@pytest.mark.parametrize("behind", [b"", post() + post()])
async def test_a_client_that_leaves_ends_what_was_begun_for_it(path: bytes, behind: bytes) -> None:
    async with upstreams(hang) as (up,), running(backend("a", up.url)) as nexus:
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(nexus))
        writer.write(post(path=path) + behind)
        await up.wait_for_requests(1)
        writer.close()
        async with asyncio.timeout(1):
            await up.last.closed.wait()
        await until(lambda: bool(nexus.finished()))

    (finished,) = nexus.finished()
    assert finished.client_left
    assert not finished.failed


async def test_a_client_that_leaves_before_its_body_is_whole_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running() as nexus:
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(nexus))
        writer.write(post()[:-5])
        await talk(port_of(nexus), post(CLOSE))  # by now that has been read
        writer.close()
        await talk(port_of(nexus), post(CLOSE))

        assert nexus.gateway.stats.in_flight == 0

    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert len(nexus.finished()) == 2


async def test_a_client_that_does_not_read_holds_the_backend_up() -> None:
    line = event({"content": "x" * 65_536})
    sent = 0

    async def much(exchange: Exchange) -> None:
        nonlocal sent
        await exchange.send_head(200, [("Content-Type", "text/event-stream")])
        await exchange.send(FIRST + HELLO)
        for _ in range(1000):
            await exchange.send(line)
            sent += len(line)

    async with upstreams(much) as (up,), running(backend("a", up.url)) as nexus:
        _, writer = await asyncio.open_connection("127.0.0.1", port_of(nexus), limit=1024)
        writer.write(post(body=STREAM))
        await until(lambda: sent > 0)
        before = -1
        while sent > before:  # until it stands still
            before = sent
            await turns(200)
        writer.close()
        await until(lambda: bool(nexus.finished()))

    assert sent < 40_000_000


async def test_a_client_that_asks_on_without_reading_gets_no_further() -> None:
    long = {**ANSWER, "padding": "x" * 4_000_000}
    asked = 0
    async with upstreams(answers(long)) as (up,), running(backend("a", up.url)) as nexus:

        def is_answered() -> bool:
            return len(nexus.finished()) == asked

        _, writer = await asyncio.open_connection("127.0.0.1", port_of(nexus), limit=1024)
        with suppress(TimeoutError):
            while asked < 20:
                writer.write(post())
                asked += 1
                await until(is_answered, seconds=1)
        writer.close()

    assert 1 < asked < 10


@pytest.fixture
def quickly_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(connections, "_TICK_SECONDS", 0.01)


@pytest.mark.parametrize("path", [PATH, PATH + b"?by=asgi"])
async def test_a_connection_is_closed_when_nothing_more_is_asked(
    quickly_stale: None, path: bytes
) -> None:
    async with running() as nexus:
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(nexus))
        writer.write(post(path=path))
        answer = await reader.read()
        writer.close()

    assert status(answer) == 404
    assert b"connection: close" not in answer


async def test_a_failure_of_nexus_before_the_answer_is_a_500_that_names_its_request(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(Forwarder, "forward", fail)
    async with running() as nexus:
        answer = await talk(port_of(nexus), post(CLOSE))

    failures = [r for r in caplog.records if r.levelno >= logging.ERROR]
    request_id = answer.split(b"x-nexus-request-id: ")[1].split(b"\r")[0].decode()
    assert status(answer) == 500
    assert f"search the Nexus log for {request_id}".encode() in answer
    assert [f"failed request={request_id}" in r.getMessage() for r in failures] == [True]
    assert failures[0].exc_info


async def test_a_request_that_is_left_without_an_answer_ends_its_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As one that is cancelled, when the time to shut down is over."""

    async def leave(*_: object) -> None:
        return

    monkeypatch.setattr(Forwarder, "forward", leave)
    async with running() as nexus:
        answer = await talk(port_of(nexus), post())

    assert answer == b""


async def test_a_failure_of_nexus_inside_an_answer_cuts_it_off(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: object, reply: Any, *_others: object) -> None:
        reply.send(b"data: 1\n\n")
        await reply.drain()
        raise RuntimeError("a bug")

    monkeypatch.setattr(StreamRelay, "pass_on", fail)
    async with upstreams(streams(PREFACED)) as (up,), running(backend("a", up.url)) as nexus:
        answer = await talk(port_of(nexus), post(body=STREAM))

    assert status(answer) == 200
    assert answer.endswith(b"9\r\ndata: 1\n\n\r\n")
    assert "failed request=" in caplog.text
