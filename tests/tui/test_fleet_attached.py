"""A dashboard attached to a real fleet: processes that share a real store, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from nexus_core.types import PrivacyZone
from nexus_tui.app import NexusApp
from nexus_tui.sources.fleet.opening import fleet_of
from nexus_tui.sources.fleet.source import FleetSource
from nexus_tui.sources.remote import RemoteSource
from tests.fleet.replica import Replica, backend, replicas
from tests.fleet.server import store_server
from tests.fleet.upstream import upstream
from tests.tui.process.test_cli import run
from tests.tui.screen import press, screen_text
from tests.waiting import until

WITHIN_SECONDS = 20.0


@asynccontextmanager
async def attached(url: str, *, through: bool = False) -> AsyncIterator[FleetSource]:
    """All replicas, as `nexus attach URL` sees them."""
    async with RemoteSource(url) as seed:
        await seed.connect()
        roll = await seed.roll()
        assert roll is not None
        fleet = fleet_of(seed, roll, None, through=url if through else None)
        async with asyncio.TaskGroup() as tasks:
            links = [tasks.create_task(seed.run()), tasks.create_task(fleet.run())]
            await fleet.settle(WITHIN_SECONDS)
            yield fleet
            fleet.close()
            for link in links:
                link.cancel()


class Asked:
    """The ids of what was asked of each replica, as the answers name them."""

    def __init__(self) -> None:
        self.by_id: dict[str, str] = {}

    async def ask(self, replica: Replica) -> None:
        answer: httpx.Response = await replica.ask()
        assert answer.status_code == 200
        self.by_id[answer.headers["x-nexus-request-id"]] = replica.name


def shown(app: NexusApp) -> dict[str, str]:
    """The replica of each request that is over; a request that is listed twice fails."""
    rows = list(app.view.rows)
    assert len({row.request_id for row in rows}) == len(rows)
    return {row.request_id: row.replica or "" for row in rows if not row.is_live}


async def test_every_request_once_with_its_replica_while_one_joins_one_dies_and_the_zone_is_cut(
    tmp_path: Path,
) -> None:
    asked = Asked()
    with store_server() as store:
        async with upstream() as server:
            config = backend("gpu", server.url) + backend("cloud", server.url, "open", "c")
            urls = dict.fromkeys(("box-1", "box-2"), store.url)
            with replicas(tmp_path, config, urls) as boxes:
                first, second = [await box.ready() for box in boxes]
                for box in (second, first, second):
                    await asked.ask(box)
                await until(lambda: _knows(first, 2), WITHIN_SECONDS)
                async with attached(first.url) as fleet:
                    app = NexusApp(fleet)
                    async with app.run_test(size=(160, 40)) as pilot:
                        await until(lambda: shown(app) == asked.by_id, WITHIN_SECONDS)
                        assert [row.replica for row in app.view.rows] == [
                            *("box-2", "box-1", "box-2")
                        ]

                        own = {"NEXUS_REDIS_URL": store.url}
                        third = Replica(tmp_path, "box-3", config, own)
                        boxes.append(third)
                        await third.start()
                        await asked.ask(third)
                        await until(lambda: shown(app) == asked.by_id, WITHIN_SECONDS)

                        second.kill()
                        await until(lambda: "box-2 DEAD" in screen_text(app), WITHIN_SECONDS)
                        for box in (third, first):
                            await asked.ask(box)
                        await until(lambda: shown(app) == asked.by_id, WITHIN_SECONDS)
                        assert fleet.stats.requests == len(asked.by_id) == 6

                        third.freeze()
                        await until(lambda: _is_silent(fleet, "box-3"), WITHIN_SECONDS)
                        await press(pilot, "!")
                        await until(
                            lambda: (
                                "box-3 silent" in screen_text(app)
                                and "box-1 cut" in screen_text(app)
                            ),
                            WITHIN_SECONDS,
                        )
                        assert "its permission lapsed" in screen_text(app)
                        third.thaw()
                        await until(lambda: "2 of 3 confirmed" in screen_text(app), WITHIN_SECONDS)
                        await until(lambda: not _is_dead(fleet, "box-3"), WITHIN_SECONDS)
                        is_open = fleet.is_zone_enabled
                        await until(lambda: not is_open(PrivacyZone.OPEN), WITHIN_SECONDS)

                await _plain_commands(tmp_path, first.url, asked)
                await _through(first.url)


async def _knows(replica: Replica, count: int) -> bool:
    return len((await replica.get("/nexus/replicas"))["replicas"]) == count


def _is_silent(fleet: FleetSource, name: str) -> bool:
    told = fleet.last_roll.get(name)
    return told is not None and fleet.last_roll.has_lapsed(told, fleet.now())


def _is_dead(fleet: FleetSource, name: str) -> bool:
    told = fleet.last_roll.get(name)
    return told is None or told.is_dead


async def _plain_commands(directory: Path, url: str, asked: Asked) -> None:
    listed = await asyncio.to_thread(run, directory, "requests", "--url", url, "--json")
    told = {one["id"]: one["replica"] for one in json.loads(listed.stdout)["requests"]}
    alive = {one: name for one, name in asked.by_id.items() if name != "box-2"}
    assert told == alive, listed.stderr
    assert "requests: box-2: dead: left out" in listed.stderr

    only = await asyncio.to_thread(
        run, directory, "requests", "--url", url, "replica:=box-3", "--json"
    )
    assert {one["replica"] for one in json.loads(only.stdout)["requests"]} == {"box-3"}
    text = await asyncio.to_thread(run, directory, "requests", "--url", url)
    assert "replica" in text.stdout.splitlines()[0]
    status = await asyncio.to_thread(run, directory, "status", "--url", url, "--window", "start")
    assert " replicas    box-1, box-3" in status.stdout
    assert f" requests    {len(alive)}, 0 failovers" in status.stdout
    logs = await asyncio.to_thread(run, directory, "logs", "--url", url, "replica:box-3")
    assert "box-3  " in logs.stdout
    assert "box-1  " not in logs.stdout


async def _through(url: str) -> None:
    async with attached(url, through=True) as fleet:
        await until(lambda: len(fleet.live_parts()) == 2, WITHIN_SECONDS)
        assert fleet.stats.requests == 4
