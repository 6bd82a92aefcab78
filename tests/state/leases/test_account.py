"""How much of an account is asked for at once, with a real store; and what may be spent of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.fleet.server import StoreServer
from tests.state.leases.processes import joined, process
from tests.state.valkey.processes import running

COST = 10


async def test_while_the_rate_rises_ever_more_is_granted_at_once(store: StoreServer) -> None:
    one = process(
        store.url, "box-1", beat_milliseconds=1000, open_zone_lease_seconds=2, dead_after_seconds=4
    )
    lease, books = one.account(10_000_000)
    async with running(one.link):
        await joined(one)
        before = one.link.calls - one.link.beats

        for _ in range(500):
            assert await one.spend(lease, books, COST)

        assert one.link.calls - one.link.beats - before <= 8


async def test_what_was_spent_before_the_start_is_no_reason_to_be_granted_more(
    store: StoreServer,
) -> None:
    one = process(store.url, "box-1")
    lease, books = one.account(10_000_000)
    books.spent = 1_000_000
    async with running(one.link):
        one.join("box-1", nobody=1_000_000)
        await joined(one)

        most = 0
        for _ in range(10):
            assert await one.spend(lease, books, COST)
            most = max(most, lease.left)
            await one.beat(1)

        assert most <= 20 * COST


async def test_of_a_small_limit_a_process_that_is_killed_takes_a_small_part_along(
    store: StoreServer,
) -> None:
    one = process(store.url, "box-1")
    limit = 100 * 100 * COST
    lease, books = one.account(limit)
    async with running(one.link):
        await joined(one)

        most = 0
        for number in range(2000):
            assert await one.spend(lease, books, COST)
            most = max(most, lease.left)
            if number % 500 == 0:
                await one.beat(1)

        assert 50 * COST < most <= limit / 100


_AMOUNT = st.integers(0, 2**60)


@given(_AMOUNT, st.lists(st.tuples(*[_AMOUNT] * 5), max_size=2))
def test_an_estimate_is_covered_where_each_account_has_so_much_left(
    nano: int, accounts: list[tuple[int, ...]]
) -> None:
    one, leases = process("redis://127.0.0.1:1", "box-1"), []
    one.term.renew(one.term.clock())
    for number, (ceiling, base, spent, reserved, pledged) in enumerate(accounts):
        lease, books = one.account(10**9, f"key-{number}")
        lease.ceiling, lease.base, lease.pledged = ceiling, base, pledged
        books.spent, books.reserved = spent, reserved
        leases.append(lease)

    assert one.money.covers(leases, nano) == all(lease.left >= nano for lease in leases)
