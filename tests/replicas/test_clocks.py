"""A replica whose clock is an hour off: limits hold, waits are true, nobody counts as dead."""

from __future__ import annotations

import asyncio
import sys
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest

from nexus_core.money.months import Month
from tests.fleet.clocks import wrong_clock
from tests.fleet.replica import Replica, backend, replicas
from tests.fleet.server import StoreServer
from tests.fleet.upstream import upstream
from tests.forked import COMMAND
from tests.replicas.test_shared_limits import BEARER, KEYS, ask
from tests.replicas.test_shared_money import (
    COST_USD,
    config,
    pause,
    rows,
    spend_the_rest,
    spent_usd,
)
from tests.waiting import until

HOUR = 3600.0
SECONDS = 6.0
LIMITS = """
[limits]
requests_per_minute = 60
max_concurrent = 3
"""


async def state(replica: Replica) -> dict[str, Any]:
    async with replica.client() as client:
        told: dict[str, Any] = (await client.get("/nexus/state", headers=BEARER)).json()
        return told


@pytest.mark.slow_fleet
@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
async def test_a_replica_with_a_wrong_clock(
    tmp_path: Path, store: StoreServer, ahead: float
) -> None:
    box_2 = {"NEXUS_REDIS_URL": store.url, **wrong_clock(ahead)}
    async with upstream() as serving:
        serving.seconds = 0.02
        tables = backend("local", serving.url) + LIMITS
        urls: dict[str, str | dict[str, str]] = {"box-1": store.url, "box-2": box_2}
        with replicas(tmp_path, tables, urls, fresh=COMMAND, **KEYS) as several:
            await asyncio.gather(*(one.ready() for one in several))
            date = (await several[1].ask(**BEARER)).headers["date"]
            off = parsedate_to_datetime(date).timestamp() - time.time()
            assert abs(off - ahead) < 60
            began, waits, dead = time.monotonic(), list[int](), list[Any]()

            async def keep_asking(one: Replica) -> None:
                async with one.client() as client:
                    while time.monotonic() - began < SECONDS:
                        answer = await ask(client)
                        assert answer.status_code in (200, 429)
                        if answer.status_code == 429:
                            waits.append(int(answer.headers["retry-after"]))
                            await pause(0.02)

            async def look(one: Replica) -> None:
                while time.monotonic() - began < SECONDS:
                    dead.extend(each for each in (await state(one))["replicas"] if "dead" in each)
                    await pause(0.1)

            async with asyncio.TaskGroup() as tasks:
                for one in several:
                    tasks.create_task(look(one))
                    for _ in range(3):
                        tasks.create_task(keep_asking(one))
            elapsed = time.monotonic() - began
            let_in = len(serving.arrived)
            sys.stderr.write(
                f"{off:+.0f} s: {let_in} let in during {elapsed:.1f} s, waits "
                f"{min(waits)} to {max(waits)} s, at most {serving.most_in_flight} at a time\n"
            )
            assert 60 <= let_in <= 61 + elapsed + 1
            assert max(waits) <= 2
            assert dead == []
            assert serving.most_in_flight <= 3


@pytest.mark.slow_fleet
async def test_a_replica_that_is_in_the_next_month_already(
    tmp_path: Path, store: StoreServer
) -> None:
    to_end = Month.of(time.time()).end - time.time()
    limit, late = 0.3, 10.0  # seconds of the month that box-2 has left, the start among them
    urls: dict[str, str | dict[str, str]] = {
        name: {"NEXUS_REDIS_URL": store.url, **wrong_clock(to_end + ahead)}
        for name, ahead in (("box-1", HOUR), ("box-2", -late))
    }
    async with upstream() as serving:
        tables, began = config(serving, limit), time.monotonic()
        with replicas(tmp_path, tables, urls, fresh=COMMAND, CLOUD_KEY="k") as (early, last):
            await asyncio.gather(early.ready(), last.ready())
            await asyncio.gather(spend_the_rest([early]), spend_the_rest([last]))
            assert time.monotonic() - began < late - 1
            of_both = len(serving.arrived)

            async def has_turned() -> bool:
                return time.monotonic() - began > late + 1 and await spent_usd(last) >= limit

            await until(has_turned, 2 * late)
            assert len(rows(early)) in (30, 31)
            assert len(rows(last)) in (30, 31)
            await spend_the_rest([early, last])

            sys.stderr.write(f"{of_both} in two months, {len(serving.arrived)} after the turn\n")
            assert 2 * limit / COST_USD <= len(serving.arrived) <= 2 * limit / COST_USD + 2
