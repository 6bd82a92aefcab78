"""Money where clocks differ at the end of a month: each month's limit holds for itself."""

from __future__ import annotations

import pytest

from tests.fleet.server import StoreServer
from tests.state.leases.processes import joined, process
from tests.state.valkey.processes import running
from tests.waiting import until

COST = 10
NEXT = "2026-12"


@pytest.mark.parametrize("loses_data", [False, True])
async def test_who_is_in_the_next_month_already_spends_nothing_of_this_one(
    own_store: StoreServer, loses_data: bool
) -> None:
    early, late = process(own_store.url, "box-1"), process(own_store.url, "box-2")
    (a, of_a), (b, of_b) = early.account(30), late.account(30)
    early.money.turn(NEXT)
    async with running(early.link, late.link):
        await joined(early, late)
        for _ in range(3):
            assert await early.spend(a, of_a, COST)
            assert await late.spend(b, of_b, COST)
        if loses_data:
            await until(lambda: a.reported == b.reported == 30)
            own_store.flush()
            await until(lambda: early.link.is_quarantined)
            await until(lambda: not (early.link.is_quarantined or late.link.is_quarantined))

        assert not await early.spend(a, of_a, COST)
        assert not await late.spend(b, of_b, COST)
        assert (a.elsewhere, b.elsewhere) == (0, 0)
        of_b.spent = 0
        late.money.turn(NEXT)
        await until(lambda: b.elsewhere == 30)
        assert not await late.spend(b, of_b, COST)
