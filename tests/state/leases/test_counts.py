"""Leases on counts, with a real store: never above the limit, given back, shared fairly."""

from __future__ import annotations

import asyncio
from typing import Any

from nexus_core.state.clock import lease_clock
from nexus_core.state.leases.counts import Count
from tests.fleet.cut import cut_before
from tests.fleet.server import StoreServer
from tests.state.leases.processes import Process, Use, process
from tests.state.valkey.processes import dying, running
from tests.waiting import turns, until


async def use_up(one: Process, count: Count, use: Use, most: int = 100) -> int:
    """How many more it may use."""
    begun = 0
    while begun < most and await one.begin(count, use):
        begun += 1
    return begun


async def test_of_two_processes_only_so_many_are_in_use(store: StoreServer) -> None:
    one, two = process(store.url, "box-1"), process(store.url, "box-2")
    (a, of_a), (b, of_b) = one.count(5), two.count(5)
    async with running(one.link, two.link):
        assert await use_up(one, a, of_a, 3) == 3

        assert await use_up(two, b, of_b) == 2
        assert await use_up(one, a, of_a) == 0


async def test_a_lease_that_suffices_asks_nothing(store: StoreServer) -> None:
    one = process(store.url, "box-1")
    count, use = one.count(8)
    async with running(one.link):
        assert await one.begin(count, use)
        calls = one.link.calls - one.link.beats
        for _ in range(50):
            one.end(count, use)
            assert await one.begin(count, use)

        assert one.link.calls - one.link.beats == calls


async def test_what_is_not_used_goes_back_with_a_beat(store: StoreServer) -> None:
    one, two = process(store.url, "box-1"), process(store.url, "box-2")
    (a, of_a), (b, of_b) = one.count(4), two.count(4)
    async with running(one.link, two.link):
        assert await use_up(one, a, of_a) == 4
        of_a.now = 0

        await until(lambda: a.held == 0)
        assert await use_up(two, b, of_b) == 4
    assert store.ask("HLEN", "{nexus:default}:slots:b") == "0"


async def test_a_limit_that_is_lowered_holds_for_those_that_are_never_idle(
    store: StoreServer,
) -> None:
    several = [process(store.url, f"box-{number}") for number in (1, 2)]
    uses = [(one, *one.count(6)) for one in several]
    is_over = False

    async def keep_busy(one: Process, count: Count, use: Use) -> None:
        while not is_over:
            if await one.begin(count, use):
                await turns()
                one.end(count, use)
            await turns()

    async with running(*(one.link for one in several)), asyncio.TaskGroup() as tasks:
        for one, count, use in uses:
            for _ in range(3):
                tasks.create_task(keep_busy(one, count, use))
        await until(lambda: all(count.held == 3 for _, count, _ in uses))
        for _, count, _ in uses:
            count.most = 2

        await until(lambda: sum(count.held for _, count, _ in uses) <= 2)
        for _ in range(20):
            await several[0].beat(1)
            assert sum(count.held for _, count, _ in uses) <= 2
            assert sum(use.now - count.asking for _, count, use in uses) <= 2
        is_over = True


async def test_a_refusal_is_remembered_until_the_next_beat(store: StoreServer) -> None:
    one, two = process(store.url, "box-1"), process(store.url, "box-2")
    (a, of_a), (b, of_b) = one.count(1), two.count(1)
    async with running(one.link, two.link):
        assert await one.begin(a, of_a)
        assert not await two.begin(b, of_b)
        calls, beats = two.link.calls, two.link.beats

        for _ in range(20):
            assert not await two.begin(b, of_b)

        beats = two.link.beats - beats
        assert two.link.calls - calls <= 2 * beats + 1  # at most one for each beat meanwhile
        one.end(a, of_a)
        await until(lambda: a.held == 0)

        async def may_begin() -> bool:
            return await two.begin(b, of_b)

        await until(may_begin)


