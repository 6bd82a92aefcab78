"""What a database says that ledgers have spent, with a real store that loses its data."""

from __future__ import annotations

from nexus_core.state.leases.recovery import Identity
from tests.fleet.server import StoreServer
from tests.state.leases.processes import MONTH, joined, process
from tests.state.leases.test_money import COST, spend_all
from tests.state.valkey.processes import running
from tests.waiting import until


async def test_what_a_database_knows_of_the_dead_is_promised_once_the_store_lost_it(
    store: StoreServer,
) -> None:
    one = process(store.url, "box-1")
    a, of_a = one.account(500)
    (laptop, _) = one.account(500, "laptop")
    async with running(one.link):
        one.money.raise_to({"dead": {"laptop": 200, None: 100}, "box-1": {None: 0}}, MONTH)
        one.money.raise_to({"of another month": {None: 9}}, "2026-10")
        await joined(one)
        assert await one.spend(a, of_a, COST)
        await until(lambda: a.elsewhere == 300)
        assert await one.money.obtain((laptop,), COST)
        assert laptop.elsewhere == 200
        store.flush()
        await until(lambda: one.link.is_quarantined)
        await until(lambda: not one.link.is_quarantined)
        await one.beat()
        assert a.elsewhere == 300

        await spend_all(one, a, of_a)
        assert 200 - COST <= of_a.spent <= 200 + COST

    # It lived after all: what it says itself is in that, and not beside it.
    dead = process(store.url, "box-2")
    b, of_b = dead.account(500)
    of_b.spent = 300
    dead.join("dead", nobody=300)
    async with running(dead.link):
        await until(lambda: dead.money._is_joined)
        await until(lambda: b.elsewhere == of_a.spent)
        assert dead.recovered == []
        assert b.spent == 300


async def test_of_a_ledger_several_workers_together_spent_the_floor(store: StoreServer) -> None:
    workers = [process(store.url, "box-1", worker=number) for number in (1, 2)]
    other = process(store.url, "box-2")
    accounts = [one.account(1000) for one in workers]
    c, _ = other.account(1000)
    for number, one, (_, books) in zip((1, 2), workers, accounts, strict=True):
        one.money.join(Identity("disk", number, "boot"), {}, {}, lambda _: None)
        books.spent = COST
    async with running(*(one.link for one in (*workers, other))):
        await joined(other)
        await until(lambda: c.elsewhere == 2 * COST)
        other.money.raise_to({"disk": {None: 2 * COST + 5}}, MONTH)
        await until(lambda: c.elsewhere == 2 * COST + 5)
        accounts[0][1].spent += COST
        await until(lambda: c.elsewhere == 3 * COST)


async def test_a_loss_of_the_store_is_told_of_once(store: StoreServer) -> None:
    one = process(store.url, "box-1")
    lost: list[int] = []
    one.money.on_loss = lambda: lost.append(1)
    async with running(one.link):
        await joined(one)
        await until(lambda: not one.link.is_quarantined)
        await one.beat()
        lost.clear()
        store.flush()
        await until(lambda: one.link.is_quarantined)
        await until(lambda: not one.link.is_quarantined)
        await one.beat()

    assert lost == [1]
