"""The tests' own store server and the proxy before it."""

from __future__ import annotations

import asyncio

import pytest

from tests.fleet.cut import cut_before
from tests.fleet.server import StoreServer, free_port, store_server


def test_a_server_forgets_when_it_is_flushed_or_started_anew() -> None:
    with store_server() as server:
        first = server.ask("INFO", "server")
        assert server.ask("SET", "a", "1") == "OK"
        server.flush()
        flushed = server.ask("GET", "a")
        server.ask("SET", "a", "1")
        server.restart()

        assert flushed == server.ask("GET", "a") == "$-1"
        assert "run_id" in first
        assert server.ask("INFO", "server").split("run_id:")[1][:40] not in first


def test_on_a_port_it_keeps_its_address() -> None:
    with store_server(port=free_port()) as server:
        url = server.url
        server.restart()

        assert server.url == url
        assert server.ask("PING") == "PONG"


async def ping(server: StoreServer, url: str) -> bytes:
    port = int(url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"PING\r\n")
        async with asyncio.timeout(0.5):
            return await reader.readline()
    finally:
        writer.transport.abort()


async def refused(server: StoreServer, url: str) -> bool:
    try:
        return await ping(server, url) == b""
    except ConnectionError:
        return True


async def test_a_cut_passes_swallows_and_refuses() -> None:
    with store_server() as server:
        async with cut_before(server.socket) as cut:
            assert await ping(server, cut.url) == b"+PONG\r\n"
            cut.delay = 0.01
            assert await ping(server, cut.url) == b"+PONG\r\n"
            cut.swallows = True
            with pytest.raises(TimeoutError):
                await ping(server, cut.url)
            cut.refuses = True
            assert await refused(server, cut.url)