async def test_a_slot_that_comes_free_goes_to_who_waits_without_a_beat(store: StoreServer) -> None:
    one = process(store.url, "box-1", beat_milliseconds=1000, open_zone_lease_seconds=2,
                  dead_after_seconds=5)  # fmt: skip
    two = process(store.url, "box-2", beat_milliseconds=1000, open_zone_lease_seconds=2,
                  dead_after_seconds=5)  # fmt: skip
    (a, of_a), (b, _) = one.count(2), two.count(2)
    async with running(one.link, two.link):
        assert await use_up(one, a, of_a) == 2
        two.counts.wait(b, 1)
        await until(lambda: store.ask("HLEN", "{nexus:default}:waiting:slots:b") == "1")
        one.link.hurry()
        await until(lambda: a.others_wait)

        one.end(a, of_a)
        began = asyncio.get_running_loop().time()
        await until(lambda: b.held == 1)

        assert asyncio.get_running_loop().time() - began < 0.5
        assert a.held == 1


async def test_a_killed_processes_slots_are_free_when_it_counts_as_dead(store: StoreServer) -> None:
    one, two = process(store.url, "box-1"), process(store.url, "box-2")
    (a, of_a), (b, of_b) = one.count(4), two.count(4)
    async with running(two.link):
        async with dying(one.link):
            assert await use_up(one, a, of_a, 3) == 3
            await until(lambda: two.link.live == 2)
            assert await use_up(two, b, of_b) == 1
        assert await use_up(two, b, of_b) == 0

        await until(lambda: two.link.live == 1)
        assert await use_up(two, b, of_b) == 3


async def test_one_that_was_held_for_dead_comes_back_with_what_is_free(store: StoreServer) -> None:
    async with cut_before(store.socket) as cut:
        one, two = process(cut.url, "box-1"), process(store.url, "box-2")
        (a, of_a), (b, of_b) = one.count(4), two.count(4)
        async with running(one.link, two.link):
            assert await use_up(one, a, of_a) == 4
            await until(lambda: two.link.live == 2)
            cut.swallows = True
            await until(lambda: two.link.live == 1)
            assert await use_up(two, b, of_b) == 4
            cut.swallows = False
            cut.cut()
            await until(lambda: two.link.live == 2 and one.link.alone_since is None)

            assert a.held == 0
            of_a.now = 0
            assert not await one.begin(a, of_a)


async def test_alone_a_share_is_used_and_never_the_whole(store: StoreServer) -> None:
    async with cut_before(store.socket) as cut:
        one, two = process(cut.url, "box-1"), process(store.url, "box-2")
        (a, of_a), (b, of_b) = one.count(8), two.count(8)
        idle, of_idle = one.count(8, "slots:idle")
        async with running(one.link, two.link):
            await until(lambda: one.link.live == 2)
            assert await use_up(one, a, of_a, 2) == 2
            assert await use_up(two, b, of_b, 6) == 6
            cut.swallows = True
            await until(lambda: one.term.is_alone and not one.term.is_fresh)

            assert one.counts.usable(a) == 2  # what it held, until others take it for dead
            assert not await one.begin(a, of_a)
            assert one.counts.usable(idle) == 0
            before = of_idle.changes
            await until(lambda: one.term.age > 1.0)
            await until(lambda: of_idle.changes > before)
            assert one.counts.usable(a) == one.counts.usable(idle) == 4  # half of it, at last
            assert await one.begin(idle, of_idle)


async def test_at_a_start_without_the_store_one_is_used(own_store: StoreServer) -> None:
    one = process(own_store.url, "box-1")
    count, use = one.count(8)
    own_store.kill()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(one.link.run())
        await until(lambda: one.term.is_alone)

        assert await use_up(one, count, use) == 1
        task.cancel()


