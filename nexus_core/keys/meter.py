"""Meters of one key: requests and tokens a minute, requests under way. Pure, in integers.

Rates go by the generic cell rate algorithm (ITU-T I.371): one moment per limit, the theoretical
arrival time of the next request that would come in just at the rate. A limit may be used up at
once, and comes back evenly over a minute. Clocks are monotonic: no clock that is set changes one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nexus_core.keys.shared_limits import SharedLimits

MINUTE = 60_000_000_000  # nanoseconds
SECOND = 1_000_000_000


class Rate:
    """One limit per minute."""

    __slots__ = ("_full_at", "_interval", "_window", "limit")

    def __init__(self, limit: int) -> None:
        self._full_at = 0  # when all of it may be used again: the theoretical arrival time
        self.configure(limit)

    def configure(self, limit: int) -> None:
        """Go by another limit; the part that is used stays used."""
        self.limit = limit
        self._interval = -(-MINUTE // limit)
        self._window = self._interval * limit

    def wait(self, cost: int, at: int) -> int:
        """How long until so much of it may be used; 0: now. What is over the limit needs all."""
        needed = cost if cost < self.limit else self.limit
        wait = self._full_at - at + needed * self._interval - self._window
        return wait if wait > 0 else 0

    def enter(self, cost: int, at: int) -> bool:
        """Take so much, if it may be used now."""
        before = self._full_at if self._full_at > at else at
        needed = cost if cost < self.limit else self.limit
        if before + needed * self._interval > at + self._window:
            return False
        full_at, latest = before + cost * self._interval, at + self._window
        self._full_at = full_at if full_at < latest else latest
        return True

    def settle(self, taken: int, used: int, elapsed: int, at: int) -> None:
        """Give back what was taken and not used, or owe the rest.

        What has come back by itself meanwhile is not given back once more.
        """
        more = used - taken
        if more < 0:
            left = taken - elapsed // self._interval
            more = -min(-more, max(0, left))
        self.take(more, at)

    def take(self, cost: int, at: int) -> None:
        """Use so much of it; a negative cost gives back.

        Nothing makes others wait for more than one whole window.
        """
        full_at = (self._full_at if self._full_at > at else at) + cost * self._interval
        latest = at + self._window
        self._full_at = full_at if full_at < latest else latest

    def used(self, at: int) -> int:
        """How much of it is used now."""
        return -(-max(0, self._full_at - at) // self._interval)


class KeyMeter:
    """The meter of a key in this process. For one thread."""

    def __init__(self) -> None:
        self.rpm: Rate | None = None
        self.tpm: Rate | None = None
        self.parallel: int | None = None
        self.under_way = 0
        self.shared: SharedLimits | None = None  # where several processes share the limits
        self._minute_ends = 0
        self._requests = 0  # of this minute
        self._tokens = 0

    def configure(self, *, rpm: int | None, tpm: int | None, parallel: int | None) -> None:
        """Go by these limits; what is used stays used."""
        self.rpm = _rate(self.rpm, rpm)
        self.tpm = _rate(self.tpm, tpm)
        self.parallel = parallel
        if self.shared is not None:
            self.shared.follow()

    def begin(self, at: int) -> None:
        """A request begins, which something else than `wait` lets in."""
        self.under_way += 1
        if at >= self._minute_ends:
            self._turn(at)
        self._requests += 1

    def refuse(self, at: int) -> None:
        """What began was not let in."""
        self.under_way -= 1
        if at < self._minute_ends:
            self._requests -= 1

    def wait(self, tokens: int, at: int) -> int:
        """Take a request of about so many tokens, and give 0; else how long it has to wait.

        In nanoseconds, as `at` is; what has to wait has taken nothing. What waits for another
        request to end may ask again in a second.
        """
        rpm, tpm, is_full = self.rpm, self.tpm, self.is_full
        if not is_full and (rpm is None or rpm.enter(1, at)):
            if tpm is None or tpm.enter(tokens, at):
                self.begin(at)
                return 0
            if rpm is not None:
                rpm.take(-1, at)
        longest = SECOND if is_full else 0
        if rpm is not None:
            longest = max(longest, rpm.wait(1, at))
        return longest if tpm is None else max(longest, tpm.wait(tokens, at))

    def leave(self, taken: int, used: int, began: int, at: int) -> None:
        """It is over: so many tokens were taken for it when it began, and so many were used."""
        self.under_way -= 1
        if self.shared is not None:
            self.shared.leave(taken, used, at - began)
        elif self.tpm is not None:
            self.tpm.settle(taken, used, at - began, at)
        if at >= self._minute_ends:
            self._turn(at)
        self._tokens += used

    def used(self, at: int) -> tuple[int | None, int | None]:
        """How much of the limits on requests and on tokens is used now."""
        if self.shared is not None:
            return self.shared.used()
        rpm, tpm = self.rpm, self.tpm
        return rpm.used(at) if rpm else None, tpm.used(at) if tpm else None

    @property
    def is_limited(self) -> bool:
        """Whether it holds any limit."""
        return not (self.rpm is None and self.tpm is None and self.parallel is None)

    @property
    def is_full(self) -> bool:
        """Whether as many requests are under way as may be."""
        return self.parallel is not None and self.under_way >= self.parallel

    def this_minute(self, at: int) -> tuple[int, int]:
        """Requests begun, and tokens used by those that ended, since the minute began."""
        return (self._requests, self._tokens) if at < self._minute_ends else (0, 0)

    def _turn(self, at: int) -> None:
        self._minute_ends = (at // MINUTE + 1) * MINUTE
        self._requests = self._tokens = 0


def _rate(rate: Rate | None, limit: int | None) -> Rate | None:
    if limit is None:
        return None
    if rate is None:
        return Rate(limit)
    if rate.limit != limit:
        rate.configure(limit)
    return rate
