"""Leases on rates a minute: chunks of a key's limit, by the clock of the store's server.

The generic cell rate algorithm (ITU-T I.371): a limit may be used at once, and comes back evenly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from nexus_core.state.base import Link
from nexus_core.state.leases.lease import Term, table
from nexus_core.types import JsonObject

WINDOW_SECONDS = 60.0
_CHUNK_SECONDS = 0.5  # a chunk is as much as is used in so long
_MICRO = 1_000_000
_RISE = 3  # times what was used of late, while the rate rises
_IDLE_SECONDS = 1.0  # after which the rest of a chunk is given back
_REMEMBERED_SECONDS = 1.0  # how long a refusal is taken for the store's answer


class Need(NamedTuple):
    """How much a request needs of a limit."""

    rate: RateLease
    amount: int


def _scaled(count: int, limit: int, other: int) -> int:
    """As much of another limit, rounded down, as the count is of a limit."""
    return count * other // limit


class RateLease:
    """One limit of a key, and this process' chunk of it."""

    __slots__ = (
        *("_alone_full_at", "_per_second", "_since", "_taken", "_used", "_used_at_first", "aside"),
        *("back", "full_at", "left", "limit", "name", "refused_until", "used_at", "wait_until"),
    )

    def __init__(self, name: str, limit: int) -> None:
        """`name`: its field in the store."""
        self.name = name
        self.limit = limit
        # Of the chunk, less what is used; below 0 where more was used than taken. It is all that a
        # request changes.
        self.left = 0
        self.aside = 0  # of it, for requests that wait for the store
        self.back = 0  # to be given back (below 0: owed) with the next report
        self.full_at = 0.0  # when all of the fleet's limit may be used again, as last heard
        self.refused_until = 0.0
        self.wait_until = 0.0  # when the refused request fits in
        self.used_at = 0.0  # when a look last found it used
        self._alone_full_at = 0.0  # of this process' share, while it is alone
        self._taken = 0  # of the fleet's limit, in all
        self._used = 0  # of that, as a look found it
        self._per_second = 0.0  # as it was used since
        self._since = 0.0
        self._used_at_first = 0  # then

    @property
    def free(self) -> int:
        """How much may be used without asking."""
        return self.left - self.aside

    def take(self, count: int) -> None:
        """The chunk is so much larger."""
        self.left += count
        self._taken += count

    def go_by(self, limit: int) -> None:
        """Another limit: of it the same part is left, and to be given back."""
        left = _scaled(self.left, self.limit, limit)
        self._taken += left - self.left
        self.left, self.back = left, _scaled(self.back, self.limit, limit)
        self.limit = limit

    def look(self, at: float) -> None:
        """See how fast it is used; asked at every report."""
        used = self._taken - self.left
        if used != self._used:
            self._used, self.used_at = used, at
        if at - self._since >= _CHUNK_SECONDS:
            elapsed = min(at - self._since, 2.0)
            self._per_second = (used - self._used_at_first) / elapsed
            self._used_at_first, self._since = used, at

    def give_back(self) -> None:
        """What is left of the chunk goes back with the next report; what is owed is told there."""
        self.back += self.left
        self._taken -= self.left
        self.left = 0

    def chunk(self, need: int, live: int) -> int:
        """How much is worth taking at once; while the rate rises, several times what was used."""
        share = self.limit // (2 * max(1, live))
        of_late = _RISE * (self._taken - self.left - self._used_at_first)
        likely = max(int(self._per_second * _CHUNK_SECONDS), min(of_late, share // 4))
        return max(need, 1, min(likely, share))

    def used(self, at: float) -> int:
        """How much of the fleet's limit is used, as last heard."""
        ahead = min(max(0.0, self.full_at - at), WINDOW_SECONDS)
        return max(0, round(ahead * self.limit / WINDOW_SECONDS) - max(0, self.left))

    # --- alone ---------------------------------------------------------------------------

    def begin_alone(self) -> None:
        """The store can't be reached: of the share as much is used as of the fleet's limit."""
        self._alone_full_at = max(self.full_at, self._alone_full_at)

    def alone_wait(self, count: int, share: float, at: float) -> float:
        """Seconds until so much of a share of the limit may be used; 0: now."""
        interval = WINDOW_SECONDS / max(share, 1e-9)
        needed = min(count * interval, WINDOW_SECONDS)
        return max(0.0, self._alone_full_at - at + needed - WINDOW_SECONDS)

    def alone_use(self, count: int, share: float, at: float) -> None:
        """So much of the share is used; the fleet's limit hears of it later."""
        interval = WINDOW_SECONDS / max(share, 1e-9)
        full_at = max(self._alone_full_at, at) + count * interval
        # Of a share below one in a minute, one is used for longer than a minute.
        self._alone_full_at = min(full_at, at + max(WINDOW_SECONDS, interval))
        self.back -= count


class Rates:
    """The part of every beat that tells of rates."""

    name = "rates"

    def __init__(self, link: Link, term: Term, clock: Callable[[], float]) -> None:
        """`clock`: that of leases."""
        self._link = link
        self._seq = 0
        self._ahead: dict[str, float] = {}  # by field, until when it is not whole
        self._owed: dict[str, int] = {}  # as told in the last report
        self._restored = asyncio.Event()
        self.clock = clock
        self.term = term
        self.items: dict[str, RateLease] = {}

    def share(self, name: str, limit: int) -> RateLease:
        """Hold a limit from now on; of one that there was the chunk is kept."""
        lease = self.items.get(name)
        if lease is None:
            lease = self.items[name] = RateLease(name, limit)
            lease.full_at = self._ahead.get(name, 0.0)
        if lease.limit != limit:
            if name in self._owed:
                self._owed[name] = _scaled(self._owed[name], lease.limit, limit)
            lease.go_by(limit)
        return lease

    def drop(self, name: str) -> None:
        """The limit is no more."""
        self.items.pop(name, None)

    @property
    def live(self) -> int:
        """Processes that the limits are shared by."""
        return max(1, self._link.live)

    @property
    def restores(self) -> bool:
        """Whether the store lost its data: what others have used is not known to it again."""
        return self._link.restores

    async def restored(self) -> None:
        """Wait until the store knows again what all have used, or can't be reached."""
        if self.restores:
            self._restored.clear()
            await self._restored.wait()

    async def obtain(self, needs: tuple[Need, ...]) -> float | None:
        """Have the store grant chunks for a request; 0: it did, else seconds until they fit in.

        What is granted is for the caller to use before anything is awaited. None where nothing can
        be said of it before `restored`.

        Raises:
            StoreUnavailableError: it can't be asked.
        """
        at = self.clock()
        refused = [rate for rate, _ in needs if rate.refused_until > at]
        if refused:
            return max(0.001, *(rate.wait_until - at for rate in refused), 0.001)
        live = self.live
        asked: JsonObject = {}
        for rate, count in needs:
            lacking = min(count, count - rate.free)
            if lacking > 0:
                chunk = rate.chunk(lacking, live)
                asked[rate.name] = {"need": lacking, "like": chunk, "limit": rate.limit}
        if not asked:
            return 0.0
        for rate, count in needs:
            rate.aside += count
        took: JsonObject = {}
        try:
            answer = await self._link.take(self.name, {"fields": asked})
            took = table(answer.get("took"))
        finally:
            for rate, count in needs:
                rate.aside -= count
                rate.take(int(took.get(rate.name, 0)))
        at = self.clock()
        self._hear(table(answer.get("ahead")), at)
        if not answer.get("refused"):
            return 0.0
        waits, longest = table(answer.get("waits")), 0.0
        for rate, _ in needs:
            if rate.name in waits:
                wait = int(waits[rate.name]) / _MICRO
                longest = max(longest, wait)
                rate.wait_until = at + wait
                rate.refused_until = at + min(wait, _REMEMBERED_SECONDS)
        return longest or None

    def _hear(self, ahead: JsonObject, at: float) -> None:
        for name, microseconds in ahead.items():
            self._ahead[name] = at + int(microseconds) / _MICRO
            if name in self.items:
                self.items[name].full_at = self._ahead[name]

    # --- beats ---------------------------------------------------------------------------

    def report(self) -> JsonObject:
        """What of chunks is given back or owed; while data are restored, what was last heard."""
        self._seq += 1
        at, back = self.clock(), JsonObject()
        for rate in self.items.values():
            rate.look(at)
            if rate.left < 0 or (not rate.aside and at - rate.used_at > _IDLE_SECONDS):
                rate.give_back()
            if not rate.back:
                continue
            back[rate.name] = {"count": rate.back, "limit": rate.limit}
            if rate.back < 0:
                self._owed[rate.name] = rate.back  # until it is known to have arrived
            else:
                rate.back = 0  # a report that is lost must not give back twice
        said: JsonObject = {"seq": self._seq, "back": back}
        if self.restores:
            said["seen"] = {
                name: int((until - at) * _MICRO)
                for name, until in self._ahead.items()
                if until > at
            }
        return said

    def accept(self, answer: JsonObject, sent: float) -> None:
        """Take in how much of each limit is used."""
        self.term.renew(sent)
        if not self.restores:
            self._restored.set()
        for name, owed in self._owed.items():
            if name in self.items:
                self.items[name].back -= owed
        self._owed.clear()
        ahead, at = table(answer.get("ahead")), self.clock()
        if self.restores:  # the store does not know again what others write back
            known = {name: (until - at) * _MICRO for name, until in self._ahead.items()}
            ahead = {
                name: max(known.get(name, 0), int(ahead.get(name, 0))) for name in {*known, *ahead}
            }
        self._ahead = {}
        for rate in self.items.values():
            if rate.name not in ahead:
                rate.full_at = 0.0
        self._hear(ahead, at)

    def cut_off(self, since: float) -> None:
        """From now on a share is used."""
        self.term.end(since)
        self._restored.set()
        for rate in self.items.values():
            rate.begin_alone()
