"""The workers that serve now, and what those counted that are gone."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from nexus_core.api.siblings.handover import Handover
from nexus_core.money.ledger_schema import LedgerRow
from nexus_core.observe.stats import Stats
from nexus_core.observe.summed.stats import sum_stats
from nexus_core.observe.windows.marks import STEP_SECONDS, Marks
from nexus_core.workers.counted_rows import count_rows
from nexus_core.workers.sibling import Sibling, SilentError

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # what a worker counted since the last time is lost if it is killed

_Told = TypeVar("_Told")


class Roster:
    """The workers of one port. A number that was told is never taken back by the end of one."""

    def __init__(self, folder: Path) -> None:
        self.restarts = 0  # workers that were replaced
        self.ended = Stats()  # what those counted that are gone
        self.ended_metrics: list[str] = []  # what those told last, until somebody adds it up
        self.handover: Handover | None = None  # what held when somebody last looked
        self.windows = Marks(self.ended)  # of all that was counted, also by those that are gone
        self._marked_at = time.monotonic()
        self._folder = folder
        self._siblings: dict[int, Sibling] = {}
        self._has_new = asyncio.Event()

    @property
    def siblings(self) -> list[Sibling]:
        """Those that serve, the first one first."""
        return [self._siblings[number] for number in sorted(self._siblings)]

    def join(self, number: int) -> None:
        """The worker of this number serves."""
        self._siblings[number] = Sibling(self._folder, number)
        self._has_new.set()

    async def leave(self, number: int, rows: Sequence[LedgerRow] = ()) -> str | None:
        """The worker of this number is gone; what it counted stays counted.

        Gives its name in the store, where it is known.

        Args:
            rows: of its ledger, those of before it last said what it counted among them.
        """
        sibling = self._siblings.pop(number, None)
        if sibling is None:
            return None
        last = count_rows(sibling.counts or Stats(), rows, after=sibling.counted_at)
        self.ended = sum_stats([self.ended, _closed(last)])
        if sibling.metrics is not None:
            self.ended_metrics.append(sibling.metrics)
        await sibling.close()
        return sibling.process

    async def learn(self) -> None:
        """Learn what holds, for workers to come."""
        for sibling in self.siblings:
            try:
                self.handover = await sibling.handover()
            except SilentError:
                continue
            return
        if self.handover is not None:
            self.handover = replace(self.handover, keys=None)  # one may be revoked by now

    async def run(self) -> None:
        """Ask what each has counted, again and again, until cancelled."""
        while True:
            self._has_new.clear()
            await self.each(lambda sibling: sibling.count())
            self._mark()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._has_new.wait()  # a new one is asked at once

    def _mark(self) -> None:
        """Note what is counted until now, every few seconds, for the windows to begin there."""
        if time.monotonic() - self._marked_at >= STEP_SECONDS:
            self._marked_at = time.monotonic()
            self.windows.make(sum_stats(self.past([])))

    async def each(self, ask: Callable[[Sibling], Awaitable[_Told]]) -> list[tuple[Sibling, _Told]]:
        """What each of them says, all asked at once; who is silent is left out."""

        async def one(sibling: Sibling) -> tuple[Sibling, _Told] | None:
            try:
                return sibling, await ask(sibling)
            except SilentError as error:
                log.debug("%s", error)
                return None

        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(one(sibling), name="ask") for sibling in self.siblings]
        return self.still([told for task in asked if (told := task.result()) is not None])

    def still(self, told: list[tuple[Sibling, _Told]]) -> list[tuple[Sibling, _Told]]:
        """What was told by those that serve yet: what the others counted is past by now."""
        return [(sibling, one) for sibling, one in told if self.has(sibling)]

    def has(self, sibling: Sibling) -> bool:
        """Whether it serves yet."""
        return self._siblings.get(sibling.number) is sibling

    def past(self, present: list[Sibling]) -> list[Stats]:
        """What those counted that are gone, and those that are silent now, as they last said."""
        there = {id(sibling) for sibling in present}
        silent = [one.counts for one in self.siblings if id(one) not in there]
        return [self.ended, *(counts for counts in silent if counts is not None)]


def _closed(counts: Stats) -> Stats:
    """The counts of a worker that is gone: what was under way there failed with it."""
    closed = sum_stats([counts])
    lost = len(closed.under_way)
    closed.under_way.clear()
    closed.finished += lost
    closed.failed += lost
    closed.in_flight = 0
    return closed
