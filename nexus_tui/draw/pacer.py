"""The repaint pacer: at once while quiet, seldom while the proxy is busy."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

DUTY = 0.02  # share of one core that painting may take
SHORTEST = 0.25  # seconds between two rounds
BUSY_INTERVAL = 0.5  # seconds between two rounds when events pour in
LONGEST = 1.0  # seconds to which what painting costs can stretch that
QUIET_BELOW = 5.0  # events a second
WINDOW = 2.0  # seconds over which events are counted for that
GATHER = 0.02  # seconds to wait for the rest of a burst before a quiet round
TICK = 1.0  # seconds without an event after which clocks and rates are looked at


class News(Protocol):
    """Where events are taken in: an `Intake`."""

    @property
    def has_news(self) -> bool:
        """Whether something has changed since the last `collect`."""
        ...

    async def wait(self) -> None:
        """Return once there are news."""
        ...

    def collect(self) -> int:
        """Take in what is left; how many events there were since the last call."""
        ...


class Paints(Protocol):
    """What draws: a `Painter`."""

    def begin_round(self) -> Sequence[Sequence[str]]:
        """The groups to paint now, by the slots they share."""
        ...

    def paint_group(self, group: str) -> None:
        """Paint what belongs to the group."""
        ...


@dataclass(frozen=True, slots=True)
class Clocks:
    """What the pacer measures and waits by."""

    now: Callable[[], float] = time.perf_counter
    # What painting costs is what it keeps the core from; on a machine that is busy with
    # something else the time that passes meanwhile is many times that.
    cpu: Callable[[], float] = time.thread_time
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Pacer:
    """Repaint pacer: turns batches of events into repaints.

    A round takes what is there and paints the groups that changed. When busy, it does so in a few
    slots: all at once would hold up the proxy, and so do many turns, as each leaves cold caches.
    After a round that cost T seconds the next one waits T / 2 %, if that is less than a second.
    """

    def __init__(
        self,
        news: News,
        painter: Paints,
        *,
        clocks: Clocks | None = None,
        tick: float = TICK,
        busy_interval: float | None = None,
    ) -> None:
        self._news = news
        self._painter = painter
        self._clocks = clocks or Clocks()
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
            has_news = await self._wait()
            if not self.busy:
                await self._clocks.sleep(GATHER)
            if has_news and not self._news.has_news:
                continue  # painted meanwhile, with what a key did
            self.count(self._news.collect())
            await self._round()

    async def _wait(self) -> bool:
        """Whether there are news, rather than only time that has passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._tick):
                await self._news.wait()
                return True
        return False

    def count(self, events: int) -> None:
        """Take note of events that were taken in: many of them make it busy."""
        now = self._clocks.now()
        self._recent.append((now, events))
        while self._recent[0][0] <= now - WINDOW:
            self._recent.popleft()

    async def _round(self) -> None:
        slots = self._painter.begin_round()
        started = self._clocks.now()
        pause = self.interval / (len(slots) + 1) if self.busy else 0.0
        for groups in slots:
            begun = self._clocks.cpu()
            for group in groups:
                self._painter.paint_group(group)
            self._cost += self._clocks.cpu() - begun
            if pause:
                await self._clocks.sleep(pause)
        await self._clocks.sleep(self._rest(self._clocks.now() - started))

    def _rest(self, spent: float) -> float:
        """How long to leave the loop to the proxy."""
        busy = BUSY_INTERVAL if self._busy_interval is None else self._busy_interval
        wanted = busy if self.busy else SHORTEST
        self.interval = max(wanted, min(self._cost / DUTY, LONGEST))
        self._cost = 0.0
        return max(0.0, self.interval - spent)
