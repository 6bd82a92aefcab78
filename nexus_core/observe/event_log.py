"""Event log: the newest events, numbered, for readers over HTTP."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import islice

from nexus_core.observe.phases import Happened

CAPACITY = 4096  # events kept; they share the records that RecentRequests keeps


class EventLog:
    """A bounded ring of events for any number of readers.

    The numbers of one run go on without a gap; another run has another `run` word.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.run = secrets.token_hex(4)
        self.last = 0  # the newest event's number; the first one is 1
        self.is_closed = False
        self._events: deque[Happened] = deque(maxlen=capacity)
        self._readers: set[asyncio.Event] = set()

    @property
    def first(self) -> int:
        """The oldest number that is still here."""
        return self.last - len(self._events) + 1

    @property
    def readers(self) -> int:
        """How many wait or could wait for news."""
        return len(self._readers)

    def push(self, happened: Sequence[Happened]) -> None:
        """Keep what happened; the oldest go. Never waits for a reader."""
        self.last += len(happened)
        self._events.extend(happened)
        for reader in self._readers:
            reader.set()

    def after(self, number: int) -> list[tuple[int, Happened]]:
        """What came after that number and is still here, oldest first; `event_of` reads it."""
        start = max(number + 1, self.first)
        return list(enumerate(islice(self._events, start - self.first, None), start))

    @contextmanager
    def news(self) -> Generator[asyncio.Event]:
        """An event that is set whenever there is something new; its reader clears it."""
        arrived = asyncio.Event()
        if self.is_closed:
            arrived.set()
        self._readers.add(arrived)
        try:
            yield arrived
        finally:
            self._readers.discard(arrived)

    def close(self) -> None:
        """Nothing that a reader waits for will come: it should leave."""
        self.is_closed = True
        for reader in self._readers:
            reader.set()
