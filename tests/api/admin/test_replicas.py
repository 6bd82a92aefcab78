"""Who is in the fleet, and the control API of another replica through this one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from nexus_core.config.schema import AuthConfig, Config
from nexus_core.gateway import Gateway
from nexus_tui.sources.fleet.replica import read_roll
from tests.running import served
from tests.state.links import member, told_fleet
from tests.waiting import until

KEY = {"authorization": "Bearer admin-1"}


@dataclass
class Two:
    """Two replicas; `client` speaks to the first one."""

    first: Gateway
    second: Gateway
    client: httpx.AsyncClient


@asynccontextmanager
async def two_replicas(key: bytes = b"admin-1") -> AsyncIterator[Two]:
    """`key` is that of the second one."""
    first, second = (
        Gateway(Config(auth=AuthConfig(admin_key=admin))) for admin in (b"admin-1", key)
    )
    async with (
        served(first) as url,
        served(second) as other,
        httpx.AsyncClient(base_url=url, headers=KEY) as client,
    ):
        for one in (url, other):  # builds the routes, which no two can at once
            await client.get(f"{one}/nexus/state")
        members = (member("box-1", url), member("box-2", other))
        first.shared, second.shared = (told_fleet(one, *members) for one in ("box-1", "box-2"))
        yield Two(first, second, client)


async def test_the_fleet_is_told_as_this_replica_knows_it() -> None:
    async with two_replicas() as two:
        told = (await two.client.get("/nexus/replicas")).json()

        roll = read_roll(told)
        assert (roll.here, roll.alone_since, roll.keeps_open) == ("box-1", None, False)
        assert [one.name for one in roll.replicas] == ["box-1", "box-2"]
        assert roll.replicas[0].beat_at == pytest.approx(told["at"] - 0.1)


async def test_without_a_fleet_there_is_nothing_to_tell() -> None:
    async with two_replicas() as two:
        two.first.shared = None
        answers = [await two.client.get(path) for path in ("/nexus/replicas", RELAYED)]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert {answer.json()["error"]["code"] for answer in answers} == {"not_found"}


RELAYED = "/nexus/replicas/box-2/nexus/state"


async def test_another_replica_is_asked_through_this_one() -> None:
    async with two_replicas() as two:
        state = await two.client.get(RELAYED)
        logs = await two.client.get("/nexus/replicas/box-2/nexus/logs?limit=1")
        captured = await two.client.post(
            "/nexus/replicas/box-2/nexus/capture", json={"enabled": True}
        )
        refused = await two.client.get("/nexus/replicas/box-2/nexus/requests/none")

        assert state.json()["started_at"] == two.second.started_at
        assert state.headers["content-type"] == "application/json"
        assert "lines" in logs.json()
        assert captured.status_code == 200
        assert (two.second.captures.is_on, two.first.captures.is_on) == (True, False)
        assert refused.status_code == 404
        assert refused.json()["error"]["code"] == "request_not_found"


async def test_a_stream_of_events_comes_as_it_comes_and_ends_with_its_reader() -> None:
    async with two_replicas() as two:
        path = "/nexus/replicas/box-2/nexus/events"
        async with two.client.stream("GET", path) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            async for line in answer.aiter_lines():
                if line == "event: totals":
                    break
            assert two.second.event_log.readers == 1
        await until(lambda: not two.second.event_log.readers)


@pytest.mark.parametrize(
    "path",
    [
        "/nexus/replicas/box-2/v1/models",
        "/nexus/replicas/box-2/nexus/replicas/box-1/nexus/state",
        "/nexus/replicas/box-2/nexus/%2e%2e/v1/models",
        "/nexus/replicas/box-2/nexus/..%2fv1/models",
        "/nexus/replicas/box-9/nexus/state",
        "/nexus/replicas/box-2/nexus",
    ],
)
async def test_nothing_else_is_passed_on(path: str) -> None:
    async with two_replicas() as two:
        answer = await two.client.get(path)

    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "replica_not_found"


async def test_a_key_must_be_good_here_and_there() -> None:
    async with two_replicas(b"another") as two:
        here = await two.client.get(RELAYED, headers={"authorization": "Bearer wrong"})
        there = await two.client.get(RELAYED)

    assert (here.status_code, there.status_code) == (401, 401)


async def test_a_replica_that_is_gone_is_told_with_its_name() -> None:
    async with two_replicas() as two:
        two.first.shared = told_fleet("box-1", member("box-2", "http://127.0.0.1:1"))
        answer = await two.client.get(RELAYED)

    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "replica_unreachable"
    assert "box-2" in answer.json()["error"]["message"]
