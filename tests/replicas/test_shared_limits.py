"""Limits of a client key that several replicas share: rates, true waits, requests under way."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.fleet.cut import cut_before
from tests.fleet.replica import Replica, backend, chat, replicas
from tests.fleet.server import StoreServer, store_server
from tests.fleet.upstream import Upstream, upstream
from tests.replicas.test_shared_money import pause
from tests.waiting import until

HELD = "{nexus:default}:parallel:laptop"
OWN = "the-laptops-own-key"
KEYS = {"NEXUS_API_KEYS": f"laptop:{OWN}"}
BEARER = {"Authorization": f"Bearer {OWN}"}


def config(serving: Upstream, limits: str) -> str:
    return backend("local", serving.url) + f"\n[limits]\n{limits}\n"


async def ask(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/v1/chat/completions", json=chat("m"), headers=BEARER)


async def under_way(replica: Replica) -> int:
    async with replica.client() as client:
        told = (await client.get("/v1/stats", headers=BEARER)).json()
        number: int = told["keys"]["laptop"]["under_way"]
        return number


async def test_ten_a_minute_are_ten_for_all_with_a_true_wait(
    tmp_path: Path, store: StoreServer
) -> None:
    async with upstream() as serving:
        urls = {f"box-{number}": store.url for number in (1, 2)}
        limits = config(serving, "requests_per_minute = 10")
        with replicas(tmp_path, limits, urls, **KEYS) as (one, two):
            await asyncio.gather(one.ready(), two.ready())
            async with one.client() as a, two.client() as b:
                began = time.monotonic()
                answers = [await ask(client) for _ in range(8) for client in (a, b)]

                let_in = sum(one.status_code == 200 for one in answers)
                more = int((time.monotonic() - began) / 6)
                assert 10 <= let_in <= 10 + more
                refused = [one for one in answers if one.status_code == 429]
                assert refused[0].json()["error"]["code"] == "rate_limit_exceeded"
                assert "10 requests a minute" in refused[0].text
                assert all(1 <= int(one.headers["retry-after"]) <= 6 for one in refused)


@pytest.mark.parametrize("limits", ["requests_per_minute = 60", "max_concurrent = 8"])
async def test_who_is_refused_for_want_of_the_store_is_told_so(
    tmp_path: Path, store: StoreServer, limits: str
) -> None:
    async with upstream() as serving:
        slots = config(serving, limits).replace("[limits]", "max_concurrent = 4\n[limits]")
        with replicas(tmp_path, slots, {"box-1": store.url}, **KEYS) as (one,):
            await one.ready()

            async def is_heard() -> bool:
                return not (await one.get("/health"))["alone"]

            await until(is_heard)
            store.freeze()
            async with one.client() as client:
                refused = await ask(client)

                assert refused.status_code == 429
                told = refused.json()["error"]["message"]
                assert "replicas" in told
                assert "their store" in told
            store.thaw()


@pytest.mark.parametrize("limits", ["requests_per_minute = 60", "max_concurrent = 8"])
async def test_until_the_store_knows_again_what_was_used_requests_wait(
    tmp_path: Path, limits: str
) -> None:
    async with upstream() as serving:
        with store_server() as store:  # which no fleet has used before
            urls = {"box-1": store.url}
            with replicas(tmp_path, config(serving, limits), urls, **KEYS) as (one,):
                await one.ready()
                async with one.client() as client:
                    assert (await ask(client)).status_code == 200
                    await pause(0.3)
                    store.flush()
                    answers = await asyncio.gather(*(ask(client) for _ in range(4)))
                    assert [answer.status_code for answer in answers] == [200] * 4


@pytest.mark.parametrize("limits", ["requests_per_minute = 60", "max_concurrent = 8"])
async def test_where_it_takes_long_until_the_store_knows_they_are_told_so(
    tmp_path: Path, store: StoreServer, limits: str
) -> None:
    fleet = '\n[fleet]\nreplica = "{}"\ndead_after_seconds = 30\n'
    async with upstream() as serving:
        text = config(serving, limits)
        with replicas(tmp_path, fleet.format("box-1") + text, {"box-1": store.url}, **KEYS) as (
            one,
        ):
            other = fleet.format("box-2") + text
            with replicas(tmp_path, other, {"box-2": store.url}, **KEYS) as (two,):
                await asyncio.gather(one.ready(), two.ready())
                await until(lambda: store.ask("HLEN", "{nexus:default}:members") == "2")
                await pause(0.4)  # until the first has heard of the second
                two.kill()
            store.flush()
            async with one.client() as client:
                await pause(1.2)
                began = time.monotonic()
                refused = await ask(client)
                assert 1.8 < time.monotonic() - began < 3
                assert refused.status_code == 503
                assert refused.json()["error"]["code"] == "coordination_unavailable"
                assert refused.headers["retry-after"] == "1"
                assert "lost its data" in refused.text
                health = await one.get("/health")
                assert health["closed"] == ["the open zone"]
                assert health["why"] == "it lost its data; it waits for word from box-2"


async def test_requests_under_way_are_counted_over_all_and_come_back_to_none(
    tmp_path: Path, store: StoreServer
) -> None:
    async with upstream() as serving:
        urls = {f"box-{number}": store.url for number in (1, 2)}
        limits = config(serving, "max_concurrent = 3")
        with replicas(tmp_path, limits, urls, **KEYS) as (one, two):
            await asyncio.gather(one.ready(), two.ready())
            async with one.client() as a, two.client() as b, asyncio.TaskGroup() as tasks:
                for _ in range(3):
                    await until(lambda: store.ask("HLEN", HELD) == "0")  # nobody has any left
                    serving.released.clear()
                    first = [tasks.create_task(ask(a)) for _ in range(3)]
                    await until(lambda: serving.in_flight == 3)

                    assert (await ask(b)).status_code == 429
                    first.pop().cancel()  # its client hangs up

                    async def has_two() -> bool:
                        return await under_way(one) == 2

                    await until(has_two)
                    serving.released.set()
                    assert [(await each).status_code for each in first] == [200, 200]

                    async def may_again() -> bool:
                        return (await ask(b)).status_code == 200

                    await until(may_again)
            assert (await under_way(one), await under_way(two)) == (0, 0)
            await until(lambda: store.ask("HLEN", HELD) == "0")


@pytest.mark.parametrize(
    ("when_alone", "status"), [("share", (200, 429)), ("block", (503,)), ("full", (200,))]
)
async def test_alone_it_goes_by_the_configuration(
    tmp_path: Path, store: StoreServer, when_alone: str, status: tuple[int, ...]
) -> None:
    fleet = (
        '\n[fleet]\nreplica = "box-1"\nbeat_milliseconds = 100\nopen_zone_lease_seconds = 0.4\n'
        f'dead_after_seconds = 1\nreplicas = 4\nlimits_when_alone = "{when_alone}"\n'
    )
    async with upstream() as serving, cut_before(store.socket) as cut:
        limits = config(serving, "requests_per_minute = 40") + fleet
        cut.refuses = True
        with replicas(tmp_path, limits, {"box-1": cut.url}, **KEYS) as (one,):
            await one.ready()

            async def is_alone() -> bool:
                return (await one.get("/health"))["alone"] is not None

            await until(is_alone)
            async with one.client() as client:
                statuses = [(await ask(client)).status_code for _ in range(20)]

            assert tuple(dict.fromkeys(statuses)) == status
            if when_alone == "share":
                assert statuses.count(200) in (10, 11)


async def test_alone_a_key_that_was_idle_has_its_share_of_requests_under_way(
    tmp_path: Path, store: StoreServer
) -> None:
    async with upstream() as serving:
        limits = config(serving, "max_concurrent = 4")
        with replicas(tmp_path, limits, {"box-1": store.url}, **KEYS) as (one,):
            await one.ready()
            async with one.client() as client:
                assert (await ask(client)).status_code == 200
                await pause(0.4)
                store.kill()

                async def is_alone() -> bool:
                    return bool((await one.get("/health"))["alone"])

                await until(is_alone)
                assert [(await ask(client)).status_code for _ in range(3)] == [200] * 3


@pytest.mark.slow_fleet
@pytest.mark.parametrize("limit", [10, 6000])
async def test_a_store_that_comes_and_goes_lets_no_more_in(tmp_path: Path, limit: int) -> None:
    with store_server() as store:
        async with upstream() as serving:
            urls = {f"box-{number}": store.known().url for number in (1, 2, 3, 4)}
            limits = config(serving, f"requests_per_minute = {limit}")
            with replicas(tmp_path, limits, urls, **KEYS) as several:
                await asyncio.gather(*(one.ready() for one in several))
                began, over = time.monotonic(), False

                async def keep_asking(one: Replica) -> None:
                    async with one.client() as client:
                        while not over:
                            with suppress(httpx.TransportError):
                                answer = await ask(client)
                                if answer.status_code == 429:
                                    await pause(min(0.2, int(answer.headers["retry-after"])))

                async with asyncio.TaskGroup() as tasks:
                    for one in several:
                        for _ in range(4):
                            tasks.create_task(keep_asking(one))
                    for number in range(10):
                        await pause(2)
                        if number % 2:
                            store.restart()
                        else:
                            store.freeze()
                            await pause(1.5)
                            store.thaw()
                    over = True
                elapsed = time.monotonic() - began
                assert len(serving.arrived) <= limit + limit / 4 + limit * elapsed / 60
