"""Limits of several workers on one port: one budget, and slots that a killed one gives back."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import httpx
import pytest

from nexus_core.types import NANO
from tests.contract.nexus_process import NexusProcess
from tests.fleet.replica import backend
from tests.fleet.upstream import Upstream, upstream
from tests.replicas.test_shared_money import BODY, COST_USD, config
from tests.waiting import until
from tests.workers.several import children, workers

CHAT = "/v1/chat/completions"
DEAD_AFTER_SECONDS = 5  # what a private store goes by


async def start(folder: Path, tables: str, **environ: str) -> NexusProcess:
    """Two workers before these backends."""
    (folder / "nexus.toml").write_text(
        f'[health_check]\nenabled = false\n[storage]\npath = "nexus.db"\n{tables}'
    )
    nexus = NexusProcess(folder)
    await nexus.start(["--workers", "2", "--config", str(folder / "nexus.toml")], environ)
    await until(lambda: "2 workers serve" in nexus.stderr)
    return nexus


async def ask(url: str) -> int:
    """The status of one request on a connection of its own; 0 where its worker is gone."""
    async with httpx.AsyncClient(base_url=url, timeout=30) as client:
        with suppress(httpx.TransportError):
            return (await client.post(CHAT, json=BODY)).status_code
    return 0


async def refused_throughout(url: str, times: int) -> None:
    """Ask until so many requests in a row were refused."""
    refused = 0
    while refused < times:
        refused = refused + 1 if await ask(url) == 503 else 0


def in_ledger_usd(path: Path) -> float:
    with closing(sqlite3.connect(path)) as ledger:
        (nano,) = ledger.execute("SELECT total(cost_nano_usd) FROM requests").fetchone()
    return float(nano) / NANO


async def spent_usd(url: str) -> float:
    async with httpx.AsyncClient(base_url=url) as client:
        return float((await client.get("/v1/stats")).json()["budget"]["spent_usd"])


@pytest.mark.slow_fleet
@pytest.mark.parametrize("kills", [0, 6])
async def test_workers_have_one_budget(tmp_path: Path, kills: int) -> None:
    limit = 3.0
    async with upstream() as serving:
        nexus = await start(tmp_path, config(serving, limit), CLOUD_KEY="k")
        try:
            async with asyncio.TaskGroup() as tasks:
                for number in range(kills):
                    part = int((number + 1) * limit / COST_USD / (kills + 2))
                    asking = [
                        tasks.create_task(ask(nexus.url))
                        for _ in range(part - len(serving.arrived))
                    ]
                    await until(lambda asking=asking: any(one.done() for one in asking))  # type: ignore[misc]
                    await until(lambda: len(workers(nexus.pid)) == 2)
                    os.kill(list(workers(nexus.pid).values())[number % 2], signal.SIGKILL)
                await until(lambda: len(workers(nexus.pid)) == 2)
                for _ in range(4):
                    tasks.create_task(refused_throughout(nexus.url, 30))

            billed = round(len(serving.arrived) * COST_USD, 6)

            async def is_counted() -> bool:
                return await spent_usd(nexus.url) >= billed - 1e-9

            await until(is_counted)
            spent = await spent_usd(nexus.url)
            sys.stderr.write(f"{kills} kills: billed {billed}, counted {spent} of {limit}\n")
            assert billed <= limit + COST_USD + 1e-9
            assert spent <= limit + COST_USD + 1e-9
            assert billed >= (0.85 * limit if kills else limit - COST_USD)  # the rest is presumed
            nexus.terminate()
            assert await nexus.wait() == 0
            # What was presumed is no part of what rows of a killed worker say.
            assert in_ledger_usd(tmp_path / "nexus.db") == pytest.approx(spent, abs=1e-9)
        finally:
            await nexus.kill()


@pytest.mark.slow_fleet
async def test_where_all_workers_and_their_store_are_killed_nothing_is_counted_twice(
    tmp_path: Path,
) -> None:
    limit, asked = 3.0, 100
    async with upstream() as serving:
        nexus = await start(tmp_path, config(serving, limit), CLOUD_KEY="k")
        try:
            for _ in range(asked):
                assert await ask(nexus.url) == 200
            before = {*children(nexus.pid)}
            for pid in before:
                os.kill(pid, signal.SIGKILL)
            await until(lambda: len(workers(nexus.pid)) == 2)
            await until(lambda: len({*children(nexus.pid)} - before) == len(before))

            await answered(nexus.url, 20)  # by both, once they have heard from the new store
            billed = round(len(serving.arrived) * COST_USD, 6)

            async def is_counted() -> bool:
                return await spent_usd(nexus.url) >= billed - 1e-9

            await until(is_counted)
            spent = await spent_usd(nexus.url)
            sys.stderr.write(f"all killed: billed {billed}, counted {spent} of {limit}\n")
            assert spent <= billed + 10 * COST_USD  # of what may have been spent untold
        finally:
            await nexus.kill()


async def answered(url: str, times: int) -> None:
    """Ask until so many requests were answered."""
    count = 0
    while count < times:
        count += await ask(url) == 200


@pytest.mark.slow_fleet
async def test_a_killed_workers_slots_are_free_at_once(tmp_path: Path) -> None:
    async with upstream() as serving:
        nexus = await start(tmp_path, backend("local", serving.url) + "max_concurrent = 4\n")
        try:
            serving.released.clear()
            async with asyncio.TaskGroup() as tasks:
                held = await hold(nexus.url, serving, tasks)
                number, lost = await kill_one(nexus, held)
                killed = time.monotonic()
                before = len(serving.arrived)

                more = list[asyncio.Task[int]]()
                while len(serving.arrived) < before + lost:
                    assert time.monotonic() - killed < DEAD_AFTER_SECONDS - 2
                    more.append(tasks.create_task(ask(nexus.url)))
                    done, _ = await asyncio.wait(more, timeout=0.05)
                    more = [one for one in more if one not in done]
                took = time.monotonic() - killed
                assert len(serving.arrived) == before + lost
                serving.released.set()
            sys.stderr.write(f"worker {number} killed: {lost} slots free after {took:.2f} s\n")
        finally:
            serving.released.set()
            await nexus.kill()


async def hold(url: str, serving: Upstream, tasks: asyncio.TaskGroup) -> list[asyncio.Task[int]]:
    """Four requests that are answered when the backend is released."""
    asked = list[asyncio.Task[int]]()
    while serving.in_flight < 4:
        asked.append(tasks.create_task(ask(url)))
        await asyncio.wait(asked, timeout=0.05)
        asked = [one for one in asked if not one.done()]
    assert len(asked) == 4
    return asked


async def kill_one(nexus: NexusProcess, held: list[asyncio.Task[int]]) -> tuple[int, int]:
    """Kill a worker that serves some of these; gives its number, and how many it served."""
    for number, pid in workers(nexus.pid).items():
        os.kill(pid, signal.SIGKILL)
        await asyncio.wait(held, timeout=0.5, return_when=asyncio.FIRST_COMPLETED)
        if lost := sum(one.done() for one in held):
            return number, lost
        await until(lambda pid=pid: len(workers(nexus.pid)) == 2)  # type: ignore[misc]
    raise AssertionError("no worker holds any")
