"""Slots of a backend that several replicas share: never above its limit, and back after a kill."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from pathlib import Path

import pytest

from tests.fleet.replica import Replica, backend, replicas
from tests.fleet.server import StoreServer, store_server
from tests.fleet.upstream import Upstream, upstream
from tests.replicas.test_shared_money import ask, pause
from tests.waiting import turns, until


def config(serving: Upstream, most: int, more: str = "") -> str:
    return backend("local", serving.url) + f"max_concurrent = {most}\n{more}"


QUEUE = """
[queue]
enabled = true
max_wait_seconds = 20
"""


async def test_four_slots_are_four_for_all_and_a_killed_replicas_come_back(
    tmp_path: Path, store: StoreServer
) -> None:
    async with upstream() as serving:
        urls = {f"box-{number}": store.url for number in (1, 2)}
        with replicas(tmp_path, config(serving, 4), urls) as (one, two):
            await asyncio.gather(one.ready(), two.ready())
            serving.released.clear()
            async with asyncio.TaskGroup() as tasks:
                for _ in range(3):
                    tasks.create_task(quietly(one))
                await until(lambda: serving.in_flight == 3)

                asked = [tasks.create_task(two.ask()) for _ in range(3)]
                await until(lambda: sum(each.done() for each in asked) == 2)
                refused = [each.result() for each in asked if each.done()]
                assert {each.status_code for each in refused} == {503}
                assert refused[0].json()["error"]["code"] == "capacity_exceeded"
                assert "other replicas" in refused[0].text

                one.kill()
                killed = time.monotonic()
                before = len(serving.arrived)
                while len(serving.arrived) < before + 3:
                    tasks.create_task(two.ask())
                    await pause(0.1)
                assert time.monotonic() - killed < 5
                serving.released.set()
            assert serving.most_in_flight <= 4 + 3  # the killed one's were never answered


async def quietly(replica: Replica) -> None:
    async with replica.client() as client:
        await ask(client)


async def test_who_waits_gets_what_others_free(tmp_path: Path, store: StoreServer) -> None:
    async with upstream() as serving:
        urls = {f"box-{number}": store.url for number in (1, 2, 3)}
        serving.seconds = 0.02
        with replicas(tmp_path, config(serving, 2, QUEUE), urls) as several:
            await asyncio.gather(*(one.ready() for one in several))

            async def ask_many(one: Replica, times: int) -> list[int]:
                async with one.client() as client:
                    return [await ask(client) for _ in range(times)]

            answers = await asyncio.gather(
                *(ask_many(one, 10) for one in several for _ in range(3))
            )

            assert [status for each in answers for status in each] == [200] * 90
            assert serving.most_in_flight <= 2


async def test_a_wait_for_what_others_hold_ends_in_time(tmp_path: Path, store: StoreServer) -> None:
    queue = QUEUE.replace("20", "0.5")
    async with upstream() as serving:
        urls = {f"box-{number}": store.url for number in (1, 2)}
        with replicas(tmp_path, config(serving, 1, queue), urls) as (one, two):
            await asyncio.gather(one.ready(), two.ready())
            serving.released.clear()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(one.ask())
                await until(lambda: serving.in_flight == 1)

                async with asyncio.timeout(5):
                    refused = await two.ask()
                assert refused.status_code == 503
                assert refused.json()["error"]["code"] == "capacity_exceeded"
                serving.released.set()
            assert len(serving.arrived) == 1


@pytest.mark.slow_fleet
@pytest.mark.parametrize("most", [4, 12])
async def test_no_kill_and_no_restart_lets_more_run(tmp_path: Path, most: int) -> None:
    with store_server() as store:
        async with upstream() as serving:
            serving.seconds = 0.03
            urls = {f"box-{number}": store.known().url for number in (1, 2, 3, 4)}
            with replicas(tmp_path, config(serving, most, QUEUE), urls) as several:
                await asyncio.gather(*(one.ready() for one in several))
                dice, kills, answered = random.Random(3), 0, 0

                async def keep_asking(one: Replica) -> None:
                    nonlocal answered
                    while kills < 40:
                        async with one.client() as client:
                            while kills < 40 and (status := await ask(client)):
                                answered += status == 200
                        await turns()

                async with asyncio.TaskGroup() as tasks:
                    for one in several:
                        for _ in range(4):
                            tasks.create_task(keep_asking(one))
                    while kills < 40:
                        await pause(dice.uniform(0.5, 1))
                        one = dice.choice(several)
                        one.kill()
                        await one.start()
                        if kills % 4 == 3:
                            store.restart()
                        kills += 1
                sys.stderr.write(
                    f"{most} slots: {kills} kills, {answered} answers, at most "
                    f"{serving.most_in_flight} in flight\n"
                )
                assert serving.most_in_flight <= most
                assert answered > 40 * most
