"""What a fleet shows of itself: headers, /health, /metrics, /nexus/state, the start."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.api.listen.test_server import talk
from tests.fleet.replica import Replica, backend, chat, replicas
from tests.fleet.server import StoreServer, store_server
from tests.fleet.upstream import Upstream, upstream
from tests.tui.process.test_cli import run
from tests.waiting import until, wait_until


@pytest.fixture
def store() -> Iterator[StoreServer]:
    with store_server() as server:
        yield server.known()


@pytest.fixture
async def local() -> AsyncIterator[Upstream]:
    async with upstream() as serving:
        yield serving


async def listed(replica: Replica) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await replica.get("/nexus/state"))["replicas"]
    return found


async def test_every_answer_names_its_replica_and_the_fleet_is_listed(
    tmp_path: Path, store: StoreServer, local: Upstream
) -> None:
    config = backend("local", local.url)
    with replicas(tmp_path, config, {"box-1": store.url, "box-2": store.url}) as (one, two):
        await one.ready()
        await two.ready()
        async with one.client() as client:
            answers = [
                await client.get(path)
                for path in ("/health", "/v1/models", "/metrics", "/nexus/state", "/nowhere", "/")
            ]
        answers.append(await one.ask())
        answers.append(await one.ask("unknown"))
        assert {answer.headers.get("x-nexus-replica") for answer in answers} == {"box-1"}
        assert (await two.ask()).headers["x-nexus-replica"] == "box-2"
        for raw in (b"no HTTP\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"x" * 80_000 + b"\r\n\r\n"):
            answer = await talk(int(one.url.rpartition(":")[2]), raw)
            assert b"\r\nx-nexus-replica: box-1\r\n" in answer, answer

        explained = await asyncio.to_thread(
            run, tmp_path, "explain", "--model", "m", "--url", one.url
        )
        assert explained.stdout.startswith(" replica     box-1\n"), explained.stderr

        metrics = answers[2].text
        assert "\nnexus_fleet_alone 0.0\n" in metrics
        assert "\nnexus_fleet_beat_seconds " in metrics
        assert "\nnexus_fleet_calls_total " in metrics

        async def has_both() -> bool:
            return len(await listed(one)) == 2

        await until(has_both)
        await one.post("/nexus/backends/local", {"priority": 7})
        plan = (await one.post("/nexus/save", {"only_plan": True})).json()["message"]
        assert plan.endswith("; this is the file of box-1; others have their own: box-2")
        first, second = await listed(one)
        assert (first["name"], first["address"], first["pid"]) == ("box-1", one.url, one.pid)
        assert (second["name"], second["address"], second["pid"]) == ("box-2", two.url, two.pid)
        assert second["last_beat_seconds"] < 1
        assert first["config_hash"] == second["config_hash"]
        assert not any("dead" in member or "differs" in member for member in (first, second))
        health = await one.get("/health")
        assert (health["replica"], health["alone"]) == ("box-1", False)
        assert "differs" not in health

        two.kill()

        async def is_dead() -> bool:
            return [one.get("dead", False) for one in await listed(one)] == [False, True]

        await until(is_dead)


async def test_a_replica_with_another_config_is_flagged_on_both(
    tmp_path: Path, store: StoreServer, local: Upstream
) -> None:
    mine = backend("local", local.url)
    theirs = backend("local", local.url) + "priority = 3\n"
    with (
        replicas(tmp_path, mine, {"box-1": store.url}) as (one,),
        replicas(tmp_path, theirs, {"box-2": store.url}) as (two,),
    ):
        await one.ready()
        await two.ready()

        async def differs(replica: Replica, other: str) -> bool:
            health: dict[str, Any] = await replica.get("/health")
            return health.get("differs") == [other]

        await until(lambda: differs(one, "box-2"))
        await until(lambda: differs(two, "box-1"))
        flagged = [member.get("differs") for member in await listed(one)]
        assert flagged == [None, ["config"]]


def test_without_its_variable_it_does_not_start_and_names_it(
    tmp_path: Path, store: StoreServer
) -> None:
    for url in ("", "10.0.0.5:6379"):
        folder = tmp_path / f"at-{len(url)}"
        folder.mkdir()
        with replicas(folder, "", {"box-1": url}) as (one,):
            assert one.ended() == 2
            assert "NEXUS_REDIS_URL" in one.log
            assert "Traceback" not in one.log


def test_a_store_that_may_drop_keys_is_warned_of_at_the_start(tmp_path: Path) -> None:
    with (
        store_server("--maxmemory-policy", "allkeys-lru") as store,
        replicas(tmp_path, "", {"box-1": store.url}) as (one,),
    ):
        wait_until(lambda: "maxmemory-policy allkeys-lru" in one.log)


async def test_the_stores_password_is_nowhere(tmp_path: Path, local: Upstream) -> None:
    config = backend("local", local.url)
    with store_server("--requirepass", "hush-hush") as store:
        good = f"{store.url.replace('unix://', 'unix://:hush-hush@')}"
        bad = good.replace("hush-hush", "wrong-hush")
        with replicas(tmp_path, config, {"box-1": good, "box-2": bad}) as (one, two):
            await one.ready()
            await two.ready()
            await until(lambda: "part of the fleet" in one.log)
            await until(lambda: "it refuses the password" in two.log)
            for replica in (one, two):
                async with httpx.AsyncClient(base_url=replica.url) as client:
                    texts = [
                        (await client.get(path)).text
                        for path in ("/health", "/metrics", "/nexus/state", "/nexus/logs")
                    ]
                assert "hush" not in "".join([replica.log, *texts])


async def test_a_rest_that_one_replica_was_asked_for_is_obeyed_by_all(
    tmp_path: Path, store: StoreServer, local: Upstream
) -> None:
    config = backend("local", local.url)
    with replicas(tmp_path, config, {"box-1": store.url, "box-2": store.url}) as (one, two):
        await one.ready()
        await two.ready()
        local.status, local.headers = 429, {"retry-after": "30"}
        assert (await one.ask()).status_code == 429

        async def rests(replica: Replica) -> list[str]:
            backends = (await replica.get("/nexus/state"))["backends"]
            return [one["why"] for one in backends[0]["cooldowns"].values()]

        async def obeys() -> bool:
            return await rests(two) != []

        await until(obeys, 2)
        local.status, local.headers = 200, {}
        asked = len(local.arrived)
        refused = await two.ask()
        assert refused.status_code == 503
        assert 25 <= int(refused.headers["retry-after"]) <= 30
        assert len(local.arrived) == asked
        assert "asked of box-1" in (await rests(two))[0]

        probed = await two.post("/nexus/backends/local/probe", {})
        assert probed.json()["ok"], probed.text

        async def both_answer() -> bool:
            return {(await one.ask()).status_code, (await two.ask()).status_code} == {200}

        await until(both_answer, 5)


async def test_a_backend_that_fails_elsewhere_is_left_alone_only_once_it_fails_here(
    tmp_path: Path, store: StoreServer, local: Upstream
) -> None:
    config = backend("local", local.url)
    with replicas(tmp_path, config, {"box-1": store.url, "box-2": store.url}) as (one, two):
        await one.ready()
        await two.ready()
        local.status = 500
        for text in ("a", "b", "c"):
            await one.post("/v1/chat/completions", chat(text=text))
        await until(lambda: "failing elsewhere backend=local model=m replica=box-1" in two.log)
        local.status = 200
        assert (await two.ask()).status_code == 200

        local.status = 500
        await two.ask()
        asked = len(local.arrived)
        assert (await two.ask()).status_code == 503
        assert len(local.arrived) == asked
