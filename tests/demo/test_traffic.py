"""The demo's client: what it sends, and that it starts late, forgives and stops at once."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Any

import pytest

from nexus_core.demo.simulated.http import HttpRequest, HttpServer
from nexus_core.demo.traffic import run_traffic
from tests.waiting import until

DEADLINE_SECONDS = 10
FAST = 400.0


class Gateway:
    """Stands where Nexus would; answers everything with one status and keeps what came."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.health = 200
        self.health_asked = 0
        self.requests: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.at_once = 0
        self.most_at_once = 0
        self.hold: asyncio.Event | None = None  # answers wait for it

    async def answer(self, request: HttpRequest) -> None:
        if request.path == "/health":
            self.health_asked += 1
            request.reply.json({}, self.health)
            return
        self.requests.append((dict(request.pairs), json.loads(request.body)))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.hold is not None:
                await self.hold.wait()
            request.reply.json({"data": "x\n\n" * 30}, self.status)
        finally:
            self.at_once -= 1


@asynccontextmanager
async def serving(gateway: Gateway, port: int = 0) -> AsyncIterator[str]:
    server = HttpServer(gateway.answer)
    await server.start(port)
    try:
        yield server.url
    finally:
        await server.stop()


@asynccontextmanager
async def traffic(url: str, **options: Any) -> AsyncIterator[None]:
    stop = asyncio.Event()
    seeded = Random(7)
    async with asyncio.timeout(DEADLINE_SECONDS), asyncio.TaskGroup() as tasks:
        tasks.create_task(run_traffic(url, stop=stop, random=seeded, speed=FAST, **options))
        yield
        stop.set()


async def test_the_traffic_is_a_mix_of_models_streams_and_demands() -> None:
    gateway = Gateway()

    async with serving(gateway) as url, traffic(url):
        await until(lambda: len(gateway.requests) > 300)

    bodies = [body for _, body in gateway.requests]
    assert {body["model"] for body in bodies} >= {"gpt-4", "llama3:8b", "gpt-4o", "llama3:700b"}
    assert {body["stream"] for body in bodies} == {True, False}
    assert any(body.get("tools") for body in bodies)
    zones = {headers.get("X-Nexus-Privacy-Zone") for headers, _ in gateway.requests}
    assert zones == {None, "restricted"}


async def test_an_agent_works_in_a_session_beside_the_crowd() -> None:
    gateway = Gateway()

    async with serving(gateway) as url, traffic(url, api_key="mine"):
        await until(lambda: any("X-Claude-Code-Session-Id" in one for one, _ in gateway.requests))

    agent = [headers for headers, _ in gateway.requests if "X-Claude-Code-Session-Id" in headers]
    assert {headers["Authorization"] for headers in agent} == {"Bearer mine"}


async def test_the_crowd_comes_with_several_keys_the_first_ones_more_often() -> None:
    gateway, keys = Gateway(), ("often", "seldom")

    async with serving(gateway) as url, traffic(url, api_key="mine", keys=keys):
        await until(lambda: len(gateway.requests) > 100)

    told = Counter(headers["Authorization"] for headers, _ in gateway.requests)
    assert set(told) <= {"Bearer mine", "Bearer often", "Bearer seldom"}
    assert told["Bearer often"] > told["Bearer seldom"] > 0


async def test_bursts_ask_for_one_model_many_times_at_once_and_are_bounded() -> None:
    gateway = Gateway()
    gateway.hold = asyncio.Event()

    async with serving(gateway) as url, traffic(url):
        await until(lambda: gateway.at_once == 16)
        gateway.hold.set()

    assert gateway.most_at_once == 16


@pytest.mark.parametrize("status", [404, 500, 503])
async def test_errors_are_not_raised(status: int) -> None:
    gateway = Gateway(status)

    async with serving(gateway) as url, traffic(url):
        await until(lambda: len(gateway.requests) > 10)


async def test_the_client_key_is_presented() -> None:
    gateway = Gateway()

    async with serving(gateway) as url, traffic(url, api_key="mine"):
        await until(lambda: bool(gateway.requests))

    assert gateway.requests[0][0]["Authorization"] == "Bearer mine"


async def test_no_request_is_sent_before_the_server_is_well() -> None:
    gateway = Gateway()
    gateway.health = 503

    async with serving(gateway) as url, traffic(url):
        await until(lambda: gateway.health_asked == 3)
        assert not gateway.requests
        gateway.health = 200
        await until(lambda: bool(gateway.requests))


async def test_a_server_that_is_not_there_yet_is_waited_for() -> None:
    gateway = Gateway()
    async with serving(gateway) as url:
        port = int(url.rpartition(":")[2])

    async with AsyncExitStack() as later, traffic(url):  # the traffic ends before the server does
        await later.enter_async_context(serving(gateway, port))
        await until(lambda: bool(gateway.requests))


async def test_stop_ends_it_at_once_whatever_is_under_way() -> None:
    gateway = Gateway()
    gateway.hold = asyncio.Event()
    loop = asyncio.get_running_loop()

    async with serving(gateway) as url:
        async with traffic(url):
            await until(lambda: gateway.at_once > 3)
            stopped = loop.time()
        took = loop.time() - stopped

    assert took < 1


async def test_stop_before_the_server_answers_ends_it_too() -> None:
    stop = asyncio.Event()
    stop.set()

    async with asyncio.timeout(DEADLINE_SECONDS):
        await run_traffic("http://127.0.0.1:9", stop=stop)
