"""Cut off from the store: the open zone closes within its lease, everything else goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fleet.cut import cut_before
from tests.fleet.replica import Replica, backend, chat, replicas
from tests.fleet.server import StoreServer, store_server
from tests.fleet.upstream import Upstream, upstream
from tests.replicas.test_shared_money import pause
from tests.waiting import until

CLOSED_SECONDS = 1.0  # after which no byte leaves: the lease is half of it, the rest is slack


@pytest.fixture
def store() -> Iterator[StoreServer]:
    with store_server() as server:
        yield server.known()


@pytest.fixture
async def local() -> AsyncIterator[Upstream]:
    async with upstream() as serving:
        yield serving


@pytest.fixture
async def cloud() -> AsyncIterator[Upstream]:
    async with upstream() as serving:
        yield serving


def config(local: Upstream, cloud: Upstream) -> str:
    return backend("local", local.url) + backend("cloud", cloud.url, "open", "c")


@asynccontextmanager
async def late() -> AsyncIterator[list[float]]:
    """How late this loop is, now and then: by so much it notes too late when something came."""
    lateness, loop = [0.0], asyncio.get_running_loop()
    timers: list[asyncio.TimerHandle] = []

    def look() -> None:
        if timers:
            lateness.append(loop.time() - timers.pop().when())
        timers.append(loop.call_later(0.02, look))

    look()
    try:
        yield lateness
    finally:
        timers.pop().cancel()


async def alone(replica: Replica) -> bool:
    return bool((await replica.get("/health"))["alone"])


async def test_without_the_store_open_backends_are_closed_and_local_ones_go_on(
    tmp_path: Path, store: StoreServer, local: Upstream, cloud: Upstream
) -> None:
    with replicas(tmp_path, config(local, cloud), {"box-1": store.url}) as (one,):
        await one.ready()
        assert (await one.ask("c")).status_code == 200
        store.freeze()
        gone = time.monotonic()
        await until(lambda: alone(one))

        started = time.monotonic()
        assert (await one.ask("m")).status_code == 200
        assert time.monotonic() - started < 0.25
        started = time.monotonic()
        refused = await one.ask("c")

        assert 1.9 < time.monotonic() - started < 2.8
        assert (refused.status_code, refused.json()["error"]["code"]) == (
            503,
            "coordination_unavailable",
        )
        assert refused.headers["retry-after"] == "1"
        assert cloud.since(gone + CLOSED_SECONDS) == []
        health = await one.get("/health")
        assert health["closed"] == ["the open zone"]
        assert "answer" in health["why"]

        explained = (await one.post("/nexus/explain", chat("c"))).json()
        assert "no word from the fleet's store" in str(explained)

        waiting = asyncio.ensure_future(one.ask("c"))
        store.thaw()
        assert (await waiting).status_code == 200
        assert not await alone(one)


def costly(local: Upstream, cloud: Upstream) -> str:
    """A budget, and a cloud of which a model has a price."""
    priced = backend("cloud", cloud.url, "open", "gpt-4o").replace(
        'type = "vllm"', 'type = "openai"\napi_key_env = "CLOUD_KEY"'
    )
    return backend("local", local.url) + priced + "\n[budget]\nmonthly_limit_usd = 5\n"


async def test_where_money_is_limited_a_closed_zone_is_told_as_such(
    tmp_path: Path, store: StoreServer, local: Upstream, cloud: Upstream
) -> None:
    with replicas(tmp_path, costly(local, cloud), {"box-1": store.url}, CLOUD_KEY="sk-cloud") as (
        one,
    ):
        await one.ready()
        assert (await one.ask("gpt-4o")).status_code == 200
        store.kill()
        await until(lambda: alone(one))

        for _ in range(2):  # the second when no granted money holds any more
            refused = await one.ask("gpt-4o")
            assert refused.json()["error"]["code"] == "coordination_unavailable"
            assert refused.headers["retry-after"] == "1"


async def test_a_restart_of_the_store_is_waited_out_by_requests_that_cost_limited_money(
    tmp_path: Path, store: StoreServer, local: Upstream, cloud: Upstream
) -> None:
    with replicas(tmp_path, costly(local, cloud), {"box-1": store.url}, CLOUD_KEY="sk-cloud") as (
        one,
    ):
        await one.ready()
        assert (await one.ask("gpt-4o")).status_code == 200
        await pause(0.4)
        store.kill()
        asked = asyncio.ensure_future(one.ask("gpt-4o"))
        await pause(0.3)
        store.start()
        assert (await asked).status_code == 200


@pytest.mark.parametrize("when_alone", ["cut", "keep"])
async def test_for_slots_of_an_idle_backend_requests_wait_until_there_is_a_share(
    tmp_path: Path, store: StoreServer, local: Upstream, when_alone: str
) -> None:
    slots = backend("local", local.url) + "max_concurrent = 4\n"
    own = (
        '[fleet]\nreplica = "{}"\nbeat_milliseconds = 100\nopen_zone_lease_seconds = 0.5\n'
        f'dead_after_seconds = 1\nwhen_alone = "{when_alone}"\n'
    )
    with replicas(tmp_path, own.format("box-1") + slots, {"box-1": store.url}) as (one,):
        await one.ready()
        assert (await one.ask("m")).status_code == 200
        await pause(0.4)  # the beats that give its slot back
        store.kill()
        gone = time.monotonic()
        first = await one.ask("m")
        waited = time.monotonic() - gone
        assert first.status_code == 200, (waited, first.text)
        assert 0.5 < waited < 3.5  # until others would count this one as dead
        assert (await one.ask("m")).status_code == 200


async def test_a_restart_of_the_store_is_waited_out_by_requests_for_slots(
    tmp_path: Path, store: StoreServer, local: Upstream
) -> None:
    slots = backend("local", local.url) + "max_concurrent = 2\n"
    urls = {"box-1": store.url, "box-2": store.url}
    with replicas(tmp_path, slots, urls) as (one, two):
        await asyncio.gather(one.ready(), two.ready())
        assert (await one.ask("m")).status_code == (await two.ask("m")).status_code == 200
        await pause(0.4)
        store.kill()
        asked = [asyncio.ensure_future(each.ask("m")) for each in (one, two)]
        store.start()
        answers = await asyncio.gather(*asked)
        assert [answer.status_code for answer in answers] == [200, 200]
        assert local.most_in_flight <= 2


async def test_kept_open_it_goes_on_without_the_store(
    tmp_path: Path, store: StoreServer, local: Upstream, cloud: Upstream
) -> None:
    own = '[fleet]\nreplica = "box-1"\nwhen_alone = "keep"\n'
    store.kill()
    with replicas(tmp_path, own + config(local, cloud), {"box-1": store.url}) as (one,):
        await one.ready()
        assert (await one.ask("c")).status_code == 200
        health = await one.get("/health")
        assert (health["alone"], health["closed"]) == (True, [])
        listed = (await one.get("/nexus/state"))["replicas"]
        assert [(member["name"], member["is_this"]) for member in listed] == [("box-1", True)]


async def test_a_panic_reaches_nobody_who_is_cut_off_and_they_send_nothing(
    tmp_path: Path, store: StoreServer, local: Upstream, cloud: Upstream
) -> None:
    async with cut_before(store.socket) as cut:
        urls = {"box-1": store.url, "box-2": cut.url}
        with replicas(tmp_path, config(local, cloud), urls) as (one, two):
            await one.ready()
            await two.ready()
            asking = True

            async def keep_asking(replica: Replica, model: str, wanted: set[int]) -> None:
                async with replica.client() as client:
                    while asking:
                        answer = await client.post("/v1/chat/completions", json=chat(model))
                        assert answer.status_code in wanted

            async with late() as lateness, asyncio.TaskGroup() as tasks:
                for replica in (one, two):
                    tasks.create_task(keep_asking(replica, "c", {200, 503}))
                    tasks.create_task(keep_asking(replica, "m", {200}))
                await until(lambda: len(cloud.arrived) > 20)
                cut.swallows = True
                pressed = time.monotonic()
                await one.post("/nexus/zones/open", {"enabled": False})
                await until(lambda: alone(two))
                served = len(local.arrived)
                await until(lambda: len(local.arrived) > served + 20)
                most = pressed + CLOSED_SECONDS + max(lateness)
                assert [one.at - pressed for one in cloud.since(most)] == []
                cut.swallows = False

                async def knows() -> bool:
                    state = await two.get("/nexus/state")
                    return not state["fleet"]["alone"] and not state["zones"]["open"]

                await until(knows)
                asking = False
            assert cloud.since(most) == []


@pytest.mark.parametrize("seconds", [1.0, pytest.param(10.0, marks=pytest.mark.slow_fleet)])
async def test_a_process_that_was_stopped_hears_from_the_store_before_it_sends(
    tmp_path: Path, store: StoreServer, local: Upstream, cloud: Upstream, seconds: float
) -> None:
    urls = {"box-1": store.url, "box-2": store.url}
    with replicas(tmp_path, config(local, cloud), urls) as (one, two):
        await one.ready()
        await two.ready()
        asked = [asyncio.ensure_future(two.ask("c")) for _ in range(5)]
        await until(lambda: len(cloud.arrived) > 0)
        two.freeze()
        asked += [asyncio.ensure_future(two.ask("c")) for _ in range(5)]
        await one.post("/nexus/zones/open", {"enabled": False})
        cut_at = time.monotonic()
        await pause(seconds)
        two.thaw()
        answers = await asyncio.gather(*asked)

        # 504: what was under way for ten seconds may have run out of time.
        assert {answer.status_code for answer in answers} <= {200, 503, 504}
        assert (await two.ask("m")).status_code == 200
        assert cloud.since(cut_at) == []


async def test_a_panic_without_the_store_stays_when_it_comes_back_empty(
    tmp_path: Path, store: StoreServer, local: Upstream, cloud: Upstream
) -> None:
    urls = {"box-1": store.url, "box-2": store.url}
    with replicas(tmp_path, config(local, cloud), urls) as (one, two):
        await one.ready()
        await two.ready()
        store.kill()
        await until(lambda: alone(one))
        told = await one.post("/nexus/zones/open", {"enabled": False})
        assert told.status_code == 200
        store.start()

        async def is_cut() -> bool:
            return not (await two.get("/nexus/state"))["zones"]["open"]

        await until(is_cut)
        two.kill()
        await two.start()
        await until(is_cut)
        assert (await two.ask("c")).json()["error"]["code"] == "no_capable_backend"
        store.flush()
        assert (await two.ask("c")).status_code == 503
        await until(is_cut)


@pytest.mark.parametrize("how", ["slow", "hung", "swallowed"])
async def test_no_local_request_waits_longer_for_the_store(
    tmp_path: Path, store: StoreServer, local: Upstream, cloud: Upstream, how: str
) -> None:
    async with cut_before(store.socket) as cut:
        with replicas(tmp_path, config(local, cloud), {"box-1": cut.url}) as (one,):
            await one.ready()
            async with one.client() as client, late() as lateness:
                assert (await client.post("/v1/chat/completions", json=chat())).status_code == 200
                match how:
                    case "slow":
                        cut.delay = 0.25
                    case "hung":
                        store.freeze()
                    case _:
                        cut.swallows = True
                waits: list[float] = []
                while len(waits) < 20 or not await alone(one):
                    started = time.monotonic()
                    answer = await client.post("/v1/chat/completions", json=chat())
                    waits.append(time.monotonic() - started)
                    assert answer.status_code == 200
                assert sorted(waits)[-2] < 0.25 + max(lateness)
                why = (await one.get("/health"))["why"]
            assert why == "it does not answer in time"
            store.thaw()


async def test_a_large_prompt_that_is_on_its_way_is_stopped_as_well(
    tmp_path: Path, store: StoreServer, cloud: Upstream
) -> None:
    prompt = "x" * (16 * 1024 * 1024)  # more than sockets hold
    async with cut_before(int(cloud.url.rpartition(":")[2])) as way:
        slow = backend("cloud", way.url.replace("redis:", "http:"), "open", "c")
        with replicas(tmp_path, slow, {"box-1": store.url}) as (one,):
            await one.ready()
            assert (await one.ask("c")).status_code == 200
            way.is_held = True
            asked = asyncio.ensure_future(one.post("/v1/chat/completions", chat("c", prompt)))
            await until(lambda: way.is_holding)
            store.freeze()
            assert (await asked).json()["error"]["code"] == "coordination_unavailable"
            ended = way.ended
            way.is_held = False
            await until(lambda: way.ended > ended)
            assert len(cloud.arrived) == 1
