"""One budget of several replicas: kills, lost data, and what the ledgers say afterwards."""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.bodies import chat
from tests.fleet.replica import Replica, replicas
from tests.fleet.server import StoreServer, store_server
from tests.fleet.upstream import Upstream, upstream
from tests.waiting import turns, until

COST_USD = 0.01  # of a request: two tokens of its answer
CONFIG = """
[[backends]]
name = "cloud"
url = "{url}"
type = "openai"
zone = "restricted"
models = ["m"]
api_key_env = "CLOUD_KEY"

[pricing.openai]
"m" = {{ input_per_1k = 0.0, output_per_1k = 5.0 }}

[budget]
monthly_limit_usd = {limit}
"""
BODY = chat("m", max_tokens=2)


def config(serving: Upstream, limit: float) -> str:
    return CONFIG.format(url=serving.url, limit=limit)


async def ask(client: httpx.AsyncClient) -> int:
    """The status of one request; 0 where the replica is gone."""
    with suppress(httpx.TransportError):
        return (await client.post("/v1/chat/completions", json=BODY)).status_code
    return 0


async def spend(replica: Replica, goes_on: Callable[[], bool], statuses: list[int]) -> None:
    """Ask one after the other, of whichever process the replica is, for as long as it goes on."""
    while goes_on():
        async with replica.client() as client:
            while goes_on() and (status := await ask(client)):
                statuses.append(status)
        await turns()


async def spent_usd(replica: Replica) -> float:
    told: dict[str, Any] = (await replica.get("/v1/stats"))["budget"]
    return round(float(told["spent_usd"]), 6)


def rows(replica: Replica) -> list[tuple[str, str, int]]:
    """Id, model and nano-dollars of the ledger's rows that cost something."""
    path = replica._folder / "nexus.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        return ledger.execute(
            "SELECT request_id, asked_model, cost_nano_usd FROM requests WHERE cost_nano_usd > 0"
        ).fetchall()


def ledgers_usd(several: list[Replica]) -> float:
    return round(sum(nano for one in several for _, _, nano in rows(one)) / 1e9, 6)


async def check_agreement(several: list[Replica], serving: Upstream, limit: float) -> None:
    """Nothing above the limit but one estimate; all agree; nothing is counted twice."""
    billed = round(len(serving.arrived) * COST_USD, 6)
    assert billed <= limit + COST_USD + 1e-9

    told, ledgers = set[float](), 0.0

    async def agrees() -> bool:
        nonlocal told, ledgers
        told, ledgers = {await spent_usd(one) for one in several}, ledgers_usd(several)
        return told == {ledgers} and ledgers >= billed - 1e-9

    with suppress(TimeoutError):
        await until(agrees, 15)
    assert told == {ledgers}
    assert ledgers >= billed - 1e-9
    ids = [request_id for one in several for request_id, _, _ in rows(one)]
    assert len(ids) == len(set(ids))


async def pause(seconds: float) -> None:
    """Let the replicas work for a while."""
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.call_later(seconds, over.set_result, None)
    await over


async def spend_through_kills(
    several: list[Replica], kills: int, between: tuple[float, float], *also: Callable[[], None]
) -> list[int]:
    """Ask all of them, while one after the other is killed and started again."""
    statuses, killed = list[int](), 0
    dice = random.Random(7)

    def goes_on() -> bool:
        return killed < kills

    async def kill() -> None:
        nonlocal killed
        while killed < kills:
            await pause(dice.uniform(*between))
            one = dice.choice(several)
            one.kill()
            await one.start()
            for disturb in also:
                disturb()
            killed += 1

    async with asyncio.TaskGroup() as tasks:
        for one in several:
            for _ in range(4):
                tasks.create_task(spend(one, goes_on, statuses))
        tasks.create_task(kill())
    return statuses


async def spend_the_rest(several: list[Replica]) -> None:
    """Until every replica refuses for want of money, again and again."""

    async def refuses(one: Replica) -> None:
        async with one.client() as client:
            refused = 0
            while refused < 5:
                is_refused = await ask(client) == 503
                refused = refused + 1 if is_refused else 0
                if is_refused:  # what others do not need comes back with beats
                    await pause(0.25)

    await asyncio.gather(*(refuses(one) for one in several))


