"""The bus: hand each event to every subscriber, and never wait for one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from nexus_core.observe.events import NexusEvent


class Subscription:
    """One watcher's own bounded queue; the oldest event is dropped and counted when it is full."""

    def __init__(self, bus: EventBus, capacity: int) -> None:
        self._bus = bus
        self._events: deque[NexusEvent] = deque(maxlen=capacity)
        self._arrived = asyncio.Event()
        self.dropped = 0  # events lost since the subscription began

    def push(self, event: NexusEvent) -> None:
        """Take in an event; the bus calls this."""
        if len(self._events) == self._events.maxlen:
            self.dropped += 1
        self._events.append(event)
        if not self._arrived.is_set():
            self._arrived.set()

    def drain(self) -> list[NexusEvent]:
        """Take everything that came since the last call, oldest first."""
        events = list(self._events)
        self._events.clear()
        self._arrived.clear()
        return events

    async def wait(self) -> None:
        """Return once there is something to drain."""
        while not self._arrived.is_set():  # whoever drains first leaves nothing to wake for
            await self._arrived.wait()

    def close(self) -> None:
        """Stop receiving; safe to call twice."""
        self._bus.unsubscribe(self)


class EventBus:
    """Hand each event to every subscriber; publishing never waits and never fails.

    `folds` run inside `publish` and so miss nothing: they must be quick and must not raise.
    """

    def __init__(self, *folds: Callable[[NexusEvent], None]) -> None:
        self._folds = folds
        self._subscriptions: list[Subscription] = []

    def publish(self, event: NexusEvent) -> None:
        """Give the event to every fold and subscriber."""
        for fold in self._folds:
            fold(event)
        for subscription in self._subscriptions:
            subscription.push(event)

    def subscribe(self, capacity: int = 10_000) -> Subscription:
        """Start receiving; `capacity` bounds the events kept between two drains."""
        subscription = Subscription(self, capacity)
        self._subscriptions.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Stop giving events to this subscription."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
