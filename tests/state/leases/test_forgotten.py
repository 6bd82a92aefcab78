"""A replica that never returns, with a real store: all of its workers are forgotten at once."""

from __future__ import annotations

from nexus_core.state.leases.lease import table
from nexus_core.state.leases.recovery import Identity
from tests.fleet.server import StoreServer
from tests.state.leases.processes import joined, process
from tests.state.leases.test_money import COST
from tests.state.valkey.processes import dying, running
from tests.waiting import until


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
