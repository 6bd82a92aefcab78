"""Leases on money, with a real store: never above the limit, nothing counted twice."""

from __future__ import annotations

import asyncio

import pytest

from nexus_core.state.leases.recovery import LOST, PRESUMED, Identity, Recovered
from tests.fleet.cut import cut_before
from tests.fleet.server import StoreServer
from tests.state.leases.processes import MONTH, Books, Process, joined, process
from tests.state.valkey.processes import dying, running
from tests.waiting import turns, until

COST = 10


async def spend_all(one: Process, lease: object, books: Books, most: int = 1000) -> int:
    spent = 0
    while spent < most and await one.spend(lease, books, COST):  # type: ignore[arg-type]
        spent += 1
    return spent


async def test_what_a_store_without_its_data_does_not_grant_is_not_taken_for_spent(
    store: StoreServer,
) -> None:
    one = process(store.url, "box-1")
    lease, books = one.account(1000)
    async with running(one.link):
        await joined(one)
        assert await one.spend(lease, books, COST)
        store.flush()
        await until(lambda: one.link.is_quarantined)

        refused = [await one.spend(lease, books, 20 * COST) for _ in range(2)]

        assert refused == [False, False]
        assert one.money.is_cut_off
        assert not lease.is_refused
        await until(lambda: not (one.link.is_quarantined or one.money.is_cut_off))
        assert await one.spend(lease, books, 20 * COST)


async def test_of_one_limit_all_processes_together_spend_no_more(store: StoreServer) -> None:
    processes = [process(store.url, f"box-{number}") for number in range(3)]
    accounts = [one.account(1000) for one in processes]
    async with running(*(one.link for one in processes)):
        await joined(*processes)

        async def spend(one: Process, lease: object, books: Books) -> None:
            for _ in range(4):  # what others did not use comes back with beats
                await spend_all(one, lease, books)
                await one.beat()

        await asyncio.gather(
            *(spend(one, *account) for one, account in zip(processes, accounts, strict=True))
        )

        total = sum(books.spent for _, books in accounts)
        assert 1000 - COST <= total <= 1000 + COST
        lease, books = accounts[0]
        await until(lambda: books.spent + lease.elsewhere == total)


async def test_a_lease_that_suffices_asks_nothing(store: StoreServer) -> None:
    one = process(store.url, "box-1")
    lease, books = one.account(10_000_000)
    async with running(one.link):
        await joined(one)
        before = one.link.calls - one.link.beats
        for _ in range(200):
            assert await one.spend(lease, books, COST)
            await turns()

        assert one.link.calls - one.link.beats - before <= 100
        await until(lambda: lease.ceiling - books.spent > 100 * COST)
        before = one.link.calls - one.link.beats
        for _ in range(100):
            assert await one.spend(lease, books, COST)
        assert one.link.calls - one.link.beats == before


async def test_one_request_of_the_fleet_may_pass_the_limit_by_its_own_estimate(
    store: StoreServer,
) -> None:
    one, two = process(store.url, "box-1"), process(store.url, "box-2")
    (a, of_a), (b, of_b) = one.account(15), two.account(15)
    async with running(one.link, two.link):
        await joined(one, two)
        assert await one.spend(a, of_a, COST)
        assert await two.spend(b, of_b, COST)

        assert not await one.spend(a, of_a, COST)
        assert not await two.spend(b, of_b, COST)


async def test_a_keys_limit_and_that_of_all_are_granted_together_or_not_at_all(
    store: StoreServer,
) -> None:
    one = process(store.url, "box-1")
    everybody, of_all = one.account(1000)
    laptop, of_laptop = one.account(20, "laptop")
    async with running(one.link):
        await joined(one)
        assert await one.money.obtain((everybody, laptop), COST)
        of_all.spent = of_laptop.spent = 25

        assert not await one.money.obtain((everybody, laptop), COST)
        assert laptop.is_refused
        assert everybody.pledged == laptop.pledged == 0


async def test_what_is_not_spent_comes_back(store: StoreServer) -> None:
    one, two = process(store.url, "box-1"), process(store.url, "box-2")
    (a, of_a), (b, of_b) = one.account(200), two.account(200)
    async with running(one.link, two.link):
        await joined(one, two)
        assert await one.spend(a, of_a, COST)
        await until(lambda: a.ceiling > of_a.spent)

        assert await spend_all(two, b, of_b) < 19
        await until(lambda: a.ceiling == of_a.spent, 5)  # idle: it keeps nothing

        async def has_room() -> bool:
            await spend_all(two, b, of_b)
            return of_b.spent >= 190

        await until(has_room)
        assert of_b.spent + of_a.spent <= 200 + COST


