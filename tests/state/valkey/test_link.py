"""The link of a process to a real store: beats, takes, outages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from nexus_core.state.base import StoreUnavailableError
from nexus_core.state.clock import lease_clock
from tests.fleet.cut import cut_before
from tests.fleet.server import StoreServer, store_server
from tests.state.valkey.processes import Recorder, dying, make, running
from tests.waiting import until

NUDGE = "{nexus:default}:nudge"


@pytest.fixture(scope="module")
def shared() -> Iterator[StoreServer]:
    """One server for tests that do it no harm."""
    with store_server() as server:
        yield server


@pytest.fixture
def store(shared: StoreServer) -> StoreServer:
    shared.flush()
    return shared.known()


@pytest.fixture
def own() -> Iterator[StoreServer]:
    """A server that a test may kill."""
    with store_server() as server:
        yield server.known()


async def test_processes_see_each_other_and_leave(store: StoreServer) -> None:
    one, two = make(store.url, "box-1"), make(store.url, "box-2", worker=1)
    async with running(one):
        async with running(two):
            await until(lambda: len(one.members) == 2)

            seen = one.members
            assert [(m.replica, m.worker, m.is_dead) for m in seen] == [
                ("box-1", None, False),
                ("box-2", 1, False),
            ]
            assert seen[1].address == "http://box-2:8000"
            assert all(m.beat_seconds_ago < 1 for m in seen)
            assert one.live == two.live == 2
            assert one.alone_since is None
        await until(lambda: len(one.members) == 1)

    assert store.ask("HLEN", "{nexus:default}:members") == "0"


async def test_who_falls_silent_is_dead_after_a_while_and_told_as_such(store: StoreServer) -> None:
    one, two = make(store.url, "box-1"), make(store.url, "box-2")
    async with running(one):
        async with dying(two):
            await until(lambda: one.live == 2)
        assert [m.is_dead for m in one.members] == [False, False]
        await until(lambda: one.live == 1)

        assert [(m.replica, m.is_dead) for m in one.members] == [("box-1", False), ("box-2", True)]
        async with running(make(store.url, "box-2")):
            await until(lambda: one.live == 2)
            await until(lambda: not any(m.is_dead for m in one.members))
        assert store.ask("HLEN", "{nexus:default}:members") == "1"


async def test_fleets_of_other_names_share_nothing(store: StoreServer) -> None:
    one, two = make(store.url, "box-1"), make(store.url, "box-2", name="other")
    async with running(one, two, beats=3):
        assert one.live == two.live == 1


async def test_a_part_is_asked_for_each_beat_and_hears_when_it_was_sent(store: StoreServer) -> None:
    link, part = make(store.url, "box-1"), Recorder()
    link.add(part)
    before = lease_clock()
    async with running(link, beats=3):
        times = [sent for _, sent in part.heard]

    assert times == sorted(times)
    assert before <= times[0] <= lease_clock()
    assert part.cuts == []


async def test_takes_that_wait_are_one_call(store: StoreServer) -> None:
    link = make(store.url, "box-1")
    async with running(link):
        calls = link.calls
        answers = await asyncio.gather(*(link.take("nobody", {}) for _ in range(20)))

        assert answers == [{}] * 20
        assert link.calls - calls <= 3


async def test_a_take_waits_no_longer_than_a_quarter_second(own: StoreServer) -> None:
    link = make(own.url, "box-1")
    async with running(link):
        own.freeze()
        waits: list[float] = []
        for _ in range(4):
            started = time.monotonic()
            with pytest.raises(StoreUnavailableError):
                await link.take("nobody", {})
            waits.append(time.monotonic() - started)
        await until(lambda: link.alone_since is not None)
        started = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="answer"):
            await link.take("nobody", {})

        assert max(waits) < 0.35
        assert sum(waits[1:]) < 0.1  # else one thing asked after another would wait for each
        own.thaw()
        await until(lambda: link.alone_since is None)
        assert await link.take("nobody", {}) == {}


async def test_parts_are_told_once_that_the_store_is_gone(own: StoreServer) -> None:
    link, part = make(own.url, "box-1"), Recorder()
    link.add(part)
    async with running(link):
        before = len(part.cuts)  # on a machine that stood still for a moment
        own.kill()
        await until(lambda: len(part.cuts) > before)
        last, gone = part.heard[-1][1], lease_clock()
        assert part.cuts[before:] == [last]
        assert 0.4 <= gone - last < 1.5  # much less where the machine is free
        assert link.alone_since is not None
        assert abs(time.time() - (gone - last) - link.alone_since) < 0.3
        beats = link.beats
        own.start()
        await until(lambda: link.beats > beats)
        assert link.alone_since is None
        assert len(part.cuts) == before + 1


async def test_without_a_store_at_the_start_it_is_alone_from_there(own: StoreServer) -> None:
    own.kill()
    link, part = make(own.url, "box-1", replicas=3), Recorder()
    link.add(part)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(link.run())
        await until(lambda: part.cuts != [])
        assert link.live == 3
        assert link.alone_since is not None
        assert not await link.first_beat(0.01)
        own.start()
        assert await link.first_beat(5)
        task.cancel()


async def test_a_partition_is_noticed_and_ends(own: StoreServer) -> None:
    async with cut_before(own.socket) as cut:
        link, part = make(cut.url, "box-1"), Recorder()
        link.add(part)
        async with running(link):
            cut.swallows = True
            await until(lambda: part.cuts != [])
            cut.swallows = False
            await until(lambda: link.alone_since is None)
            assert not link.is_quarantined


async def test_a_hurried_beat_comes_at_once_and_a_nudge_hurries_others(store: StoreServer) -> None:
    rare = {"beat_milliseconds": 1000, "open_zone_lease_seconds": 5, "dead_after_seconds": 10}
    one = make(store.url, "box-1", **rare)
    async with running(one):
        beats = one.beats
        one.hurry()
        await until(lambda: one.beats == beats + 1, 0.5)
        await until(lambda: _nudged(store) == 1)
        await until(lambda: one.beats == beats + 2, 0.5)


def _nudged(store: StoreServer) -> int:
    return int(store.ask("PUBLISH", "{nexus:default}:nudge", "another"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--requirepass", "hush"), "asks for a password"),
        (("--maxmemory", "1mb"), "memory is full"),
        (("--replicaof", "127.0.0.1 1"), "read-only replica"),
    ],
)
async def test_why_there_is_no_word_is_told(options: tuple[str, ...], told: str) -> None:
    with store_server(*options) as server:
        link = make(server.url, "box-1")
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(link.run())
            await until(lambda: told in (link.problem or ""))
            task.cancel()


async def test_scripts_that_an_acl_refuses_are_told(own: StoreServer) -> None:
    link = make(own.url, "box-1")
    async with running(link):
        assert own.ask("ACL", "SETUSER", "default", "-evalsha", "-eval") == "OK"
        await until(lambda: "ACL refuses" in (link.problem or ""))
        await until(lambda: link.alone_since is not None)


async def test_a_wrong_eviction_policy_is_seen() -> None:
    with store_server("--maxmemory-policy", "allkeys-lru") as server:
        link = make(server.known().url, "box-1")
        async with running(link):
            assert link.eviction == "allkeys-lru"


@pytest.mark.parametrize("step_ms", [30_000, -30_000, 3_600_000])
async def test_a_step_of_the_stores_clock_kills_nobody(store: StoreServer, step_ms: int) -> None:
    one, two = make(store.url, "box-1"), make(store.url, "box-2")
    async with running(one, two):
        await until(lambda: one.live == two.live == 2)
        beats, processes = "{nexus:default}:beats", [one.process, two.process]
        seen: list[int] = []
        # The clock goes back where the beats that it wrote lie ahead, and the other way round.
        await asyncio.to_thread(
            store.ask,
            "EVAL",
            "for _, p in ipairs(ARGV) do redis.call('ZINCRBY', KEYS[1], "
            f"{step_ms}, p) end return 1",
            "1",
            beats,
            *processes,
        )
        before = one.beats + two.beats

        def has_gone_on() -> bool:
            seen.append(min(one.live, two.live))
            return one.beats + two.beats > before + 6

        await until(has_gone_on)
        assert set(seen) == {2}
        assert not any(member.is_dead for member in (*one.members, *two.members))


async def test_what_another_version_says_ends_no_link(store: StoreServer) -> None:
    link, part = make(store.url, "box-1"), Recorder()
    link.add(part)
    async with running(link):
        for member in ('{"replica":"box-2","worker":null}', '{"replica":7,"worker":1}'):
            assert store.ask("HSET", "{nexus:default}:members", member, member) == "1"
        assert (
            store.ask("EVAL", "return redis.call('PUBLISH', KEYS[1], '\\xff')", "1", NUDGE) == "1"
        )
        beats = link.beats
        await until(lambda: link.beats > beats + 3)

        assert [one.process for one in link.members] == [link.process]
        assert store.ask("SET", "{nexus:default}:order", "no hash of ours") == "OK"
        assert await link.take("nobody", {}) == {}


async def test_a_part_that_fails_is_known_to_those_after_it(store: StoreServer) -> None:
    link, first, last = make(store.url, "box-1"), Recorder("first"), Recorder("last")
    seen: list[bool] = []

    def fail(answer: object, sent: float) -> None:
        raise ValueError(sent)

    link.add(first)
    link.add(last)
    last.accept = lambda answer, sent: seen.append(link.is_understood)  # type: ignore[method-assign]
    async with running(link):
        await until(lambda: True in seen)
        first.accept = fail  # type: ignore[method-assign]
        await until(lambda: seen[-1:] == [False])
        del first.accept
        await until(lambda: seen[-1:] == [True])


async def test_who_died_before_data_were_lost_is_told_of_for_an_hour_and_leaves_nothing(
    store: StoreServer,
) -> None:
    fleet, gone = "{nexus:default}", "box-2.dead"
    link = make(store.url, "box-1")
    for name in ("members", "order", "switches_told", "confirmed"):
        field = f"slots {gone}" if name == "order" else gone
        told = '{"replica":"box-2","worker":null}' if name == "members" else "1"
        assert store.ask("HSET", f"{fleet}:{name}", field, told) == "1"
    async with running(link):
        beats = f"{fleet}:beats"
        await until(lambda: store.ask("ZSCORE", beats, gone) not in ("", "$-1"))
        assert store.ask("ZINCRBY", beats, "-3600000", gone)
        await until(lambda: store.ask("HEXISTS", f"{fleet}:members", gone) == "0")

        assert store.ask("HLEN", f"{fleet}:switches_told") == "0"
        assert store.ask("HEXISTS", f"{fleet}:order", f"slots {gone}") == "0"
        assert store.ask("ZSCORE", beats, gone) == "$-1"


async def test_a_part_that_fails_ends_neither_the_link_nor_the_process(
    store: StoreServer, caplog: pytest.LogCaptureFixture
) -> None:
    link, good, bad = make(store.url, "box-1"), Recorder("good"), Recorder("bad")
    bad.says = {"unwritable": object()}
    link.add(bad)
    link.add(good)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(link.run())
        await until(lambda: good.cuts != [])
        assert "in this process" in (link.problem or "")
        bad.says = {}
        await until(lambda: good.heard != [])
        assert link.alone_since is None
        task.cancel()
    assert "begins anew" in caplog.text
