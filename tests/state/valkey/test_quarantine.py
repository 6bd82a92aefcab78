"""A store that lost its data: quarantine, and what the survivors write back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from redis import Redis

from nexus_core.state.clock import lease_clock
from nexus_core.state.valkey.program import program
from tests.fleet.cut import cut_before
from tests.fleet.server import StoreServer, store_server
from tests.state.valkey.processes import Recorder, dying, make, running
from tests.waiting import until


@pytest.fixture
def own() -> Iterator[StoreServer]:
    """A server that a test may kill."""
    with store_server() as server:
        yield server.known()


@pytest.mark.parametrize("how", ["flush", "restart"])
async def test_lost_data_are_told_and_written_back(own: StoreServer, how: str) -> None:
    one, two, part = make(own.url, "box-1"), make(own.url, "box-2"), Recorder()
    one.add(part)
    async with running(one, two):
        getattr(own, how)()
        beats = one.beats
        await until(lambda: one.is_quarantined)
        assert one.restores
        await until(lambda: one.beats > beats and not one.is_quarantined)
        assert not one.restores
        await until(lambda: len(one.members) == 2 and one.live == 2)


async def test_the_end_of_a_quarantine_is_heard_as_it_comes(own: StoreServer) -> None:
    rare = {"beat_milliseconds": 1000, "open_zone_lease_seconds": 5, "dead_after_seconds": 10}
    link = make(own.url, "box-1", **rare)
    ends = str(int(time.time() * 1000) + 300)
    own.ask("SET", "{nexus:default}:quarantine", ends, "PX", "300")  # another one has begun it
    started = time.monotonic()
    async with running(link, beats=2):
        assert not link.restores
    assert time.monotonic() - started < 0.9  # else it is the next beat that hears it


async def test_a_clock_that_goes_back_prolongs_no_quarantine(own: StoreServer) -> None:
    link = make(own.url, "box-1")
    hour = 3600 * 1000
    ends = str(int(time.time() * 1000) + hour)  # as if it had begun before the step
    async with running(link):
        own.ask("SET", "{nexus:default}:quarantine", ends, "PX", str(hour))
        own.ask("ZADD", "{nexus:default}:awaited", ends, "box-2.12345678")
        await until(lambda: link.is_quarantined)
        await until(lambda: not link.is_quarantined)


async def test_a_reconnect_to_the_same_server_is_no_quarantine(own: StoreServer) -> None:
    async with cut_before(own.socket) as cut:
        patient = {"open_zone_lease_seconds": 5, "dead_after_seconds": 10}  # for a busy machine
        link = make(cut.url, "box-1", **patient)
        async with running(link):
            beats, connections = link.beats, cut.connections
            cut.cut()
            await until(lambda: link.beats > beats + 2 and cut.connections > connections)
            assert not link.is_quarantined
            assert link.outages == 0


@pytest.mark.parametrize("is_flushed", [True, False])
async def test_who_was_away_when_data_were_lost_writes_back_later(
    own: StoreServer, is_flushed: bool
) -> None:
    async with cut_before(own.socket) as cut:
        one, two, part = make(cut.url, "box-1"), make(own.url, "box-2"), Recorder()
        said: list[bool] = []
        part.report = lambda: said.append(one.restores) or {}  # type: ignore[func-returns-value,method-assign]
        one.add(part)
        async with running(one, two):
            cut.swallows = True
            await until(lambda: one.alone_since is not None)
            own.flush() if is_flushed else own.restart()
            await until(lambda: two.is_quarantined)
            await until(lambda: not two.is_quarantined and two.alone_since is None)
            said.clear()
            cut.swallows = False
            cut.cut()
            await until(lambda: True in said)

            assert not two.is_quarantined  # it alone knows of it
            await until(lambda: not one.is_quarantined and not one.restores)
            assert one.live == 2


@pytest.mark.parametrize("dies", [False, True])
async def test_a_quarantine_waits_for_who_was_there_until_they_are_back_or_count_as_dead(
    own: StoreServer, dies: bool
) -> None:
    calm: dict[str, Any] = {"dead_after_seconds": 2.5}
    async with cut_before(own.socket) as cut:
        one, two = make(cut.url, "box-1", **calm), make(own.url, "box-2", **calm)
        async with running(two):
            async with dying(one):
                await until(lambda: one.live == two.live == 2)
                cut.swallows = True
                last = one._last_word
                own.flush()
                await until(lambda: two.is_quarantined)
                lost = lease_clock()
                if not dies:
                    await until(lambda: lease_clock() > lost + 1.3)
                    assert two.is_quarantined
                    assert two.alone_since is None
                    cut.swallows = False
                    cut.cut()
                    await until(lambda: not two.is_quarantined)
                    assert lease_clock() - last < 2.4
                    await until(lambda: two.live == 2)
            await until(lambda: not two.is_quarantined)
            if dies:
                assert 2.3 < lease_clock() - last < 4


async def test_a_quarantine_waits_for_nobody_who_has_left_or_has_a_successor(
    own: StoreServer,
) -> None:
    calm: dict[str, Any] = {"dead_after_seconds": 20}
    one, two, three = (make(own.url, name, **calm) for name in ("box-1", "box-2", "box-3"))
    async with running(three):
        async with running(one), dying(two):
            await until(lambda: three.live == 3)
            # The store loses its data while nobody sees it but those that are about to go.
            own.flush()
            await until(lambda: three.is_quarantined)
            await until(lambda: one.is_quarantined)
        started = lease_clock()
        async with running(make(own.url, "box-2", **calm)):
            await until(lambda: not three.is_quarantined)
        assert lease_clock() - started < 5


def test_nobody_is_back_before_what_it_knows_was_written_back(own: StoreServer) -> None:
    redis = Redis(unix_socket_path=str(own.socket))
    run, prefix = redis.info("server")["run_id"], "{nexus:default}:"

    def beat(process: str, **said: object) -> dict[str, Any]:
        told = {"process": process, "replica": process[:5], "run": run, "dead_ms": 60_000}
        body = msgspec.json.encode({**told, "parts": {}, "takes": [], **said})
        answer = redis.eval(program().body.decode(), 1, f"{prefix}run", "beat", body)
        found: dict[str, Any] = msgspec.json.decode(answer)
        return found

    data = beat("box-1.1")["data"]
    redis.flushall()
    for seen in ({}, {"seen": {"box-2.1": 10}}):  # one that hears of it, and then says so
        assert beat("box-1.1", data=data, **seen)["quarantine"]
    redis.set(f"{prefix}quarantine", "1", px=60_000)  # a second later
    assert beat("box-2.1", data=data)["quarantine"]
    assert redis.exists(f"{prefix}quarantine")

    assert beat("box-2.1", data=data, seen={})["quarantine"]

    assert not redis.exists(f"{prefix}quarantine")
    redis.close()
