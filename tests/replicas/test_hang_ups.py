"""Clients that hang up and backends that time out, again and again: nothing stays counted."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.fleet.replica import Replica, backend, chat, replicas
from tests.fleet.server import StoreServer, store_server
from tests.fleet.upstream import upstream
from tests.replicas.test_shared_limits import BEARER, HELD, KEYS, under_way
from tests.waiting import until

SLOTS = "{nexus:default}:slots:local"
CONFIG = """
[server]
request_timeout_seconds = 0.1

[limits]
max_concurrent = {most}
"""
SECONDS = (0.5, *(0.0, 0.01) * 5)  # of an answer; now and then it takes longer than it may


class Cycles:
    """Requests that end in every way, until there were so many."""

    def __init__(self, most: int) -> None:
        self.ends: Counter[str] = Counter()
        self._left = most
        self._dice = random.Random(most)

    async def run(self, replica: Replica) -> None:
        """One client of the replica, that makes a new connection after a hang-up."""
        while self._left > 0:
            async with replica.client() as client:
                while self._left > 0 and await self._ask(client):
                    pass

    async def _ask(self, client: httpx.AsyncClient) -> bool:
        """Whether the connection may be used again."""
        self._left -= 1
        is_stream = self._dice.random() < 0.5
        body = {**chat("m"), "stream": True} if is_stream else chat("m")
        asking = client.post("/v1/chat/completions", json=body, headers=BEARER)
        if self._dice.random() < 0.4:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._dice.uniform(0, 0.03)):
                    self._count((await asking).status_code)
                    return True
            self.ends["hung up"] += 1
            return False
        self._count((await asking).status_code)
        return True

    def _count(self, status: int) -> None:
        self.ends[str(status)] += 1


async def through_cycles(directory: Path, store: StoreServer, cycles: int, most: int) -> None:
    async with upstream() as serving:
        tables = backend("local", serving.url) + "max_concurrent = 12\n"
        urls = {f"box-{number}": store.url for number in (1, 2)}
        with replicas(directory, tables + CONFIG.format(most=most), urls, **KEYS) as several:
            await asyncio.gather(*(one.ready() for one in several))
            ends = Cycles(cycles)
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(ends.run(one)) for one in several for _ in range(most)]
                for seconds in itertools.cycle(SECONDS):
                    serving.seconds = seconds
                    if not (await asyncio.wait(running, timeout=0.05))[1]:
                        break
            sys.stderr.write(f"{cycles} cycles: {dict(ends.ends)}\n")
            assert min(ends.ends[one] for one in ("hung up", "200", "429", "504")) > 0

            for key in (HELD, SLOTS):
                await until(lambda key=key: store.ask("HLEN", key) == "0")  # type: ignore[misc]
            assert [await under_way(one) for one in several] == [0, 0]
            for one in several:
                serving.seconds = 0.0
                await all_are_let_in(one, most)


async def all_are_let_in(replica: Replica, most: int) -> None:
    """As many as the limit at a time: none of it is lost."""
    async with replica.client() as client:

        async def are_let_in() -> bool:
            asked = (
                client.post("/v1/chat/completions", json=chat("m"), headers=BEARER)
                for _ in range(most)
            )
            return {one.status_code for one in await asyncio.gather(*asked)} == {200}

        await until(are_let_in)


async def test_nothing_stays_counted(tmp_path: Path, store: StoreServer) -> None:
    await through_cycles(tmp_path, store, 300, 6)


@pytest.mark.slow_fleet
async def test_nothing_stays_counted_after_ten_thousand_cycles(tmp_path: Path) -> None:
    with store_server() as store:
        await through_cycles(tmp_path, store.known(), 10_000, 8)