async def test_data_that_are_lost_are_written_back_before_anything_is_granted(
    store: StoreServer,
) -> None:
    one, two = process(store.url, "box-1"), process(store.url, "box-2")
    (a, of_a), (b, of_b) = one.count(4), two.count(4)
    async with running(one.link, two.link):
        assert await use_up(one, a, of_a, 3) == 3
        store.flush()

        assert await use_up(two, b, of_b) <= 1
        await until(lambda: two.link.is_quarantined)
        await until(lambda: not two.link.is_quarantined)
        await use_up(two, b, of_b)
        assert of_b.now == 1
        assert await use_up(one, a, of_a) == 0


async def test_what_one_holds_that_is_away_while_data_are_lost_is_granted_to_nobody(
    own_store: StoreServer,
) -> None:
    calm: dict[str, Any] = {"dead_after_seconds": 4.0}
    async with cut_before(own_store.socket) as cut:
        one, two = process(cut.url, "box-1", **calm), process(own_store.url, "box-2", **calm)
        (a, of_a), (b, of_b) = one.count(4), two.count(4)
        async with running(one.link, two.link):
            await until(lambda: two.link.live == 2)
            assert await use_up(one, a, of_a, 3) == 3
            cut.swallows = True
            own_store.restart()
            await until(lambda: two.link.is_quarantined)
            lost = lease_clock()
            while lease_clock() < lost + 1.3:
                await use_up(two, b, of_b)
                assert of_b.now <= 1
                await two.beat(1)
            cut.swallows = False
            cut.cut()
            await until(lambda: not (one.link.is_quarantined or two.link.is_quarantined))
            await use_up(two, b, of_b)

            assert of_a.now + of_b.now == 4
            assert one.term.age < 1


async def test_who_counted_as_dead_when_data_were_lost_comes_back_with_what_is_free(
    own_store: StoreServer,
) -> None:
    async with cut_before(own_store.socket) as cut:
        one, two = process(cut.url, "box-1"), process(own_store.url, "box-2")
        (a, of_a), (b, of_b) = one.count(4), two.count(4)
        async with running(one.link, two.link):
            await until(lambda: two.link.live == 2)
            assert await use_up(one, a, of_a, 3) == 3
            cut.swallows = True
            await until(lambda: two.link.live == 1)
            own_store.flush()
            await until(lambda: two.link.is_quarantined)
            await until(lambda: not two.link.is_quarantined)
            assert await use_up(two, b, of_b) == 4
            cut.swallows = False
            cut.cut()
            await until(lambda: two.link.live == 2 and one.link.alone_since is None)

            assert a.held == 0
            assert two.link.members[0].is_dead is False


async def test_who_asks_while_data_are_lost_is_not_taken_for_one_that_holds(
    store: StoreServer,
) -> None:
    one, two = process(store.url, "box-1"), process(store.url, "box-2")
    (a, of_a), (b, of_b) = one.count(4), two.count(4)
    running_there, most, is_over = 0, 0, False

    async def keep_asking() -> None:
        nonlocal running_there, most
        while not is_over:
            if await two.begin(b, of_b):
                running_there += 1
                most = max(most, running_there)
                await turns()
                running_there -= 1
                two.end(b, of_b)
            await turns()

    async with running(one.link, two.link), asyncio.TaskGroup() as tasks:
        await two.beat()
        assert await use_up(one, a, of_a, 3) == 3
        for _ in range(4):
            tasks.create_task(keep_asking())
        await until(lambda: most == 1)
        for _ in range(3):
            store.flush()
            await until(lambda: two.link.is_quarantined)
            await until(lambda: not two.link.is_quarantined)
        is_over = True

    assert most == 1


async def test_a_request_that_asks_is_in_use_and_not_held(store: StoreServer) -> None:
    one = process(store.url, "box-1")
    count, use = one.count(4)
    count.held = use.now = 1
    one.term.renew(lease_clock())
    asking = [asyncio.ensure_future(one.begin(count, use)) for _ in range(2)]
    await turns()

    assert use.now == 3
    assert one.counts.report()["items"]["slots:b"]["held"] == 1
    assert await asyncio.gather(*asking) == [False, False]
    assert one.counts.report()["items"]["slots:b"]["held"] == 1
