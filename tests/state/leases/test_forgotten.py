"""A replica that never returns, with a real store: all of its workers are forgotten at once."""

from __future__ import annotations

import time

from nexus_core.state.leases.lease import table
from nexus_core.state.leases.recovery import Identity
from nexus_core.state.valkey.departure import tell_departure
from tests.fleet.server import StoreServer
from tests.state.leases.processes import MONTH, joined, process
from tests.state.leases.test_money import COST
from tests.state.valkey.processes import dying, running, settings
from tests.waiting import until

OWNERS, ENDS, MONTHS = (f"{{nexus:default}}:{name}" for name in ("owners", "owners_end", "months"))


async def test_what_dead_workers_held_counts_as_spent_and_the_rest_is_free(
    store: StoreServer,
) -> None:
    other = process(store.url, "box-2")
    b, _ = other.account(1000)
    async with running(other.link):
        await joined(other)
        workers = [process(store.url, "box-1", worker=number) for number in (1, 2)]
        async with dying(workers[0].link), dying(workers[1].link):
            for number, one in enumerate(workers, 1):
                lease, books = one.account(1000)
                one.money.join(Identity("disk", number, "boot"), {}, {}, lambda _: None)
                await until(lambda one=one: one.money._is_joined)  # type: ignore[misc]
                assert await one.spend(lease, books, COST)
                books.reserved = COST
                await one.beat(3)
        await until(lambda: b.elsewhere == 2 * COST)
        await until(lambda: other.link.live == 1)

        told = table((await other.link.forget("box-1")).get("money"))

        assert told == {"owners": 2, "presumed": str(2 * COST)}
        await other.beat()
        assert b.elsewhere == 4 * COST


async def test_the_names_of_those_that_are_gone_are_kept_for_as_long_as_they_may_be_asked_for(
    store: StoreServer,
) -> None:
    def hours_left(owner: str) -> float:
        return (float(store.ask("ZSCORE", ENDS, owner)) / 1000 - time.time()) / 3600

    other, gone, dead = (process(store.url, name) for name in ("box-0", "pod-1", "pod-2"))
    async with running(other.link):
        await joined(other)
        async with running(gone.link):
            await joined(gone)
        async with dying(dead.link):
            await joined(dead)
        await tell_departure(settings(store.url, "box-0"), dead.link.process)

        assert 0.9 < hours_left("pod-1") < 1.1  # its last calls may come late
        assert hours_left("pod-2") / 24 > 62  # what it had counts in its month
        assert store.ask("HLEN", OWNERS) == "3"
        for owner in ("pod-1", "box-0"):  # time goes by, in which one turned out to live
            store.ask("ZADD", ENDS, "0", owner)
        later = process(store.url, "pod-3")
        async with running(later.link):
            await joined(later)

            assert store.ask("HEXISTS", OWNERS, "pod-1") == "0"
            assert store.ask("HLEN", OWNERS) == "3"
            assert store.ask("ZCARD", ENDS) == "1"


async def test_months_of_which_nothing_is_kept_are_not_looked_through(store: StoreServer) -> None:
    store.ask("SADD", MONTHS, "2026-01")
    one = process(store.url, "box-1")
    lease, books = one.account(1000)
    async with running(one.link):
        await joined(one)
        assert await one.spend(lease, books, COST)
        await until(lambda: store.ask("SISMEMBER", MONTHS, MONTH) == "1")

        assert store.ask("SISMEMBER", MONTHS, "2026-01") == "0"
