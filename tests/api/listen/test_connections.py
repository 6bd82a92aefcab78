"""Who makes room when there are too many connections, and who is told that there is none."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from nexus_core.api.listen import connections, trouble
from nexus_core.api.listen.connections import most_connections, spare_descriptors
from nexus_core.config.schema import Config, ServerConfig, StorageConfig
from nexus_core.gateway import Gateway
from tests.running import served
from tests.waiting import until

HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
MODELS = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n"
HEAD = b"GET /v1/models HTTP/1.1\r\nHost: loc"  # goes on later
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"

WITHIN_SECONDS = 10


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def ask(self, request: bytes) -> int | None:
        """The status of the answer; None where the connection was closed instead."""
        self.send(request)
        return await self.status()

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def status(self) -> int | None:
        async with asyncio.timeout(WITHIN_SECONDS):
            try:
                head = await self._reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return None
            length = next(
                int(line.split(b":")[1])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length:")
            )
            await self._reader.readexactly(length)
            return int(head.split(b" ")[1])

    async def is_closed(self) -> bool:
        async with asyncio.timeout(WITHIN_SECONDS):
            try:
                return await self._reader.read(1) == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def nexus(allowed: int | None) -> AsyncIterator[AsyncIterator[Client]]:
    """A Nexus that allows so many connections, and new clients of it."""
    server = ServerConfig(max_connections=allowed)
    gateway = Gateway(Config(storage=StorageConfig(path=":memory:"), server=server))
    async with served(gateway) as url, AsyncExitStack() as stack:
        host, port = url.removeprefix("http://").split(":")

        async def clients() -> AsyncIterator[Client]:
            while True:
                reader, writer = await asyncio.open_connection(host, int(port))
                stack.callback(writer.close)
                yield Client(reader, writer)

        yield clients()


async def test_the_connection_that_is_idle_for_longest_makes_room() -> None:
    async with nexus(2) as clients:
        first, second = await anext(clients), await anext(clients)
        asked = [await first.ask(HEALTH), await second.ask(HEALTH), await first.ask(HEALTH)]
        third = await anext(clients)
        answered = await third.ask(HEALTH)
        is_second_closed = await second.is_closed()
        still_there = await first.ask(HEALTH)

    assert asked == [200, 200, 200]
    assert answered == 200
    assert is_second_closed
    assert still_there == 200


async def test_a_connection_on_which_a_request_is_under_way_is_left_alone() -> None:
    async with nexus(1) as clients:
        busy = await anext(clients)
        busy.send(POST)  # its body is yet to come
        refused = await refused_by(clients, MODELS)
        busy.send(b"not json!")
        answered = await busy.status()

    assert refused == 503
    assert answered == 400


async def refused_by(clients: AsyncIterator[Client], request: bytes) -> int | None:
    """What a new client hears once the others' requests were read."""
    async with asyncio.timeout(WITHIN_SECONDS):
        async for client in clients:
            if (status := await client.ask(request)) != 200:
                return status
    raise AssertionError


@pytest.mark.parametrize("path", [b"/health", b"/nexus/state"])
async def test_how_it_is_can_be_asked_where_there_is_no_room(path: bytes) -> None:
    async with nexus(1) as clients:
        busy = await anext(clients)
        busy.send(POST)
        await refused_by(clients, MODELS)
        asking = await anext(clients)
        answered = await asking.ask(HEALTH.replace(b"/health", path))
        is_over = await asking.is_closed()

    assert answered == 200
    assert is_over  # it makes room for the next who asks


async def test_a_request_that_does_not_come_on_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_STUCK_HEAD_SECONDS", 0.0)
    async with nexus(1) as clients:
        slow = await anext(clients)
        slow.send(HEAD)
        async with asyncio.timeout(WITHIN_SECONDS):
            async for client in clients:
                if await client.ask(MODELS) == 200:
                    break
        is_closed = await slow.is_closed()

    assert is_closed


async def test_a_connection_on_which_nothing_is_ever_asked_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(connections, "_TICK_SECONDS", 0.01)
    async with nexus(10) as clients:
        assert await (await anext(clients)).is_closed()


async def test_a_request_may_take_longer_than_a_connection_may_be_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "IDLE_SECONDS", 0.05)
    monkeypatch.setattr(connections, "_TICK_SECONDS", 0.01)
    async with nexus(10) as clients:
        busy, idle = await anext(clients), await anext(clients)
        busy.send(POST)  # its body is yet to come
        is_idle_closed = await idle.is_closed()
        answered = await busy.ask(b"not json!")

    assert is_idle_closed
    assert answered == 400


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_TICK_SECONDS", 0.01)
    monkeypatch.setattr(trouble, "_QUIET_SECONDS", 0.1)


async def test_a_crowd_is_logged_once_and_so_is_its_end(
    quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)

    async with nexus(2) as clients:
        for _ in range(30):
            assert await (await anext(clients)).ask(HEALTH) == 200
        await until(lambda: len(caplog.messages) >= 2)

    began, ended = caplog.messages
    assert began.startswith("[server] max_connections (2) is reached: idle connections are closed")
    assert "28 idle connections were closed and 0 refused" in ended


async def test_who_set_no_limit_is_told_what_raises_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(connections, "DEFAULT_MAX_CONNECTIONS", 2)
    caplog.set_level(logging.WARNING)

    async with nexus(None) as clients:
        for _ in range(3):
            assert await (await anext(clients)).ask(HEALTH) == 200

    (began,) = caplog.messages
    assert began.startswith("the limit of 2 connections is reached (raise it with ulimit -n, or")


LIMITS = (16, 64, 100, 256, 1024, 4096, 20_000, 1_000_000)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("configured", [None, 1, 100, 10**6])
def test_connections_and_what_requests_need_fit_under_the_limit(
    configured: int | None, limit: int
) -> None:
    allowed = most_connections(configured, limit)

    assert allowed >= 1
    if limit >= 64:
        assert allowed + 2 * spare_descriptors(limit) < limit
        if configured is None:  # each has one to a backend as well
            assert 2 * allowed + 2 * spare_descriptors(limit) < limit
    if configured is not None:
        assert allowed <= configured


@pytest.mark.parametrize(
    ("limit", "allowed"), [(64, 12), (256, 84), (1024, 468), (1_000_000, 10_000)]
)
def test_what_is_allowed_without_a_setting(limit: int, allowed: int) -> None:
    assert most_connections(None, limit) == allowed
