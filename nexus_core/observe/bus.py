"""The event bus: tell every subscriber of each event, without waiting for one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

from nexus_core.observe.events import NexusEvent
from nexus_core.observe.phases import Happened, Phase, event_of
from nexus_core.observe.record import RequestRecord


class Fold(Protocol):
    """What takes in every event as it happens: it must be quick and must not raise."""

    @property
    def phases(self) -> Mapping[Phase, Callable[[RequestRecord], None]]:
        """What takes in a phase of a request; a phase that changes nothing is left out."""
        ...

    def apply(self, event: NexusEvent) -> None:
        """Take in any other event, or one of a request of another Nexus."""
        ...


class Log(Protocol):
    """What keeps what happened, for readers: it must be quick and must not raise."""

    def push(self, happened: Happened) -> None:
        """Keep it; `event_of` makes the event when it is read."""
        ...


class Subscription:
    """A subscriber's bounded queue; when full, the oldest event is dropped and counted."""

    def __init__(self, bus: EventBus, capacity: int, *, wants_requests: bool = True) -> None:
        self._bus = bus
        self._happened: deque[Happened] = deque(maxlen=capacity)
        self._arrived = asyncio.Event()
        self._wants_requests = wants_requests
        self.dropped = 0  # events lost since the subscription began

    def push(self, happened: Happened) -> None:
        """Take in what happened; the bus calls this."""
        if self._wants_requests or not isinstance(happened, tuple) or happened[0] is Phase.FAILED:
            if len(self._happened) == self._happened.maxlen:
                self.dropped += 1
            self._happened.append(happened)
        if not self._arrived.is_set():
            self._arrived.set()

    def drain(self) -> list[NexusEvent]:
        """Take everything that came since the last call, oldest first."""
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
    Every other event is told by `publish`.
    """

    def __init__(self, *folds: Fold, log: Log | None = None) -> None:
        self._folds = folds
        # By the phase's number: what takes it in.
        self._of_phase = [
            tuple(fold.phases[phase] for fold in folds if phase in fold.phases) for phase in Phase
        ]
        self._logs: list[Log] = [] if log is None else [log]  # subscriptions among them

    def publish(self, event: NexusEvent) -> None:
        """Tell of an event."""
        for fold in self._folds:
            fold.apply(event)
        for log in self._logs:
            log.push(event)

    def reach(self, phase: Phase, record: RequestRecord, number: int = 1) -> None:
        """Tell that a request reached a phase, which its record says all of.

        Args:
            number: the attempt's, or the failed attempt's: 1 for the first one.
        """
        for take in self._of_phase[phase]:
            take(record)
        if self._logs:
            happened = (phase, record, number)
            for log in self._logs:
                log.push(happened)

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
        """Tell a log of everything from now on, as it happens, until it is unsubscribed."""
        self._logs.append(log)

    def unsubscribe(self, log: Log) -> None:
        """Stop giving events to this log or subscription."""
        if log in self._logs:
            self._logs.remove(log)