async def test_after_a_kill_its_lease_is_presumed_spent_until_it_comes_back(
    store: StoreServer,
) -> None:
    two = process(store.url, "box-2")
    b, of_b = two.account(400)
    async with running(two.link):
        await joined(two)
        one = process(store.url, "box-1")
        a, of_a = one.account(400)
        async with dying(one.link):
            await joined(one)
            for _ in range(5):
                assert await one.spend(a, of_a, COST)
            await until(lambda: a.reported == 50 and a.ceiling > 50)
            at_death = a.ceiling
        await until(lambda: two.link.live == 1)
        spent = await spend_all(two, b, of_b)
        assert spent * COST + at_death <= 400 + COST

        again = process(store.url, "box-1")
        c, of_c = again.account(400)
        # Of the five requests the last two are in no row: the ledger was not synced yet.
        of_c.spent = 30
        again.join("box-1", nobody=30)
        async with running(again.link):
            await until(lambda: again.money._is_joined)

            assert again.recovered == [
                Recovered(None, 20, LOST),
                Recovered(None, at_death - 50, PRESUMED),
            ]
            of_c.spent += sum(row.nano_usd for row in again.recovered)
            await until(lambda: c.reported == at_death)
            assert c.spent == at_death
            await two.beat()
            assert b.elsewhere == at_death


async def test_a_process_that_leaves_in_order_leaves_nothing_promised(store: StoreServer) -> None:
    one = process(store.url, "box-1")
    a, of_a = one.account(400)
    async with running(one.link):
        await joined(one)
        assert await one.spend(a, of_a, COST)
    two = process(store.url, "box-2")
    b, of_b = two.account(400)
    async with running(two.link):
        await joined(two)
        assert await two.spend(b, of_b, COST)

        assert b.room is not None
        assert b.elsewhere == COST
    again = process(store.url, "box-1")
    of_a.spent = COST
    again.account(400)
    again.join("box-1", nobody=COST)
    async with running(again.link):
        await until(lambda: again.money._is_joined)
        assert again.recovered == []


async def test_lost_data_are_written_back_and_nothing_is_granted_meanwhile(
    store: StoreServer,
) -> None:
    one, two, dead = (process(store.url, f"box-{number}") for number in range(3))
    (a, of_a), (b, of_b), (c, of_c) = (each.account(500) for each in (one, two, dead))
    async with running(one.link, two.link):
        async with dying(dead.link):
            await joined(one, two, dead)
            for _ in range(10):
                assert await dead.spend(c, of_c, COST)
                assert await one.spend(a, of_a, COST)
            await until(lambda: c.reported == 100)
        await until(lambda: b.elsewhere >= 200)
        store.flush()
        await until(lambda: two.link.is_quarantined)
        assert await spend_all(two, b, of_b) * COST <= 2 * COST
        await until(lambda: not (one.link.is_quarantined or two.link.is_quarantined))

        for _ in range(3):
            await spend_all(two, b, of_b)
            await spend_all(one, a, of_a)
            await two.beat()
        assert of_a.spent + of_b.spent + of_c.spent <= 500 + COST


async def test_who_starts_while_data_are_written_back_learns_all_that_it_held(
    store: StoreServer,
) -> None:
    two, one = process(store.url, "box-2"), process(store.url, "box-1")
    (b, _), (a, of_a) = two.account(400), one.account(400)
    async with running(two.link):
        async with dying(one.link):
            await joined(one, two)
            for _ in range(5):
                assert await one.spend(a, of_a, COST)
            await until(lambda: a.reported == 50 and a.ceiling > 50)
            at_death = a.ceiling
            await until(lambda: b.seen_granted.get("box-1") == str(at_death))
        store.flush()
        again = process(store.url, "box-1")
        _, of_c = again.account(400)
        of_c.spent = 30  # of the five requests the last two are in no row
        again.join("box-1", nobody=30)
        async with running(again.link):
            await until(lambda: again.money._is_joined)

            assert sum(row.nano_usd for row in again.recovered) == at_death - 30


async def test_a_worker_that_starts_after_data_were_lost_is_not_the_first_of_its_ledger(
    store: StoreServer,
) -> None:
    one, two = (process(store.url, "box-1", worker=number) for number in (1, 2))
    (a, of_a), _ = one.account(500), two.account(500)

    def begin(worker: Process, number: int) -> None:
        identity = Identity("ledger", number, "of this start")
        worker.money.join(identity, {}, {}, worker.recovered.extend)

    begin(one, 1)
    async with running(one.link):
        await joined(one)
        assert await one.spend(a, of_a, COST)
        await until(lambda: a.reported == COST)
        store.flush()
        await until(lambda: one.link.is_quarantined)
        begin(two, 2)
        async with running(two.link):
            await joined(two)

            assert two.recovered == []  # its row is on its way to the ledger


