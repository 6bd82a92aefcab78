"""A Sentinel failover: the open zone is closed for its length, and what was cut stays cut."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from asyncio import Event
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.contract.bodies import chat
from tests.fleet.clocks import wrong_clock
from tests.fleet.replica import Replica, backend, replicas
from tests.fleet.server import StoreServer, free_port
from tests.fleet.upstream import Upstream, upstream
from tests.replicas import test_shared_money as shared_money
from tests.replicas.test_shared_money import pause
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


Servers = tuple[StoreServer, StoreServer, StoreServer]


@contextmanager
def started_servers(environ: Mapping[str, str] | None = None) -> Iterator[Servers]:
    """A primary, a replica of it with these variables, and a Sentinel that promotes it."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nx-")))

        def started(server: StoreServer) -> StoreServer:
            stack.callback(server.kill)
            return server.start()

        primary = started(StoreServer(folder, port=free_port()))
        follows = ("--replicaof", f"127.0.0.1 {primary.port}")
        other = started(StoreServer(folder, *follows, port=free_port(), environ=environ))
        wait_until(lambda: "master_link_status:up" in other.ask("INFO", "replication"))
        port = free_port()
        sentinel = StoreServer(folder, port=port, sentinel=MONITOR.format(port=primary.port))
        started(sentinel)
        wait_until(lambda: "slaves=1" in sentinel.ask("INFO", "sentinel"))
        yield primary, other, sentinel


@pytest.fixture
def servers() -> Iterator[Servers]:
    with started_servers() as all_of_them:
        yield all_of_them


@pytest.fixture
async def cloud() -> AsyncIterator[Upstream]:
    async with upstream() as serving:
        yield serving


@pytest.mark.slow_fleet
async def test_the_cloud_is_back_after_the_failover_and_a_cut_backend_is_not(
    tmp_path: Path, servers: Servers, cloud: Upstream
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


async def keep_asking(replica: Replica, model: str, statuses: list[int], over: Event) -> None:
    """One client, that asks for the model until it is over."""
    async with replica.client() as client:
        while not over.is_set():
            answer = await client.post("/v1/chat/completions", json=chat(model, max_tokens=2))
            statuses.append(answer.status_code)
            if answer.status_code == 503:
                await pause(0.02)


async def stale_failover(servers: Servers) -> None:
    """End the primary while its replica does not know the last second; until Sentinel names it."""
    primary, other, sentinel = servers
    other.freeze()
    primary.ask("CLIENT", "KILL", "TYPE", "replica")
    await pause(1)
    primary.kill()
    other.thaw()
    await until(lambda: f"address=127.0.0.1:{other.port}" in sentinel.ask("INFO", "sentinel"))
    assert "role:master" in other.ask("INFO", "replication")


@pytest.mark.slow_fleet
@pytest.mark.parametrize("clock", [0.0, 30.0, -30.0])
async def test_under_load_money_and_slots_hold_and_nobody_counts_as_dead(
    tmp_path: Path, clock: float
) -> None:
    environ = wrong_clock(clock) if clock else None
    names = ("one", "two", "three")
    async with upstream() as priced, upstream() as local, upstream() as cloud:
        local.seconds = 0.02
        with started_servers(environ) as servers:
            tables = FLEET.format(port=servers[2].port) + shared_money.config(priced, 30.0)
            tables += backend("local", local.url, model="l") + "max_concurrent = 4\n"
            tables += backend("far", cloud.url, "open", "c")
            urls = dict.fromkeys(names, "")
            with replicas(tmp_path, tables, urls, CLOUD_KEY="k") as fleet:
                for replica in fleet:
                    await replica.ready()

                async def answers() -> bool:
                    return {(await replica.ask("c")).status_code for replica in fleet} == {200}

                await until(answers)
                over, dead = Event(), list[object]()
                money, slots = list[int](), list[int]()

                async def look(replica: Replica) -> None:
                    while not over.is_set():
                        told = (await replica.get("/nexus/state"))["replicas"]
                        dead.extend(one for one in told if "dead" in one)
                        await pause(0.1)

                async with asyncio.TaskGroup() as tasks:
                    for replica in fleet:
                        tasks.create_task(look(replica))
                        for model, statuses in (("m", money), ("l", slots), ("l", slots)):
                            tasks.create_task(keep_asking(replica, model, statuses, over))
                    await pause(1.5)
                    before = len(local.arrived)
                    await stale_failover(servers)
                    promoted = time.monotonic()
                    await until(answers, 10)
                    back = time.monotonic() - promoted
                    local_before = len(local.arrived)
                    await pause(2)
                    over.set()
                    assert len(local.arrived) > local_before > before
                for replica in fleet:
                    assert "has other data than before" in replica.log
                await shared_money.spend_the_rest(fleet)
                await shared_money.check_agreement(fleet, priced, 30.0)
                sys.stderr.write(
                    f"clock {clock:+.0f} s: {money.count(200)} paid, {slots.count(200)} local, at "
                    f"most {local.most_in_flight} at a time, cloud back {back:.2f} s after the "
                    f"failover, billed {len(priced.arrived) / 100:.2f} of 30.00\n"
                )
                assert local.most_in_flight <= 4
                assert back < 2
                assert dead == []
