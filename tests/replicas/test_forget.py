"""A replica that never returns: what it held counts as spent, what it did not use is free."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import httpx

from tests.fleet.replica import replicas
from tests.fleet.server import StoreServer
from tests.fleet.upstream import upstream
from tests.replicas.test_shared_money import ask, config, spent_usd
from tests.tui.process.test_cli import run
from tests.waiting import until


async def test_an_operator_forgets_a_dead_replica(tmp_path: Path, store: StoreServer) -> None:
    async with upstream() as serving:
        urls = {f"box-{number}": store.url for number in (1, 2)}
        with replicas(tmp_path, config(serving, 50.0), urls, CLOUD_KEY="k") as (one, two):
            await asyncio.gather(one.ready(), two.ready())
            async with one.client() as client:
                assert [await ask(client) for _ in range(5)] == [200] * 5
                serving.released.clear()
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(ask(client))
                    await until(lambda: serving.in_flight == 1)

                    async def has_told() -> bool:
                        return await spent_usd(two) == 0.05

                    await until(has_told)
                    assert await forget(two.url, "box-1") == (400, "invalid_request_error")
                    assert await forget(two.url, "box-9") == (404, "invalid_request_error")
                    one.kill()
            serving.released.set()

            async def is_dead() -> bool:
                told = (await two.get("/nexus/replicas"))["replicas"]
                return any(each["name"] == "box-1" and each.get("dead") for each in told)

            await until(is_dead)
            done = await asyncio.to_thread(
                run, tmp_path, "fleet", "forget", "box-1", "--url", two.url, "--json"
            )

            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout) == {"replica": "box-1", "presumed_usd": 0.01}

            async def counts_it() -> bool:
                return await spent_usd(two) == 0.06

            await until(counts_it)
            actions = (await two.get("/nexus/actions"))["actions"]
            assert actions[-1]["action"] == "replica_forgotten"


async def forget(url: str, name: str) -> tuple[int, str]:
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{url}/nexus/fleet/forget", json={"replica": name})
        return answer.status_code, answer.json()["error"]["type"]
