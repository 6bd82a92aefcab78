"""Leases on money: what this process may spend of each limit before it asks the store again.

Every amount is in nano-dollars and absolute: what was spent this month, and the ceiling up to which
this process may spend. So a call to the store may be lost, repeated or come late. Escrow: O'Neil,
https://doi.org/10.1145/7239.7265; spending is a grow-only counter per owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Literal

from nexus_core.state.base import Link, StoreUnavailableError
from nexus_core.state.leases.account import Books, MoneyLease
from nexus_core.state.leases.floors import Floors
from nexus_core.state.leases.lease import Term, tables
from nexus_core.state.leases.recovery import (
    EVERYBODY,
    Identity,
    Recovered,
    Spent,
    account_of,
    in_accounts,
    recover,
)
from nexus_core.types import JsonObject

_JOIN_SECONDS = 0.25  # no request waits longer for the store


class MoneyLeases:
    """The part of every beat that tells of money."""

    name = "money"

    def __init__(
        self,
        link: Link,
        term: Term,
        clock: Callable[[], float],
        when_alone: Literal["block", "grant", "allow"],
        changed: Callable[[], None],
    ) -> None:
        """
        Args:
            clock: the clock of leases.
            changed: called when an account's status may be another.
        """
        self._link = link
        self._clock = clock
        self._changed = changed
        self._seq = 0
        self._identity: Identity | None = None  # None: the ledger is not read yet
        self._owner = ""
        self._is_joined = False
        self._joined = asyncio.Event()
        self.is_out = False  # nothing is left, and the store can't be asked, or does not know yet
        self._bases: Mapping[str, int] = {}  # by account, what this owner had spent at first,
        self._spent_at_first: Mapping[str, int] = {}  # and what the books said then
        self._ledger: Mapping[str, int] = {}  # what the ledger said
        self._recovered: Callable[[tuple[Recovered, ...]], None] = lambda _: None
        self._floors = Floors({}, 0)
        self._is_restoring = False
        self._accounts: dict[str, MoneyLease] = {}
        self.on_loss: Callable[[], None] = lambda: None  # the store has lost its data
        self.before_report: Callable[[], None] = lambda: None  # a month may have begun
        self.term = term
        self.when_alone = when_alone
        self.month = ""
        self._told_month = ""  # of the last report
        self.is_enforced = True  # else limits only warn

    def account(self, client: str | None, books: Books) -> MoneyLease:
        """The lease of a client's account, of all for None; from now on these are its books."""
        name = account_of(client)
        lease = self._accounts.get(name)
        if lease is None:
            lease = self._accounts[name] = MoneyLease(name, books)
            self._count_on(lease)
        lease.books = books
        return lease

    def keep(self, clients: Iterable[str]) -> None:
        """Of all clients only these have an account."""
        kept = {EVERYBODY, *map(account_of, clients)}
        self._accounts = {name: one for name, one in self._accounts.items() if name in kept}

    def turn(self, month: str) -> None:
        """A month begins: nothing is spent, granted or known of it; its owner is the same."""
        if self.month == month:
            return
        is_first, self.month = not self.month, month
        if is_first:
            return
        self._spent_at_first = self._bases = self._ledger = {}
        if self._identity is not None:
            self._identity = self._identity._replace(at_end=None)
        self._floors = self._floors.ended()
        for lease in self._accounts.values():
            lease.turn()

    def join(
        self,
        identity: Identity,
        ledger: Mapping[str | None, int],
        books: Mapping[str | None, int],
        recovered: Callable[[tuple[Recovered, ...]], None],
    ) -> None:
        """Begin to count, in this name; until the store has answered nothing is granted.

        Args:
            ledger: what the rows in this name say of the month, by client.
            books: what the books began the month with: the same, or the whole fleet's.
            recovered: called once, with what the ledger lacks; it writes that and has the books
                count it, before it returns.
        """
        self._ledger, self._spent_at_first = in_accounts(ledger), in_accounts(books)
        for lease in self._accounts.values():
            self._count_on(lease)
        self._identity, self._owner = identity, identity.owner
        self._recovered = recovered
        self._changed()
        self._link.hurry()

    def raise_to(self, spent: Mapping[str, Mapping[str | None, int]], month: str) -> None:
        """A database says what ledgers have spent in a month, by client: rather that than less.

        It is what the store can't know again once it lost its data, and whoever spent is dead.
        """
        if month != self.month:
            return
        self._floors = Floors.of(spent, self._floors.number + 1)
        self._link.hurry()

    def spent_by(self, client: str | None) -> Spent | None:
        """What this owner has spent of the accounts that a client's requests are charged to.

        None while that is not known, or where it is counted under another name than the ledger's.
        """
        if not self._is_joined or self._identity is None or self._owner != self._identity.owner:
            return None
        accounts = self._accounts
        names = (EVERYBODY, account_of(client))
        return self.month, {name: accounts[name].spent for name in names if name in accounts}

    # --- what requests ask ---------------------------------------------------------------

    @property
    def is_cut_off(self) -> bool:
        """Limited money can't be spent, since nobody knows what others spend."""
        if not self.is_enforced or (self.term.is_alone and self.when_alone == "allow"):
            return False
        is_over = self.term.is_alone and self.when_alone == "block" and not self.term.is_fresh
        return self.is_out or is_over

    def covers(self, leases: Iterable[MoneyLease], nano_usd: int, is_fresh: bool = False) -> bool:
        """Whether a request of this estimate may be sent without asking.

        `is_fresh`: what was granted may be used in this moment; else it is found out.
        """
        if not self.is_enforced:
            return True
        is_alone, when_alone = self.term.is_alone, self.when_alone
        if is_alone and when_alone == "allow":
            return True
        if not (is_fresh or self.term.is_fresh or (is_alone and when_alone == "grant")):
            return False
        for lease in leases:
            books = lease.books  # as `left` counts, without a call for each request
            held = lease.base + books.spent + books.reserved + lease.pledged
            if lease.ceiling - held < nano_usd:
                return False
        return True

    async def obtain(self, leases: tuple[MoneyLease, ...], nano_usd: int) -> bool:
        """Have the store grant a request's estimate.

        What it grants is set aside until this returns: reserve it before anything is awaited.
        Without it, the accounts count as used up until the next beat.
        """
        if self.term.is_alone or any(lease.is_refused for lease in leases):
            self._refuse(leases)
            return False
        if not await self._has_joined():
            self._refuse(leases)
            return False
        asked: JsonObject = {}
        wanted: list[tuple[MoneyLease, int]] = []
        for lease in leases:
            lease.step = nano_usd
            lease.pledged += nano_usd
            ceiling = lease.held
            lease.pending.append(ceiling)
            wanted.append((lease, ceiling))
            asked[lease.name] = {
                "spent": str(lease.spent),
                "held": str(ceiling),
                "ceiling": str(ceiling),
                "limit": str(lease.books.limit),
                "want": str(lease.likely(nano_usd)),
            }
        try:
            is_granted = await self._ask(asked, wanted)
        except StoreUnavailableError:
            is_granted, self.is_out = False, True
        finally:
            for lease, ceiling in wanted:
                lease.pledged -= nano_usd
                lease.pending.remove(ceiling)
        if not is_granted:
            self._refuse(leases)
        return is_granted

    async def _ask(self, asked: JsonObject, wanted: list[tuple[MoneyLease, int]]) -> bool:
        self._seq += 1
        month = self.month
        question: JsonObject = {
            "month": month,
            "owner": self._owner,
            "seq": self._seq,
            "accounts": asked,
        }
        answer = await self._link.take(self.name, question)
        if month != self.month:
            return False
        told = tables(answer.get("accounts"))
        for lease, _ in wanted:
            if lease.name in told:
                self._hear(lease, told[lease.name], is_beat=False)
        is_refused = bool(answer.get("refused"))
        if is_refused and (answer.get("quarantine") or answer.get("usurped")):
            self.is_out = True  # for a moment, and not because it is spent
        self._changed()
        return not is_refused and all(lease.ceiling >= ceiling for lease, ceiling in wanted)

    def _refuse(self, leases: Iterable[MoneyLease]) -> None:
        if self.term.is_alone or not self._is_joined:
            self.is_out = True
        elif not self.is_out:
            for lease in leases:
                lease.is_refused = True
        self._changed()

    async def _has_joined(self) -> bool:
        if not self._is_joined:
            with suppress(TimeoutError):
                async with asyncio.timeout(_JOIN_SECONDS):
                    await self._joined.wait()
        return self._is_joined

    # --- beats ---------------------------------------------------------------------------

    def report(self) -> JsonObject:
        """What is spent and held of each account; what is not needed is given back."""
        identity = self._identity
        self.before_report()
        if identity is None:
            return {}
        self._seq += 1
        self._told_month = self.month
        said: JsonObject = {"month": self.month, "owner": self._owner, "seq": self._seq}
        start = {"ledger": identity.ledger, "boot": identity.boot or self._link.process}
        if self._link.restores and not self._is_restoring:
            self.on_loss()
        self._is_restoring = self._link.restores
        said |= self._floors.report(is_anew=self._is_restoring)
        if not self._is_joined:
            said |= {**start, "join": True}
            if self._link.restores:
                said["seen"] = {lease.name: lease.seen() for lease in self._accounts.values()}
            return said
        at = self._clock()
        told = {
            lease.name: lease.report(at, is_limited=self.is_enforced)
            for lease in self._accounts.values()
        }
        said["accounts"] = {name: one for name, one in told.items() if one is not None}
        if self._link.restores:
            said |= start
            said["seen"] = {
                lease.name: lease.seen_by(self._owner) for lease in self._accounts.values()
            }
        return said

    def accept(self, answer: JsonObject, sent: float) -> None:
        """Go by what is granted and known now."""
        self.term.renew(sent)
        self.is_out = False
        self._floors.hear(answer)
        if self._told_month != self.month:
            return  # it speaks of the month that has ended meanwhile
        for name, told in tables(answer.get("seen")).items():
            if name in self._accounts:
                self._accounts[name].see(told, restores=self._link.restores)
        if "joined" in answer:
            if not self._is_joined:
                self._begin(tables(answer["joined"]), is_first=bool(answer.get("first")))
            return
        if answer.get("usurped"):
            self._stand_alone()
            return
        told = tables(answer.get("accounts"))
        for lease in self._accounts.values():
            if lease.name in told:
                self._hear(lease, told[lease.name], is_beat=True)
            else:
                lease.is_refused = False
        self._changed()

    def _hear(self, lease: MoneyLease, told: JsonObject, *, is_beat: bool) -> None:
        lease.hear(told, self._owner, is_beat=is_beat, restores=self._link.restores)

    def cut_off(self, since: float) -> None:
        """Nothing is granted from now on."""
        self.term.end(since)
        self._changed()

    def _stand_alone(self) -> None:
        """Another process counts in this name, as where a disk was copied: take one's own."""
        ledger = "" if self._identity is None else self._identity.ledger
        self._owner = f"{ledger}/{self._link.process}"  # the ledger's floor counts it
        self._bases = {}
        self._spent_at_first = {
            name: lease.books.spent - (lease.spent - lease.reported)
            for name, lease in self._accounts.items()
        }
        for lease in self._accounts.values():
            lease.ceiling, lease.reported = 0, 0
            self._count_on(lease)
        self._changed()
        self._link.hurry()

    # --- after a start -------------------------------------------------------------------

    def _begin(self, found: Mapping[str, JsonObject], *, is_first: bool) -> None:
        """Go on from what the store knows of this owner, and the ledger of all that share it."""
        at_end = None if self._identity is None else self._identity.at_end
        before = recover(found, self._ledger, self._owner, is_first=is_first, at_end=at_end)
        if before.missing:
            self._recovered(before.missing)
        at_first, added = self._spent_at_first, before.added
        self._bases = before.bases
        self._spent_at_first = {
            name: at_first.get(name, 0) + added.get(name, 0) for name in {*at_first, *added}
        }
        self._is_joined = True
        for lease in self._accounts.values():
            self._count_on(lease)
        self._joined.set()
        self._changed()
        self._link.hurry()

    def _count_on(self, lease: MoneyLease) -> None:
        name = lease.name
        lease.begin(self._bases.get(name, 0), self._spent_at_first.get(name, 0))