async def test_data_of_before_a_restart_leave_the_name_to_who_counts_under_it(
    store: StoreServer,
) -> None:
    owners, run = "{nexus:default}:owners", "{nexus:default}:run"
    first = process(store.url, "box-1")
    first.account(500)
    async with dying(first.link):
        await joined(first)
        of_first = store.ask("HGET", owners, "box-1")
    again = process(store.url, "box-1")
    a, of_a = again.account(500)
    async with running(again.link):
        await joined(again)
        assert await again.spend(a, of_a, COST)
        await until(lambda: a.reported == COST)
        store.ask("HSET", owners, "box-1", of_first)
        store.ask("SET", run, "of another server")  # as where it starts with an old file
        await until(lambda: again.link.is_quarantined)
        await until(lambda: not again.link.is_quarantined)
        assert await again.spend(a, of_a, COST)
        await until(lambda: a.reported == 2 * COST)

        assert again.money._owner == "box-1"
        assert (a.spent, a.elsewhere) == (2 * COST, 0)


@pytest.mark.parametrize(
    ("when_alone", "may"), [("block", False), ("grant", True), ("allow", True)]
)
async def test_alone_it_goes_by_the_configuration(
    store: StoreServer, when_alone: str, may: bool
) -> None:
    async with cut_before(store.socket) as cut:
        one = process(cut.url, "box-1", when_alone=when_alone)  # type: ignore[arg-type]
        lease, books = one.account(10_000)
        async with running(one.link):
            await joined(one)
            assert await one.spend(lease, books, COST)
            await until(lambda: lease.ceiling >= books.spent + COST)
            cut.swallows = True
            await until(lambda: one.term.is_alone and not one.term.is_fresh)

            assert one.money.is_cut_off is not may
            assert await one.spend(lease, books, COST) is may
            rest = await spend_all(one, lease, books, 500)
            assert (rest == 500) is (when_alone == "allow")
            assert one.money.is_cut_off is (when_alone != "allow")
            cut.swallows = False
            cut.cut()
            await until(lambda: not one.term.is_alone)
            assert not one.money.is_cut_off


async def test_a_month_begins_anew_for_all(store: StoreServer) -> None:
    one, two = process(store.url, "box-1"), process(store.url, "box-2")
    (a, of_a), (b, of_b) = one.account(30), two.account(30)
    async with running(one.link, two.link):
        await joined(one, two)
        await spend_all(one, a, of_a)
        assert not await two.spend(b, of_b, COST)

        for each, books in ((one, of_a), (two, of_b)):
            books.spent = 0
            each.money.turn("2026-12")
        assert await two.spend(b, of_b, COST)
        await until(lambda: a.elsewhere == COST)
    assert store.ask("HLEN", f"{{nexus:default}}:spent:{MONTH}:*") != "0"


async def test_a_copied_disk_counts_under_a_name_of_its_own(store: StoreServer) -> None:
    one, copy = process(store.url, "box-1"), process(store.url, "box-2")
    (a, of_a), (b, of_b) = one.account(1000), copy.account(1000)
    async with running(one.link, copy.link):
        one.join("same")
        await joined(one)
        await one.spend(a, of_a, COST)
        await until(lambda: a.reported == COST)
        of_b.spent = COST
        copy.join("same", nobody=COST)
        await joined(copy)
        of_b.spent += sum(row.nano_usd for row in copy.recovered)
        await until(lambda: one.money._owner == f"same/{one.link.process}")

        assert await one.spend(a, of_a, COST)
        await until(lambda: a.reported == COST)  # in its own name, what was not told before
        presumed = sum(row.nano_usd for row in copy.recovered)
        await until(lambda: b.elsewhere == COST)
        assert b.spent == COST + presumed


async def test_an_answer_of_the_month_that_ended_meanwhile_grants_nothing(
    store: StoreServer,
) -> None:
    one = process(store.url, "box-1")
    lease, books = one.account(1000)
    async with running(one.link):
        await joined(one)
        assert await one.spend(lease, books, COST)
        await until(lambda: lease.ceiling > 0)
        answer = {"accounts": {"*": {"spent": {"box-9": "900"}, "ceiling": "990", "room": "1"}}}
        one.money.report()
        books.spent = 0
        one.money.turn("2026-12")
        one.money.accept(answer, one.term.heard)

        assert (lease.ceiling, lease.elsewhere) == (0, 0)


async def test_older_data_make_nobody_a_stranger_to_its_own_ledger(store: StoreServer) -> None:
    one = process(store.url, "box-1")
    lease, books = one.account(1000)
    async with running(one.link):
        await joined(one)
        for _ in range(5):
            assert await one.spend(lease, books, COST)
        await until(lambda: lease.reported == 50)
        store.flush()  # and there it is again, as it was before this process began
        prefix = "{nexus:default}:"
        assert store.ask("HSET", f"{prefix}owners", "box-1", "box-1.before 99 box-1") == "1"
        assert store.ask("HSET", f"{prefix}spent:{MONTH}:*", "box-1", "20") == "1"
        await until(lambda: one.link.is_quarantined)
        await until(lambda: not one.link.is_quarantined)
        assert await one.spend(lease, books, COST)
        await until(lambda: lease.reported == 60)

        assert store.ask("HGETALL", f"{prefix}spent:{MONTH}:*") == "*2"
        assert store.ask("HGET", f"{prefix}spent:{MONTH}:*", "box-1") == "60"
