"""Take events in as they come, in small portions: what is drawn of them is the pacer's business."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

PAUSE = 0.03  # seconds between two portions; half a second's worth at once would hold up the proxy


class Intake:
    """Stands between a source and the pacer, which then finds next to nothing left to take."""

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
