"""Leases on rates, with a real store: one limit for all, true waits, nothing given back twice."""

from __future__ import annotations

import asyncio

from nexus_core.state.leases.rates import WINDOW_SECONDS, Need, RateLease
from tests.fleet.server import StoreServer
from tests.state.leases.processes import Process, process
from tests.state.valkey.processes import running
from tests.waiting import turns, until


async def begin(one: Process, rate: RateLease, amount: int = 1) -> float:
    """Use so much, if it may; else seconds to wait."""
    if rate.left < amount:
        wait = await one.rates.obtain((Need(rate, amount),))
        if wait:
            return wait
    rate.left -= amount
    return 0.0


async def test_of_one_limit_all_processes_together_use_no_more(store: StoreServer) -> None:
    processes = [process(store.url, f"box-{number}") for number in range(3)]
    rates = [one.rates.share("rpm laptop", 10) for one in processes]
    async with running(*(one.link for one in processes)):
        begun = [0, 0, 0]
        for _ in range(10):
            for place, (one, rate) in enumerate(zip(processes, rates, strict=True)):
                begun[place] += not await begin(one, rate)

        assert sum(begun) == 10
        assert min(begun) >= 3  # so few are asked for one at a time
        wait = await begin(processes[0], rates[0])
        assert 5.0 < wait <= 6.0


async def test_a_wide_limit_is_taken_in_chunks(store: StoreServer) -> None:
    one = process(store.url, "box-1")
    rate = one.rates.share("rpm laptop", 60_000)
    async with running(one.link):
        loop, done = asyncio.get_running_loop(), 0
        end = loop.time() + 1.2
        before = one.link.calls - one.link.beats
        while loop.time() < end:
            assert not await begin(one, rate)
            done += 1
            await turns(20)

        assert done > 200
        assert one.link.calls - one.link.beats - before < done * 0.6


async def test_while_the_rate_rises_chunks_grow(store: StoreServer) -> None:
    one = process(
        store.url, "box-1", beat_milliseconds=1000, open_zone_lease_seconds=2, dead_after_seconds=4
    )
    rate = one.rates.share("rpm laptop", 60_000)
    async with running(one.link):
        before = one.link.calls - one.link.beats

        for _ in range(1000):
            assert not await begin(one, rate)

        assert one.link.calls - one.link.beats - before <= 20


async def test_a_chunk_is_never_more_than_a_share_of_the_limit() -> None:
    rate = RateLease("rpm laptop", 100)
    rate.take(200)
    for step in range(200):
        rate.left -= 1
        rate.look(step * 0.01)

    assert rate.chunk(1, live=4) == 12
    assert rate.chunk(30, live=4) == 30
    assert RateLease("rpm laptop", 10).chunk(1, live=4) == 1


async def test_both_limits_of_a_key_are_granted_or_none(store: StoreServer) -> None:
    one = process(store.url, "box-1")
    requests, tokens = one.rates.share("rpm laptop", 60), one.rates.share("tpm laptop", 100)
    async with running(one.link):
        assert not await one.rates.obtain((Need(requests, 1), Need(tokens, 100)))
        requests.left -= 1
        tokens.left -= 100

        wait = await one.rates.obtain((Need(requests, 1), Need(tokens, 50)))

        assert wait is not None
        assert 29 < wait <= 30
        beats = one.link.beats
        await until(lambda: one.link.beats > beats)
        assert requests.used(one.rates.clock()) == 1


async def test_a_refusal_is_not_asked_for_again_at_once(store: StoreServer) -> None:
    one = process(store.url, "box-1")
    rate = one.rates.share("rpm laptop", 1)
    async with running(one.link):
        assert not await begin(one, rate)
        assert await begin(one, rate)
        before = one.link.calls - one.link.beats

        waits = [await begin(one, rate) for _ in range(50)]

        assert one.link.calls - one.link.beats == before
        assert all(58 < wait <= 60 for wait in waits)


async def test_what_was_taken_and_not_used_is_given_back_and_what_is_owed_is_charged(
    store: StoreServer,
) -> None:
    one, two = process(store.url, "box-1"), process(store.url, "box-2")
    a, b = one.rates.share("tpm laptop", 1000), two.rates.share("tpm laptop", 1000)
    async with running(one.link, two.link):
        assert not await begin(one, a, 800)
        a.left += 500  # the answer was shorter than expected
        assert await begin(two, b, 500) > 0
        await until(lambda: b.used(two.rates.clock()) < 320)
        await until(lambda: b.refused_until < two.rates.clock())

        assert not await begin(two, b, 500)
        b.left -= 150  # and this one longer
        await until(lambda: b.left == 0 and b.back == 0)
        assert await begin(one, a, 200) > 0


async def test_of_a_limit_that_is_lowered_the_used_part_stays_used(store: StoreServer) -> None:
    one = process(store.url, "box-1")
    rate = one.rates.share("rpm laptop", 6000)
    async with running(one.link):
        assert not await begin(one, rate, 2500)
        rate.left += 500  # of the chunk it is not used, and will be given back

        assert one.rates.share("rpm laptop", 60) is rate

        await until(lambda: rate.left == 0 and rate.back == 0)
        await one.beat()
        assert 14 <= rate.used(one.rates.clock()) <= 20


async def test_lost_data_are_written_back(store: StoreServer) -> None:
    one, two = process(store.url, "box-1"), process(store.url, "box-2")
    a, b = one.rates.share("rpm laptop", 10), two.rates.share("rpm laptop", 10)
    async with running(one.link, two.link):
        for _ in range(10):
            assert not await begin(one, a)
        await until(lambda: b.used(two.rates.clock()) == 10)
        store.flush()
        await until(lambda: two.link.is_quarantined)
        await until(lambda: not two.link.is_quarantined)

        assert await begin(two, b) > 3


def test_alone_the_share_begins_as_used_as_the_limit_was() -> None:
    rate = RateLease("rpm laptop", 60)
    rate.full_at = 130.0  # at 100: half of it is used
    rate.begin_alone()

    share = 60 / 4
    begun = 0
    while not rate.alone_wait(1, share, 100.0):
        rate.alone_use(1, share, 100.0)
        begun += 1

    assert begun == 7
    assert rate.back == -7
    wait = rate.alone_wait(1, share, 100.0)
    assert 0 < wait <= WINDOW_SECONDS / share
    assert rate.alone_wait(1, share, 100.0 + wait) == 0


def test_a_share_of_less_than_one_a_minute_is_no_more_than_that() -> None:
    rate = RateLease("rpm laptop", 2)
    share = 2 / 8
    begun, at = 0, 100.0
    while at < 100.0 + 10 * WINDOW_SECONDS:
        if not rate.alone_wait(1, share, at):
            rate.alone_use(1, share, at)
            begun += 1
        at += 1

    assert begun == 3  # at once, and one every four minutes


async def test_many_that_ask_at_once_are_let_in_as_often_as_the_limit_says(
    store: StoreServer,
) -> None:
    one = process(store.url, "box-1")
    rate = one.rates.share("rpm laptop", 10)
    async with running(one.link):

        async def ask() -> bool:
            one.link.hurry()  # beats come in between
            return not await begin(one, rate)

        let_in = await asyncio.gather(*(ask() for _ in range(64)))

        assert sum(let_in) <= 10
        assert rate.aside == 0
