"""The lease on one account: what this process counts of it, and what it may spend."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from nexus_core.state.leases.floors import beyond
from nexus_core.state.leases.lease import table
from nexus_core.state.leases.recovery import EVERYBODY
from nexus_core.types import JsonObject

_RATE_SECONDS = 0.5  # a lease is about as much as was spent in so long: two beats
_LEAST_ESTIMATES = 2
_IDLE_SECONDS = 2.0  # after which nothing is kept
_PART = 100  # of a limit no more than this part is left unspent, but for two estimates
_RISE = 3  # times what was claimed since the last report, while the rate rises


class Books(Protocol):
    """What this process counts of an account, this month."""

    spent: int
    reserved: int
    limit: int | None


class MoneyLease:
    """The lease on one account."""

    __slots__ = (
        *("_before", "_claimed", "_others", "_rate", "_used_at"),
        *("base", "books", "ceiling", "elsewhere", "is_refused", "name", "pending", "pledged"),
        *("reported", "room", "seen_floor", "seen_granted", "seen_spent", "step"),
    )

    def __init__(self, name: str, books: Books) -> None:
        self.name = name
        self.books = books
        self.ceiling = 0  # up to which this process may spend and reserve, this month
        self.pledged = 0  # for requests that wait for the store
        self.pending: list[int] = []  # ceilings that takes under way ask for
        self.is_refused = False  # there is no room, until the next beat
        self.room: int | None = None  # what nobody has been promised; None: not known
        # What the month has cost beside what the books say: other owners' part, and this one's
        # before it began to count.
        self.elsewhere = 0
        self.step = 0  # the last request's estimate
        self.reported = 0  # of this owner's spending, what the store knows
        self.seen_spent: Mapping[str, Any] = {}  # by owner, as last heard
        self.seen_granted: Mapping[str, Any] = {}
        self.seen_floor: Mapping[str, Any] = {}  # by ledger
        # What was spent under this owner's name before the books count, less what they said then.
        self.base = 0
        self._others = 0
        self._rate = 0.0  # nano-dollars a second
        self._claimed = 0
        self._before: float | None = None
        self._used_at = float("-inf")

    @property
    def spent(self) -> int:
        """What this owner has spent this month."""
        return self.base + self.books.spent

    @property
    def held(self) -> int:
        """What is spent, reserved or pledged."""
        return self.spent + self.books.reserved + self.pledged

    @property
    def left(self) -> int:
        """What may be reserved without asking."""
        books = self.books
        return self.ceiling - self.base - books.spent - books.reserved - self.pledged

    def begin(self, base: int, spent_at_first: int) -> None:
        """Count on from here."""
        self.base = base - spent_at_first
        self._claimed = self.spent + self.books.reserved
        self._add_up()

    def count_others(self, nano_usd: int) -> None:
        """Other owners have spent so much."""
        self._others = nano_usd
        self._add_up()

    def _add_up(self) -> None:
        self.elsewhere = self._others + self.base

    def likely(self, step: int) -> int:
        """What is worth asking for beside a request of this estimate.

        While the rate rises, several times what was claimed since the last report: a burst after
        a pause asks a few times, not once for each doubling.
        """
        of_late = _RISE * (self.spent + self.books.reserved - self._claimed)
        return self._at_most_a_part(max(int(self._rate * _RATE_SECONDS), of_late), step)

    def _at_most_a_part(self, nano_usd: int, step: int) -> int:
        """So much is likely to be spent soon: what of it a process that is killed may take along.

        That is presumed to be spent, so a small limit is leased in small parts.
        """
        limit = self.books.limit
        most = nano_usd if limit is None else min(nano_usd, limit // _PART)
        return max(most, _LEAST_ESTIMATES * step)

    def wanted(self, at: float, step: int) -> int:
        """How much should be left: what a second costs, at least two estimates; 0 while idle."""
        claimed, before = self.spent + self.books.reserved, self._before
        more, self._claimed, self._before = max(0, claimed - self._claimed), claimed, at
        if more:
            self._used_at = at
        if before is not None and at > before:
            rate = more / (at - before)  # followed at once upwards, and slowly downwards
            share = 1.0 if rate > self._rate else min(1.0, (at - before) / _RATE_SECONDS)
            self._rate += share * (rate - self._rate)
        if at - self._used_at > _IDLE_SECONDS:
            self._rate = 0.0
            return 0
        return self._at_most_a_part(int(self._rate * _RATE_SECONDS), step)

    def turn(self) -> None:
        """A month begins: nothing is spent, granted or known of it."""
        self.ceiling, self.room, self.is_refused, self.reported = 0, None, False, 0
        self.seen_spent, self.seen_granted, self.seen_floor = {}, {}, {}
        self._others = 0
        self.begin(0, 0)

    # --- beats ---------------------------------------------------------------------------

    def report(self, at: float, *, is_limited: bool) -> JsonObject | None:
        """What is spent, held and wanted; None: the store knows. What is not needed goes back."""
        limit = self.books.limit if is_limited else None
        wanted = 0 if limit is None or self.is_refused else self.wanted(at, self.step)
        if self.left > 2 * wanted:
            self.ceiling = max(0, self.held + wanted)  # here first, then the store is told
        spent = self.spent
        is_active = self.ceiling > spent or spent != self.reported or wanted > 0
        if not (is_active or self.name == EVERYBODY or self.is_refused):
            return None
        told: JsonObject = {
            "spent": str(spent),
            "held": str(self.held),
            "keep": str(max([self.ceiling, *self.pending])),
            # Beyond what is larger, spent or granted: after a start nothing is granted.
            "want": str(max(0, self.held + wanted - max(self.ceiling, spent))),
            "step": str(self.step),
        }
        if limit is not None:
            told["limit"] = str(limit)
        return told

    def seen(self) -> dict[str, JsonObject]:
        """What is known of all owners, as last heard."""
        return {
            "spent": {**self.seen_spent},
            "granted": {**self.seen_granted},
            "floor": {**self.seen_floor},
        }

    def seen_by(self, owner: str) -> JsonObject:
        """What is written back to a store that has lost its data."""
        seen = self.seen()
        seen["spent"][owner] = str(self.spent)
        seen["granted"][owner] = str(self.ceiling)
        return {**seen}

    def see(self, told: JsonObject, *, restores: bool) -> None:
        """Keep what the store says of all owners; what was known before, where it lost that."""
        spent, granted = table(told.get("spent")), table(told.get("granted"))
        floor = table(told.get("floor"))
        if restores:
            spent, granted = _larger(spent, self.seen_spent), _larger(granted, self.seen_granted)
            floor = _larger(floor, self.seen_floor)
        self.seen_spent, self.seen_granted, self.seen_floor = spent, granted, floor

    def hear(self, told: JsonObject, owner: str, *, is_beat: bool, restores: bool) -> None:
        """Go by what the store says of the account.

        Args:
            owner: in whose name this process counts.
            is_beat: it speaks of all that was told, not of a request.
            restores: it does not know again what others write back.
        """
        self.reported = int(table(told.get("spent")).get(owner, "0"))
        self.see(told, restores=restores)
        spent, floor = self.seen_spent, self.seen_floor
        ceiling = int(told.get("ceiling", "0"))
        others = sum(int(nano) for who, nano in spent.items() if who != owner)
        self.room = None if told.get("room") is None else int(told["room"])
        self.ceiling = ceiling if is_beat else max(self.ceiling, ceiling)
        self.count_others(others + beyond(floor, spent))
        if is_beat:
            self.is_refused = self.room is not None and self.room <= 0 and self.left <= 0


def _larger(some: Mapping[str, Any], others: Mapping[str, Any]) -> JsonObject:
    """Of each owner the larger amount."""
    return {
        owner: max(some.get(owner, "0"), others.get(owner, "0"), key=int)
        for owner in {**some, **others}
    }
