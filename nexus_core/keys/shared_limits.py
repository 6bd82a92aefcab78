"""A client key's limits where several processes share them: leases behind its meter."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Literal

from nexus_core.errors import NexusError, RateLimitedError, SharedLimitsError
from nexus_core.keys.meter import SECOND, KeyMeter
from nexus_core.state.base import StoreUnavailableError
from nexus_core.state.leases.counts import Count, Counts
from nexus_core.state.leases.rates import WINDOW_SECONDS, Need, RateLease, Rates

WhenAlone = Literal["share", "block", "full"]
_RESTORED_SECONDS = 2.0  # that a request waits where the store lost its data
_SOON_SECONDS = 1  # after which what waits for others may ask again


class SharedLimits:
    """The limits of one key; its meter counts what this process uses."""

    def __init__(
        self, name: str, meter: KeyMeter, counts: Counts, rates: Rates, when_alone: WhenAlone
    ) -> None:
        self._name = name
        self._meter = meter
        self._counts = counts
        self._rates = rates
        self._when_alone: WhenAlone = when_alone
        self.rpm: RateLease | None = None
        self.tpm: RateLease | None = None
        self.parallel: Count | None = None
        self.follow()

    def follow(self) -> None:
        """Hold the limits that the meter has now."""
        meter = self._meter
        self.rpm = self._rate("rpm", meter.rpm.limit if meter.rpm else None)
        self.tpm = self._rate("tpm", meter.tpm.limit if meter.tpm else None)
        name = f"parallel:{self._name}"
        if meter.parallel is None:
            self._counts.drop(name)
            self.parallel = None
        elif self.parallel is None or self.parallel.most != meter.parallel:
            under_way = partial(getattr, meter, "under_way")
            count = Count(name, meter.parallel, under_way, lambda: None)
            self.parallel = self._counts.share(count)

    def _rate(self, kind: str, limit: int | None) -> RateLease | None:
        name = f"{kind} {self._name}"
        if limit is None:
            self._rates.drop(name)
            return None
        return self._rates.share(name, limit)

    def used(self) -> tuple[int | None, int | None]:
        """Requests and tokens of the minute's limits that all processes use, as last heard."""
        at = self._rates.clock()
        rpm, tpm = self.rpm, self.tpm
        return rpm.used(at) if rpm else None, tpm.used(at) if tpm else None

    # --- requests ------------------------------------------------------------------------

    def enters(self, tokens: int) -> bool:
        """Let a request in whose share is leased; False: ask with `obtain`.

        The meter counts it as under way before.
        """
        term, count = self._rates.term, self.parallel
        if term.clock() > term.fresh_until:
            return False
        if count is not None:
            under_way = self._meter.under_way
            if under_way > count.peak:
                count.peak = under_way
            if under_way > count.held:
                return False
        rpm, tpm = self.rpm, self.tpm
        if rpm is not None and rpm.left - rpm.aside < 1:
            return False
        if tpm is not None:
            if tpm.left - tpm.aside < tokens:
                return False
            tpm.left -= tokens
        if rpm is not None:
            rpm.left -= 1
        return True

    async def obtain(self, tokens: int) -> None:
        """Let a request in whose share is not leased, as `enters` does.

        Where the store lost its data it waits until what is used is known there again.

        Raises:
            RateLimitedError: there is no room.
            SharedLimitsError: the store can't be reached, and the configuration says to wait; or
                it has not learned in time what is used.
        """
        if await self._has_entered(tokens):
            return
        try:
            async with asyncio.timeout(_RESTORED_SECONDS):
                await self._rates.restored()
                while not await self._has_entered(tokens):
                    await self._rates.restored()
        except TimeoutError:
            raise SharedLimitsError(
                f"client key {self._name!r} has limits that replicas share, and their store lost "
                "its data: it waits for those that know what was used"
            ) from None

    async def _has_entered(self, tokens: int) -> bool:
        """Whether it is in; False where the store does not know what is used.

        Raises: as `obtain`.
        """
        count, term = self.parallel, self._rates.term
        if term.is_alone and not (term.is_fresh and (count is None or self._counts.covers(count))):
            self._enter_alone(tokens)
            return True
        if count is not None and not (
            self._counts.covers(count) or await self._counts.obtain(count)
        ):
            if self._rates.restores and count.lacks_word:
                return False
            raise self._too_many()
        needs = self._needs(tokens)
        try:
            wait = await self._rates.obtain(needs) if needs else 0.0
        except StoreUnavailableError:
            if self._rates.term.was_heard and not self._rates.term.is_alone:
                raise RateLimitedError(
                    f"client key {self._name!r} has limits that replicas share, and their store "
                    "does not answer just now",
                    _SOON_SECONDS,
                ) from None
            self._enter_alone(tokens)
            return True
        if wait is None:
            return False
        if wait:
            raise self._refusal(needs, tokens, wait)
        for rate, amount in needs:
            rate.left -= amount
        return True

    def leave(self, taken: int, used: int, elapsed: int) -> None:
        """A request is over, `elapsed` nanoseconds after it began; the meter counts it no more."""
        if self.parallel is not None and self.parallel.others_wait:
            self._counts.released(self.parallel)
        if self.tpm is not None:
            more = used - taken
            if more < 0:  # what has come back by itself is not given back once more
                back = int(elapsed / SECOND * self.tpm.limit / WINDOW_SECONDS)
                more = -min(-more, max(0, taken - back))
            self.tpm.left -= more

    def _needs(self, tokens: int) -> tuple[Need, ...]:
        needs = [] if self.rpm is None else [Need(self.rpm, 1)]
        return tuple(needs if self.tpm is None else [*needs, Need(self.tpm, tokens)])

    # --- alone ---------------------------------------------------------------------------

    def _enter_alone(self, tokens: int) -> None:
        if self._when_alone == "block":
            raise SharedLimitsError(
                f"client key {self._name!r} has limits that replicas share, and their store can't "
                "be reached"
            )
        at, is_full = self._rates.clock(), self._when_alone == "full"
        count = self.parallel
        if count is not None:
            # No server is behind it that more would overload: the share holds at once.
            most = count.most if is_full else self._counts.share_of(count)
            if self._meter.under_way > most:
                raise self._too_many()
        needs, parts = self._needs(tokens), 1 if is_full else self._rates.live
        waits = [rate.alone_wait(amount, rate.limit / parts, at) for rate, amount in needs]
        if any(waits):
            raise self._refusal(needs, tokens, max(waits))
        for rate, amount in needs:
            rate.alone_use(amount, rate.limit / parts, at)

    # --- refusals ------------------------------------------------------------------------

    def _too_many(self) -> NexusError:
        limit, whose = self._meter.parallel, f"client key {self._name!r}"
        why = f"{whose} has {limit} requests under way, as many as it may"
        if limit is not None and self._meter.under_way <= limit:
            why = f"{whose} may have {limit} requests under way on all replicas, and no more here"
            if self._counts.is_unheard:
                why += " until their store answers"
        return RateLimitedError(why, _SOON_SECONDS)

    def _refusal(self, needs: tuple[Need, ...], tokens: int, wait: float) -> NexusError:
        """The limit that takes longest, in words."""
        longest = max(needs, key=lambda need: need.rate.wait_until)
        whose, limit = f"client key {self._name!r}", longest.rate.limit
        if longest.rate is self.rpm:
            why = f"{whose} is at its limit of {limit} requests a minute"
        else:
            why = (
                f"{whose} is at its limit of {limit} tokens a minute; "
                f"this request was taken for about {tokens}"
            )
        return RateLimitedError(why, max(1, -int(-wait // 1)))
