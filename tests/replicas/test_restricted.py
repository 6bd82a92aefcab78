"""Restricted requests through kills, partitions, lost data and switches: none reaches a cloud."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from pathlib import Path
from random import Random

import httpx
import pytest

from tests.fleet.cut import Cut, cut_before
from tests.fleet.replica import Replica, backend, chat, replicas
from tests.fleet.server import StoreServer, store_server
from tests.fleet.upstream import Upstream, upstream
from tests.waiting import until

log = logging.getLogger(__name__)

RESTRICTED = {"X-Nexus-Privacy-Zone": "restricted"}
CLIENTS = 8


class Load:
    """Clients that ask for what a cloud serves, too: every other request is restricted."""

    def __init__(self, fleet: list[Replica], restricted: int, seed: int) -> None:
        self.statuses: Counter[int] = Counter()
        self.broken = 0  # connections of a replica that was killed
        self.asked = 0  # restricted ones
        self._fleet = fleet
        self._restricted = restricted
        self._chance = Random(seed)

    @property
    def is_over(self) -> bool:
        return self.asked >= self._restricted

    async def run(self) -> None:
        """One client, until all have asked enough."""
        async with httpx.AsyncClient(timeout=10) as client:
            while not self.is_over:
                replica = self._chance.choice(self._fleet)
                self.asked += 1
                await self._ask(client, replica, f"secret {self.asked}", RESTRICTED)
                await self._ask(client, replica, "public", {})

    async def _ask(
        self, client: httpx.AsyncClient, replica: Replica, text: str, headers: dict[str, str]
    ) -> None:
        try:
            answer = await client.post(
                f"{replica.url}/v1/chat/completions", json=chat("m", text), headers=headers
            )
        except httpx.TransportError:
            self.broken += 1
        else:
            if headers:
                self.statuses[answer.status_code] += 1


async def disturb(
    load: Load, fleet: list[Replica], store: StoreServer, cut: Cut, chance: Random
) -> Counter[str]:
    """One trouble after the other, each while a number of requests is served; gives which."""
    done: Counter[str] = Counter()
    while not load.is_over:
        trouble = chance.choice(
            ["kill", "partition", "flush", "restart", "zone", "backend", "freeze", "hung"]
        )
        done[trouble] += 1
        replica = chance.choice(fleet)
        match trouble:
            case "kill":
                replica.kill()
                await served(load, 10)
                await replica.start()
            case "partition":
                cut.swallows = True
                await served(load, 40)
                cut.swallows = False
            case "flush":
                store.flush()
            case "restart":
                store.restart()
            case "freeze":
                replica.freeze()
                await served(load, 5)
                replica.thaw()
            case "hung":
                store.freeze()
                await served(load, 20)
                store.thaw()
            case "zone":
                await switch(replica, "zones/restricted", 20, load)
            case _:
                await switch(replica, "backends/local", 20, load)
        await served(load, 20)
    return done


async def switch(replica: Replica, what: str, requests: int, load: Load) -> None:
    """Off, so that only the cloud could serve, and on again."""
    for enabled in (False, True):
        try:
            await replica.post(f"/nexus/{what}", {"enabled": enabled})
        except httpx.TransportError:
            return
        await served(load, requests)


async def served(load: Load, more: int) -> None:
    """Let so many restricted requests be asked."""
    until_then = load.asked + more
    await until(lambda: load.asked >= until_then or load.is_over, 60)


async def through_trouble(directory: Path, restricted: int, seed: int) -> None:
    async with upstream() as local, upstream() as cloud:
        tables = backend("local", local.url) + backend("cloud", cloud.url, "open")
        with store_server() as store:
            async with cut_before(store.socket) as cut:
                urls = {"box-1": store.url, "box-2": cut.url, "box-3": store.url}
                with replicas(directory, tables, urls) as fleet:
                    for replica in fleet:
                        await replica.ready()
                    load = Load(fleet, restricted, seed)
                    async with asyncio.TaskGroup() as tasks:
                        troubles = tasks.create_task(disturb(load, fleet, store, cut, Random(seed)))
                        for _ in range(CLIENTS):
                            tasks.create_task(load.run())
                    judge(load, local, cloud, troubles.result())


def judge(load: Load, local: Upstream, cloud: Upstream, troubles: Counter[str]) -> None:
    """No restricted prompt has left, and the rest was served as far as it could be."""
    left = [one.text for one in cloud.arrived if "secret" in one.text]
    served_here = sum("secret" in one.text for one in local.arrived)
    log.info("asked %s, left %s, %s", load.asked, len(left), load.statuses)
    log.info("connections of killed replicas %s, troubles %s", load.broken, troubles)
    assert left == []
    assert served_here >= load.statuses[200] > load.asked / 4
    assert set(load.statuses) <= {200, 503}
    assert len(cloud.arrived) > 0
    assert sum(troubles.values()) > 0


async def test_through_some_trouble(tmp_path: Path) -> None:
    await through_trouble(tmp_path, 250, seed=5)


@pytest.mark.slow_fleet
async def test_twenty_thousand_through_all_of_it(tmp_path: Path) -> None:
    await through_trouble(tmp_path, 20_000, seed=1)
