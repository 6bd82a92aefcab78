"""Processes that share limits, in the test's loop: their links and leases."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal

from nexus_core.state.clock import lease_clock
from nexus_core.state.leases.account import MoneyLease
from nexus_core.state.leases.counts import Count, Counts
from nexus_core.state.leases.lease import Term
from nexus_core.state.leases.money import MoneyLeases
from nexus_core.state.leases.rates import Rates
from nexus_core.state.leases.recovery import Identity, Recovered
from nexus_core.state.valkey.link import ValkeyLink
from tests.state.valkey.processes import QUICK, make
from tests.waiting import until

MONTH = "2026-11"


@dataclass
class Books:
    """What a process counts of an account."""

    limit: int | None
    spent: int = 0
    reserved: int = 0


@dataclass
class Use:
    """How many a process uses of a count."""

    now: int = 0
    changes: int = 0


@dataclass
class Process:
    """A process of the fleet; `link` is to be run."""

    link: ValkeyLink
    counts: Counts
    money: MoneyLeases
    rates: Rates
    term: Term
    recovered: list[Recovered] = field(default_factory=list)

    def count(self, most: int, name: str = "slots:b") -> tuple[Count, Use]:
        use = Use()

        def changed() -> None:
            use.changes += 1

        return self.counts.share(Count(name, most, lambda: use.now, changed)), use

    async def begin(self, count: Count, use: Use) -> bool:
        """Use one more, if it may."""
        use.now += 1
        if self.counts.covers(count) or await self.counts.obtain(count):
            return True
        use.now -= 1
        return False

    def end(self, count: Count, use: Use) -> None:
        use.now -= 1
        self.counts.released(count)

    def account(self, limit: int | None, client: str | None = None) -> tuple[MoneyLease, Books]:
        books = Books(limit)
        return self.money.account(client, books), books

    def join(self, ledger: str, **spent: int) -> None:
        """Begin to count, in the name of a ledger that says so."""

        def recover(rows: tuple[Recovered, ...]) -> None:
            self.recovered.extend(rows)

        known = {None if name == "nobody" else name: nano for name, nano in spent.items()}
        self.money.join(Identity(ledger), known, known, recover)

    async def spend(self, lease: MoneyLease, books: Books, nano: int) -> bool:
        """Reserve and spend, if it may."""
        may = self.money.covers([lease], nano) or await self.money.obtain((lease,), nano)
        if may:
            books.spent += nano
        return may

    async def beat(self, times: int = 2) -> None:
        """Wait for so many beats."""
        last = self.link.beats + times
        await until(lambda: self.link.beats >= last)


def process(
    url: str,
    replica: str,
    *,
    worker: int | None = None,
    when_alone: Literal["block", "grant", "allow"] = "block",
    **changes: Any,
) -> Process:
    """One that nobody runs yet."""
    link = make(url, replica, worker, **changes)
    term = Term({**QUICK, **changes}["dead_after_seconds"], lease_clock)

    def later(seconds: float, call: Any) -> object:
        return asyncio.get_running_loop().call_later(seconds, call)

    money = MoneyLeases(link, term, lease_clock, when_alone, lambda: None)
    money.turn(MONTH)
    made = Process(link, Counts(link, term, later), money, Rates(link, term, lease_clock), term)
    for part in (made.counts, made.money, made.rates):
        link.add(part)
    return made


async def joined(*processes: Process) -> None:
    """Have them count, each in the name of its replica; returns once they do."""
    for one in processes:
        if one.money._identity is None:
            one.join(one.link.replica)
    await until(lambda: all(one.money._is_joined for one in processes))
