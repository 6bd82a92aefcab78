"""Event intake: take events of the bus in small portions, between repaints."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

# Seconds between two portions. Half a second's worth at once would hold up the proxy, and each
# portion leaves what the proxy works with in colder caches.
PAUSE = 0.1


class Intake:
    """Event intake between a source and the pacer."""

    def __init__(self, wait: Callable[[], Awaitable[None]], take: Callable[[], int]) -> None:
        self._wait = wait  # until there is something to take
        self._take = take  # takes what is there, gives back how many events that were
        self._taken = 0  # since the last `collect`
        self._arrived = asyncio.Event()

    async def run(self) -> None:
        """Take until cancelled."""
        while True:
            await self._wait()
            self._taken += self._take()
            self._arrived.set()
            await asyncio.sleep(PAUSE)

    @property
    def has_news(self) -> bool:
        """Whether something was taken, or has changed, since the last `collect`."""
        return self._arrived.is_set()

    async def wait(self) -> None:
        """Return once there are news; those that a key has had painted by then are none."""
        while not self._arrived.is_set():
            await self._arrived.wait()

    def collect(self) -> int:
        """Take what is left; how many events there were since the last call."""
        taken, self._taken = self._taken + self._take(), 0
        self._arrived.clear()
        return taken
