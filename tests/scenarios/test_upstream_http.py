"""HTTP as upstreams speak it, over both engines."""

from __future__ import annotations

import asyncio
import json

import pytest

from nexus_core.config.schema import ServerConfig
from tests.contract.bodies import ANSWER, DONE, FIRST, HELLO, STOP
from tests.faults.raw_server import Handler, RawRequest, RawServer, send
from tests.scenarios.nexus import backend, error_of, running, say, told, upstreams

BODY = json.dumps(ANSWER).encode()
EVENTS = FIRST + HELLO + STOP + DONE
ENGINES = pytest.mark.parametrize("engine", ["http1", "httpx"])


def raw(head: str, body: bytes = b"") -> Handler:
    """These bytes, and the end of the connection."""

    async def handler(
        _reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _request: RawRequest
    ) -> None:
        await send(writer, head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        writer.close()

    return handler


@ENGINES
@pytest.mark.parametrize("status", ["600", "700", "999", "099", "000", "1000", "20", "abc", "-200"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_status_that_is_none_is_a_502_and_fails_over(
    engine: str, status: str, stream: bool
) -> None:
    head = f"HTTP/1.1 {status} Odd\nContent-Type: application/json\nContent-Length: {len(BODY)}"
    async with RawServer(raw(head, BODY)) as odd, upstreams(say) as (spare,):
        backends = (backend("odd", odd.url, priority=90), backend("spare", spare.url, priority=1))
        server = ServerConfig.model_validate({"upstream": engine})
        async with running(*backends, server=server) as nexus:
            another = await nexus.ask(stream=stream)
        async with running(backends[0], server=server) as nexus:
            alone = await nexus.ask(stream=stream)

    assert told(another) == (200, "spare", "backend-failover")
    assert (alone.status_code, error_of(alone)["code"]) == (502, "upstream_error")


@ENGINES
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_ends_with_its_connection_is_read(
    engine: str, version: str, stream: bool
) -> None:
    kind = "text/event-stream" if stream else "application/json"
    handler = raw(f"HTTP/{version} 200 OK\nContent-Type: {kind}", EVENTS if stream else BODY)
    async with (
        RawServer(handler) as old,
        running(
            backend("old", old.url), server=ServerConfig.model_validate({"upstream": engine})
        ) as nexus,
    ):
        answer = await nexus.ask(stream=stream)

    assert (answer.status_code, answer.content) == (200, EVENTS if stream else BODY)
    assert not nexus.finished()[0].failed


@ENGINES
async def test_two_types_of_one_answer_are_one(engine: str) -> None:
    types = "Content-Type: text/html\nContent-Type: application/json"
    handler = raw(f"HTTP/1.1 200 OK\n{types}\nContent-Length: {len(BODY)}", BODY)
    async with (
        RawServer(handler) as odd,
        running(
            backend("odd", odd.url), server=ServerConfig.model_validate({"upstream": engine})
        ) as nexus,
    ):
        answer = await nexus.ask()

    assert answer.headers.get_list("content-type") == ["application/json"]


@ENGINES
@pytest.mark.parametrize("status", [201, 206])
async def test_every_good_status_with_an_answer_is_one(engine: str, status: int) -> None:
    handler = raw(f"HTTP/1.1 {status} Fine\nContent-Length: {len(BODY)}", BODY)
    async with (
        RawServer(handler) as odd,
        running(
            backend("odd", odd.url), server=ServerConfig.model_validate({"upstream": engine})
        ) as nexus,
    ):
        answer = await nexus.ask()

    assert (answer.status_code, answer.content) == (status, BODY)
    assert answer.headers["content-type"] == "application/json"


@ENGINES
async def test_an_answer_without_a_body_is_none(engine: str) -> None:
    async with (
        RawServer(raw("HTTP/1.1 204 No Content")) as odd,
        running(
            backend("odd", odd.url), server=ServerConfig.model_validate({"upstream": engine})
        ) as nexus,
    ):
        answers = [await nexus.ask(stream=stream) for stream in (False, True)]

    assert [answer.status_code for answer in answers] == [502, 502]
