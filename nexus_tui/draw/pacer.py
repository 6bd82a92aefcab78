"""The repaint pacer: at once while quiet, seldom while the proxy is busy."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

DUTY = 0.02  # share of one core that painting may take
SHORTEST = 0.25  # seconds between two rounds
BUSY_INTERVAL = 0.5  # seconds between two rounds when events pour in
QUIET_BELOW = 5.0  # events a second
WINDOW = 2.0  # seconds over which events are counted for that
GATHER = 0.02  # seconds to wait for the rest of a burst before a quiet round
TICK = 1.0  # seconds without an event after which clocks and rates are looked at


class Pacer:
    """Repaint pacer: turns batches of events into repaints.

    A round takes what is there and paints the groups that changed. When busy, each group has its
    own slot in the round, because the compositor paints the bounding box of all that is dirty.
    After a round that cost T seconds the next one waits at least T / 2 %.
    """

    def __init__(
        self,
        *,
        wait: Callable[[], Awaitable[None]],
        collect: Callable[[], int],
        dirty: Callable[[], set[str]],
        paint: Mapping[str, Callable[[], None]],
        clock: Callable[[], float] = time.perf_counter,
        cpu: Callable[[], float] = time.thread_time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        tick: float = TICK,
        busy_interval: float | None = None,
    ) -> None:
        self._wait = wait  # until there is something to collect
        self._collect = collect  # takes the events in, gives back how many they were
        self._dirty = dirty
        self._paint = paint  # in the order of the slots
        self._clock = clock
        # What painting costs is what it keeps the core from; on a machine that is busy with
        # something else the time that passes meanwhile is many times that.
        self._cpu = cpu
        self._sleep = sleep
        self._tick = tick
        self._busy_interval = busy_interval  # seconds; None: BUSY_INTERVAL
        self._cost = 0.0  # of the running round
        self._recent: deque[tuple[float, int]] = deque()  # when, how many events
        self.interval = SHORTEST  # until the next round

    @property
    def busy(self) -> bool:
        return sum(events for _, events in self._recent) / WINDOW >= QUIET_BELOW

    def add_cost(self, seconds: float) -> None:
        """Charge what the compositor spent on showing a group."""
        self._cost += seconds

    async def run(self) -> None:
        """Paint until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._tick):
                    await self._wait()
            if not self.busy:
                await self._sleep(GATHER)
            self._count(self._collect())
            await self._round()

    def _count(self, events: int) -> None:
        now = self._clock()
        self._recent.append((now, events))
        while self._recent[0][0] <= now - WINDOW:
            self._recent.popleft()

    async def _round(self) -> None:
        dirty = self._dirty()
        groups = [group for group in self._paint if group in dirty]
        started = self._clock()
        slot = self.interval / (len(self._paint) + 1) if self.busy else 0.0
        for group in groups:
            begun = self._cpu()
            self._paint[group]()
            self._cost += self._cpu() - begun
            if slot:
                await self._sleep(slot)
        await self._sleep(self._rest(self._clock() - started))

    def _rest(self, spent: float) -> float:
        """How long to leave the loop to the proxy."""
        busy = BUSY_INTERVAL if self._busy_interval is None else self._busy_interval
        wanted = busy if self.busy else SHORTEST
        self.interval = max(wanted, self._cost / DUTY)
        self._cost = 0.0
        return max(0.0, self.interval - spent)
