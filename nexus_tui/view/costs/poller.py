"""Poll the cost report, so that shown costs are at most a few seconds old."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable

from nexus_tui.sources.base import EventSource

PERIOD_SECONDS = 5.0
_AWAITED_SECONDS = 1.0  # while the ledger is still being read after a start
_QUIET_SECONDS = 60.0  # while no request ends: only the day goes on
_DUTY = 0.05  # share of the time that reading may take, however large the ledger


async def keep_costs(
    source: EventSource,
    refreshed: Callable[[], None] = lambda: None,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Refresh the cost report until cancelled."""
    # A request that has ended is in the ledger half a second later: so its round and the next one.
    ended: deque[tuple[int, int]] = deque(maxlen=2)
    read_at = float("-inf")
    while True:
        now = (source.epoch, source.stats.finished)
        is_quiet = list(ended) == [now, now] and source.costs_problem is None
        ended.append(now)
        pause = PERIOD_SECONDS
        if source.costs is None or not is_quiet or clock() - read_at >= _QUIET_SECONDS:
            read_at = clock()
            await source.refresh_costs()
            refreshed()
            is_awaited = source.costs is None and source.costs_problem is None
            period = _AWAITED_SECONDS if is_awaited else PERIOD_SECONDS
            pause = max(period, (clock() - read_at) / _DUTY)
        await sleep(pause)
