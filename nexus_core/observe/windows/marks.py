"""Keep what was counted at times of the last hour: nothing is counted twice, or per request."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Awaitable, Callable
from operator import attrgetter
from typing import NamedTuple

from nexus_core.observe.stats import Stats
from nexus_core.observe.windows.counted import Counted, count_until_now, since
from nexus_core.observe.windows.window import Window

STEP_SECONDS = 5.0
_COARSE_SECONDS = 60.0
_FINE_MARKS = int(300 / STEP_SECONDS) + 3  # five minutes and some
_COARSE_MARKS = int(3600 / _COARSE_SECONDS) + 3  # an hour and some

_at = attrgetter("at")


class Mark(NamedTuple):
    """What was counted at one time."""

    at: float  # monotonic seconds
    counted: Counted


class Marks:
    """What was counted at times of the last hour.

    A window begins at the newest mark that is at least as old as the window is long: it is never
    shorter than it says, and longer by 5 s at most, the hour by 65 s. While the process stands
    still no marks are made, nor is anything counted; such a pause makes a window longer.

    In memory there are 126 marks at most; what did not change between two of them is shared.
    """

    def __init__(
        self,
        stats: Stats,
        clock: Callable[[], float] = time.monotonic,
        settle: Callable[[], None] | None = None,
    ) -> None:
        """`settle` has the statistics take in what they have not yet."""
        self._stats = stats
        self._settle = settle
        self._clock = clock  # never the time of day: that may jump
        self._started_at = clock()
        self._fine: deque[Mark] = deque(maxlen=_FINE_MARKS)
        self._coarse: deque[Mark] = deque(maxlen=_COARSE_MARKS)

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Make a mark every few seconds until cancelled."""
        while True:
            await sleep(STEP_SECONDS)
            self.make()

    def make(self, stats: Stats | None = None) -> None:
        """Make a mark now; of other statistics, which are counted on from then."""
        if stats is not None:
            self._stats = stats
        if self._settle is not None:
            self._settle()
        at = self._clock()
        before = self._fine[-1].counted if self._fine else None
        mark = Mark(at, count_until_now(self._stats, before))
        self._fine.append(mark)
        if not self._coarse or at - self._coarse[-1].at >= _COARSE_SECONDS:
            self._coarse.append(mark)

    def beginning(self, window: Window) -> Counted | None:
        """What was counted before the window; None: nothing, it began with the process."""
        mark = self._mark(window)
        return None if mark is None else mark.counted

    def seconds(self, window: Window) -> float:
        """How long the window is now."""
        mark = self._mark(window)
        return self._clock() - (self._started_at if mark is None else mark.at)

    def of(self, window: Window) -> Stats:
        """Statistics of the window."""
        if self._settle is not None:
            self._settle()
        beginning = self.beginning(window)
        return self._stats if beginning is None else since(self._stats, beginning)

    def _mark(self, window: Window) -> Mark | None:
        if window.seconds is None:
            return None
        edge = self._clock() - window.seconds
        for marks in (self._fine, self._coarse):
            if found := bisect_right(marks, edge, key=_at):
                return marks[found - 1]
        return None
