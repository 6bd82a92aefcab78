"""Switches reach every replica: real processes, a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fleet.replica import Replica, backend, replicas
from tests.fleet.server import StoreServer, store_server
from tests.fleet.upstream import Upstream, upstream
from tests.waiting import until


@pytest.fixture
def store() -> Iterator[StoreServer]:
    with store_server() as server:
        yield server.known()


@pytest.fixture
async def cloud() -> AsyncIterator[Upstream]:
    async with upstream() as serving:
        yield serving


def config(cloud: Upstream) -> str:
    return backend("local", cloud.url) + backend("cloud", cloud.url, "open", "c")


async def is_open(replica: Replica) -> bool:
    zones: dict[str, bool] = (await replica.get("/nexus/state"))["zones"]
    return zones["open"]


async def actions(replica: Replica) -> list[str]:
    told: list[dict[str, Any]] = (await replica.get("/nexus/state"))["actions"]
    return [one["text"] for one in told]


async def test_a_cut_reaches_the_others_who_say_who_did_it(
    tmp_path: Path, store: StoreServer, cloud: Upstream
) -> None:
    urls = {"box-1": store.url, "box-2": store.url}
    with replicas(tmp_path, config(cloud), urls) as (one, two):
        await one.ready()
        await two.ready()
        assert (await two.ask("c")).status_code == 200

        async def knows_both() -> bool:
            return len((await one.get("/nexus/state"))["replicas"]) == 2

        await until(knows_both)
        cut = {"enabled": False, "end_running": True}
        told = (await one.post("/nexus/zones/open", cut)).json()
        assert told["replicas"] == 2, told
        assert told["message"] == (
            "the open zone is off on every replica; 0 running requests ended on box-1; "
            "other replicas end theirs"
        )

        async def is_cut() -> bool:
            return not await is_open(two)

        await until(is_cut, 1)
        refused = await two.ask("c")
        assert refused.json()["error"]["code"] == "no_capable_backend"
        assert (await two.ask("m")).status_code == 200
        assert (await actions(two))[0] == "cut the open zone, on box-1"

        two.stop()
        await two.start()
        assert not await is_open(two)
        assert (await two.ask("c")).status_code == 503

        await two.post("/nexus/zones/open", {"enabled": True})

        async def answers() -> bool:
            return (await one.ask("c")).status_code == 200

        await until(answers, 2)


async def test_what_a_file_says_anew_lifts_a_switch_on_every_replica(
    tmp_path: Path, store: StoreServer, cloud: Upstream
) -> None:
    urls = {"box-1": store.url, "box-2": store.url}
    with replicas(tmp_path, config(cloud), urls) as (one, two):
        await one.ready()
        await two.ready()
        await one.post("/nexus/backends/local", {"priority": 7})
        await until(lambda: has_priority(two, 7))
        assert (await one.post("/nexus/reload", {})).json()["lines"] == []
        assert await has_priority(one, 7)  # the file says nothing new

        file = tmp_path / "box-1" / "nexus.toml"
        text = file.read_text().replace('name = "local"', 'name = "local"\npriority = 9')
        file.write_text(text)
        told = (await one.post("/nexus/reload", {})).json()["lines"]
        assert told[-1] == "switched on every replica, as the file says now: priority local"
        await until(lambda: has_priority(two, 9))
        one.stop()
        await one.start()
        assert await has_priority(one, 9)


async def has_priority(replica: Replica, priority: int) -> bool:
    backends = (await replica.get("/nexus/state"))["backends"]
    return [each["priority"] for each in backends if each["name"] == "local"] == [priority]
