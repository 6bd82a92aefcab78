"""The event bus: tell every subscriber of each event, without waiting for one."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from nexus_core.observe.events import NexusEvent
from nexus_core.observe.phases import FAILED, FINISHED, Happened, Phase, Reached, event_of
from nexus_core.observe.record import RequestRecord

log = logging.getLogger(__name__)

_SETTLE_SECONDS = 0.02  # that a phase may wait for others, to be taken in with them
_MOST_REACHED = 64  # that wait at the end of a request; more at once would hold up the event loop
# Requests go on, and so do the other folds and logs.
_FAULT = "%s failed to take in what happened"


class Fold(Protocol):
    """What takes in every event, in their order: it must be quick and should not raise."""

    def take_in(self, reached: Sequence[Reached]) -> None:
        """Take in phases of requests, in the order in which they were reached."""
        ...

    def apply(self, event: NexusEvent) -> None:
        """Take in any other event, or one of a request of another Nexus."""
        ...


class Log(Protocol):
    """What keeps what happened, for readers: it must be quick and should not raise."""

    def push(self, happened: Sequence[Happened]) -> None:
        """Keep it, oldest first; `event_of` makes the event when it is read."""
        ...


class Subscription:
    """A subscriber's bounded queue; when full, the oldest event is dropped and counted."""

    def __init__(self, bus: EventBus, capacity: int, *, wants_requests: bool = True) -> None:
        self._bus = bus
        self._capacity = capacity
        self._happened: deque[Happened] = deque(maxlen=capacity)
        self._arrived = asyncio.Event()
        self._wants_requests = wants_requests
        self.dropped = 0  # events lost since the subscription began

    def push(self, happened: Sequence[Happened]) -> None:
        """Take in what happened; the bus calls this."""
        if not self._wants_requests:
            happened = [
                one for one in happened if not isinstance(one, Reached) or one.phase is FAILED
            ]
        kept = self._happened
        self.dropped += max(0, len(kept) + len(happened) - self._capacity)
        kept.extend(happened)
        self._arrived.set()

    def drain(self) -> list[NexusEvent]:
        """Take everything that came since the last call, oldest first."""
        self._bus.settle()
        happened = list(self._happened)
        self._happened.clear()
        self._arrived.clear()
        return [event_of(one) for one in happened]

    async def wait(self) -> None:
        """Return once something has happened since the last `drain`."""
        while not self._arrived.is_set():  # whoever drains first leaves nothing to wake for
            await self._arrived.wait()

    def close(self) -> None:
        """Stop receiving; safe to call twice."""
        self._bus.unsubscribe(self)


class EventBus:
    """Event bus: tells every fold, log and subscriber what happens; never waits, never fails.

    A request's phases are told by `reach`, with its record: no event is made unless it is read.
    Every other event is told by `publish`. Phases are taken in together, which is cheaper than one
    by one: soon, and always before another event and before anybody looks, who calls `settle`.
    """

    def __init__(self, *folds: Fold, log: Log | None = None) -> None:
        self._folds = folds
        self._logs: list[Log] = [] if log is None else [log]  # subscriptions among them
        self._reached: list[Reached] = []  # and not taken in yet
        self._settles_in: asyncio.AbstractEventLoop | None = None  # which will take them in

    def publish(self, event: NexusEvent) -> None:
        """Tell of an event."""
        self.settle()
        for fold in self._folds:
            try:
                fold.apply(event)
            except Exception:
                log.exception(_FAULT, type(fold).__name__)
        self._push((event,))

    def reach(self, phase: Phase, record: RequestRecord, number: int = 1) -> None:
        """Tell that a request reached a phase, which its record says all of.

        What the record says of it must stay as it is until the phase is taken in.

        Args:
            number: the attempt's, or the failed attempt's: 1 for the first one.
        """
        reached = self._reached
        reached.append(Reached(phase, record, number))
        if len(reached) == 1:
            self._settle_soon()
        elif len(reached) >= _MOST_REACHED and phase is FINISHED:
            self.settle()

    def settle(self) -> None:
        """Take in the phases that were reached: so does whoever is about to look at them."""
        reached = self._reached
        if not reached:
            return
        self._reached = []
        for fold in self._folds:
            try:
                fold.take_in(reached)
            except Exception:
                log.exception(_FAULT, type(fold).__name__)
        self._push(reached)

    def _push(self, happened: Sequence[Happened]) -> None:
        for one in self._logs:
            try:
                one.push(happened)
            except Exception:
                log.exception(_FAULT, type(one).__name__)

    def _settle_soon(self) -> None:
        if self._settles_in is not None and self._settles_in.is_running():
            return
        try:
            self._settles_in = loop = asyncio.get_running_loop()
        except RuntimeError:
            self.settle()
        else:
            loop.call_later(_SETTLE_SECONDS, self._settle_in_time)

    def _settle_in_time(self) -> None:
        self._settles_in = None
        self.settle()

    def subscribe(self, capacity: int = 10_000, *, wants_requests: bool = True) -> Subscription:
        """Start receiving.

        Args:
            capacity: most events kept between two drains.
            wants_requests: else requests wake the subscriber, who reads their records, and of
                their events only failed attempts come.
        """
        subscription = Subscription(self, capacity, wants_requests=wants_requests)
        self.tell(subscription)
        return subscription

    def tell(self, log: Log) -> None:
        """Tell a log of everything from now on until it is unsubscribed."""
        self.settle()
        self._logs.append(log)

    def unsubscribe(self, log: Log) -> None:
        """Stop giving events to this log or subscription; it has all that happened until now."""
        self.settle()
        if log in self._logs:
            self._logs.remove(log)
