"""What is still under way when the grace time ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from nexus_core.api.listen.server import bind, serve
from nexus_core.config.schema import Config, HealthCheckConfig, ServerConfig, StorageConfig
from nexus_core.gateway import Gateway
from tests.contract.bodies import ANSWER, DONE, FIRST, HELLO, chat
from tests.contract.scripted_upstream import ScriptedUpstream, answers, hang, streams
from tests.scenarios.nexus import CHAT, backend, upstreams
from tests.waiting import pass_time, settled

GRACE_SECONDS = 3

_BODY = json.dumps(chat("m")).encode()
_POST = (
    f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    f"Content-Length: {len(_BODY)}\r\n\r\n"
).encode() + _BODY


@asynccontextmanager
async def stoppable(
    upstream: ScriptedUpstream,
    drain_seconds: float = 0,
) -> AsyncIterator[tuple[httpx.AsyncClient, asyncio.Event]]:
    """A client of a Nexus that ends once the event is set; after the block it has ended."""
    config = Config(
        backends=(backend("one", upstream.url),),
        server=ServerConfig(drain_seconds=drain_seconds, shutdown_grace_seconds=GRACE_SECONDS),
        health_check=HealthCheckConfig(enabled=False),
        storage=StorageConfig(path=":memory:"),
    )
    listener = bind("127.0.0.1", 0)
    url = "http://127.0.0.1:{1}".format(*listener.getsockname())
    stop, ready = asyncio.Event(), asyncio.Event()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        tasks.create_task(serve(Gateway(config), listener, stop=stop, ready=ready))
        await ready.wait()
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            yield http, stop


async def stop_and_let_the_grace_end(stop: asyncio.Event) -> None:
    stop.set()
    await settled()
    pass_time(GRACE_SECONDS)


async def test_a_stream_beyond_the_grace_ends_with_an_error() -> None:
    async with (
        upstreams(streams([FIRST, HELLO, asyncio.Event()])) as (up,),
        stoppable(up) as (http, stop),
        http.stream("POST", CHAT, json=chat("m", stream=True)) as answer,
    ):
        await stop_and_let_the_grace_end(stop)
        received = await answer.aread()

    assert received.startswith(FIRST + HELLO + b'data: {"error":')
    assert DONE not in received


async def test_a_waiting_request_beyond_the_grace_gets_an_answer() -> None:
    async with (
        upstreams(hang) as (up,),
        stoppable(up) as (http, stop),
        asyncio.TaskGroup() as tasks,
    ):
        asking = tasks.create_task(http.post(CHAT, json=chat("m")))
        await up.wait_for_requests(1)
        await stop_and_let_the_grace_end(stop)

    assert asking.result().status_code == 503


async def test_an_idle_connection_is_closed_before_anything_is_refused_on_it() -> None:
    async with upstreams(hang) as (up,), stoppable(up) as (http, stop):
        reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
        writer.write(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readuntil(b"}}")

        stop.set()
        await settled()
        writer.write(_POST)
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


async def test_a_draining_server_takes_requests_while_its_health_sends_balancers_elsewhere() -> (
    None
):
    async with upstreams(answers(ANSWER)) as (up,), stoppable(up, drain_seconds=5) as (http, stop):
        before = await http.get("/health")
        stop.set()
        await settled()
        draining, served = await http.get("/health"), await http.post(CHAT, json=chat("m"))
        pass_time(5)

    assert (before.status_code, draining.status_code, served.status_code) == (200, 503, 200)
    assert draining.json()["status"] == "draining"
