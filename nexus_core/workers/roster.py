"""The workers that serve now, and what those counted that are gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from nexus_core.api.siblings.handover import Handover
from nexus_core.observe.stats import Stats
from nexus_core.observe.summed.stats import sum_stats
from nexus_core.workers.sibling import Sibling, SilentError

log = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # what a worker counted since the last time is lost if it is killed

_Told = TypeVar("_Told")


class Roster:
    """The workers of one port. A number that was told is never taken back by the end of one."""

    def __init__(self, folder: Path) -> None:
        self.restarts = 0  # workers that were replaced
        self.ended = Stats()  # what those counted that are gone
        self.handover: Handover | None = None  # what held when somebody last looked
        self._folder = folder
        self._siblings: dict[int, Sibling] = {}

    @property
    def siblings(self) -> list[Sibling]:
        """Those that serve, the first one first."""
        return [self._siblings[number] for number in sorted(self._siblings)]

    def join(self, number: int) -> None:
        """The worker of this number serves."""
        self._siblings[number] = Sibling(self._folder, number)

    async def leave(self, number: int) -> None:
        """The worker of this number is gone; what it said that it counted stays counted."""
        sibling = self._siblings.pop(number, None)
        if sibling is None:
            return
        if sibling.counts is not None:
            self.ended = sum_stats([self.ended, _closed(sibling.counts)])
        await sibling.close()

    async def learn(self) -> None:
        """Learn what holds, for workers to come."""
        for sibling in self.siblings:
            try:
                self.handover = await sibling.handover()
            except SilentError:
                continue
            return

    async def run(self) -> None:
        """Ask what each has counted, again and again, until cancelled."""
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self.each(lambda sibling: sibling.count())

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
        return [told for task in asked if (told := task.result()) is not None]

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
