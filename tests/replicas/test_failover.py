"""A Sentinel failover: the open zone is closed for its length, and what was cut stays cut."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fleet.replica import backend, replicas
from tests.fleet.server import StoreServer, free_port
from tests.fleet.upstream import Upstream, upstream
from tests.waiting import until, wait_until

FLEET = """
[fleet]
sentinels = ["127.0.0.1:{port}"]
master = "ours"
beat_milliseconds = 100
open_zone_lease_seconds = 0.5
dead_after_seconds = 2
"""
MONITOR = """
sentinel monitor ours 127.0.0.1 {port} 1
sentinel down-after-milliseconds ours 500
sentinel failover-timeout ours 3000
"""


@pytest.fixture
def servers() -> Iterator[tuple[StoreServer, StoreServer, StoreServer]]:
    """A primary, a replica of it, and a Sentinel that promotes it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nx-")))

        def started(server: StoreServer) -> StoreServer:
            stack.callback(server.kill)
            return server.start()

        primary = started(StoreServer(folder, port=free_port()))
        follows = ("--replicaof", f"127.0.0.1 {primary.port}")
        other = started(StoreServer(folder, *follows, port=free_port()))
        wait_until(lambda: "master_link_status:up" in other.ask("INFO", "replication"))
        port = free_port()
        sentinel = StoreServer(folder, port=port, sentinel=MONITOR.format(port=primary.port))
        started(sentinel)
        wait_until(lambda: "slaves=1" in sentinel.ask("INFO", "sentinel"))
        yield primary, other, sentinel


@pytest.fixture
async def cloud() -> AsyncIterator[Upstream]:
    async with upstream() as serving:
        yield serving


@pytest.mark.slow_fleet
async def test_the_cloud_is_back_after_the_failover_and_a_cut_backend_is_not(
    tmp_path: Path, servers: tuple[StoreServer, StoreServer, StoreServer], cloud: Upstream
) -> None:
    primary, other, sentinel = servers
    tables = backend("cloud", cloud.url, "open", "c") + backend("second", cloud.url, "open", "d")
    config = FLEET.format(port=sentinel.port) + tables
    with replicas(tmp_path, config, {"one": "", "two": ""}) as fleet:
        for replica in fleet:
            await replica.ready()

        async def answers() -> bool:
            return {(await replica.ask("c")).status_code for replica in fleet} == {200}

        await until(answers)
        await fleet[0].post("/nexus/backends/second", {"enabled": False})
        primary.kill()

        async def are_alone() -> bool:
            return all([(await replica.get("/health"))["alone"] for replica in fleet])

        await until(are_alone)
        assert (await fleet[1].ask("c")).json()["error"]["code"] == "coordination_unavailable"
        await until(lambda: "role:master" in other.ask("INFO", "replication"))
        await until(answers, 10)
        for replica in fleet:
            assert (await replica.ask("d")).json()["error"]["code"] == "no_capable_backend"
            assert "has other data than before" in replica.log