class SetBack:
    """Starts the store with the file that it had some kills before, again and again."""

    def __init__(self, store: StoreServer) -> None:
        self._store = store
        self._file = store.directory / "appendonlydir"
        self._old = store.directory / "old"
        self._kept = 0

    def __call__(self) -> None:
        if self._kept % 3 == 0:
            shutil.rmtree(self._old, ignore_errors=True)
            shutil.copytree(self._file, self._old)
        elif self._kept % 3 == 2:
            self._store.kill()
            shutil.rmtree(self._file)
            shutil.copytree(self._old, self._file)
            self._store.start()
        self._kept += 1


async def test_one_budget_holds_for_all_and_every_screen_tells_it(
    tmp_path: Path, store: StoreServer
) -> None:
    async with upstream() as serving:
        urls = {f"box-{number}": store.url for number in (1, 2)}
        with replicas(tmp_path, config(serving, 1.0), urls, CLOUD_KEY="k") as several:
            for one in several:
                await one.ready()

            await spend_the_rest(several)

            assert len(serving.arrived) in (99, 100, 101)
            await check_agreement(several, serving, 1.0)
            refused = await several[0].ask()
            assert (refused.status_code, refused.json()["error"]["code"]) == (
                503,
                "budget_exceeded",
            )


async def test_who_waits_for_a_slot_spends_nothing_that_others_use_meanwhile(
    tmp_path: Path, store: StoreServer
) -> None:
    async with upstream() as serving:
        urls = {f"box-{number}": store.url for number in (1, 2)}
        scarce = 'models = ["m"]\nmax_concurrent = 100'
        text = config(serving, 0.2).replace('models = ["m"]', scarce)
        with replicas(tmp_path, text, urls, CLOUD_KEY="k") as several:
            for one in several:
                await one.ready()
                assert (await one.post("/v1/chat/completions", BODY)).status_code == 200
            # The slots went back, and of money two estimates are still leased.
            await until(lambda: store.ask("HLEN", "{nexus:default}:slots:cloud") == "0")
            serving.released.clear()

            async with asyncio.TaskGroup() as tasks:
                asked = [
                    tasks.create_task(one.post("/v1/chat/completions", BODY))
                    for one in several
                    for _ in range(20)
                ]
                await until(lambda: sum(one.done() for one in asked) + serving.in_flight == 40)
                serving.released.set()

            await check_agreement(several, serving, 0.2)


async def test_a_killed_replica_counts_its_lease_as_spent_and_says_so(
    tmp_path: Path, store: StoreServer
) -> None:
    async with upstream() as serving:
        urls = {f"box-{number}": store.url for number in (1, 2)}
        with replicas(tmp_path, config(serving, 500.0), urls, CLOUD_KEY="k") as several:
            for one in several:
                await one.ready()

            await spend_through_kills(several, 3, (0.2, 0.5))

            await check_agreement(several, serving, 500.0)
            models = {model for one in several for _, model, _ in rows(one)}
            assert models <= {"m", "presumed", "lost in a crash"}
            assert "presumed" in models


@pytest.mark.slow_fleet
@pytest.mark.parametrize("disturbed", ["kills", "flushed", "restarted", "set back"])
async def test_no_kill_and_no_lost_data_lets_more_be_spent(tmp_path: Path, disturbed: str) -> None:
    options = ("--appendonly", "yes") if disturbed == "set back" else ()
    with store_server(*options) as store:
        disturbances: dict[str, tuple[Callable[[], None], ...]] = {
            "kills": (),
            "flushed": (store.flush,),
            "restarted": (store.restart,),
            "set back": (SetBack(store),),
        }
        kills = 200 if disturbed == "kills" else 60
        async with upstream() as serving:
            urls = {f"box-{number}": store.known().url for number in (1, 2, 3, 4)}
            with replicas(tmp_path, config(serving, 100.0), urls, CLOUD_KEY="k") as several:
                for one in several:
                    await one.ready()

                statuses = await spend_through_kills(
                    several, kills, (0.25, 0.6), *disturbances[disturbed]
                )
                await spend_the_rest(several)

                await check_agreement(several, serving, 100.0)
                billed = len(serving.arrived) * COST_USD
                sys.stderr.write(
                    f"{disturbed}: {kills} kills, {len(statuses)} answers, billed {billed:.2f}, "
                    f"ledgers {ledgers_usd(several):.2f} of 100.00\n"
                )
