"""Lists of all workers together: requests, log lines, what operators did."""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from nexus_core.observe.log_ring import CAPACITY as LOG_CAPACITY
from nexus_core.observe.log_ring import LogLine, LogRing
from nexus_core.observe.requests import CAPACITY
from nexus_core.types import JsonObject
from nexus_core.workers.numbers import newest_actions
from nexus_core.workers.roster import Roster
from nexus_core.workers.sibling import Sibling


async def requests(roster: Roster, limit: int, before: str | None) -> list[JsonObject]:
    """The newest requests of all workers, newest first; with `before`, those before that one."""
    asked = limit if before is None else CAPACITY
    told = await roster.each(lambda one: one.ask(f"/nexus/requests?limit={asked}"))
    every: list[JsonObject] = [row for _, answer in told for row in answer["requests"]]
    every.sort(key=_at, reverse=True)
    if before is not None:
        places = [place for place, row in enumerate(every) if row["id"] == before]
        every = every[places[0] + 1 :] if places else []
    return every[:limit]


async def actions(roster: Roster, limit: int) -> list[JsonObject]:
    """What operators did, newest first."""
    told = await roster.each(lambda one: one.ask(f"/nexus/actions?limit={limit}"))
    return newest_actions([answer["actions"] for _, answer in told], limit)


class Logs:
    """The log lines of all workers, taken over when somebody asks."""

    def __init__(self, roster: Roster, ring: LogRing) -> None:
        self.ring = ring  # with the supervisor's own
        self._roster = roster
        self._reading = asyncio.Lock()

    async def read(self) -> None:
        """Take over what is new."""
        async with self._reading:
            told = await self._roster.each(self._ask)
            lines = [(line["at"], one.number, line) for one, answer in told for line in answer]
            for _, number, line in sorted(lines, key=lambda line: line[:2]):
                self.ring.add(_line(line, number))

    async def _ask(self, sibling: Sibling) -> list[JsonObject]:
        after = {} if sibling.last_log is None else {"after": sibling.last_log}
        query = urlencode({"limit": LOG_CAPACITY, **after})
        answer: JsonObject = await sibling.ask(f"/nexus/logs?{query}")
        sibling.last_log = answer["last"]
        lines: list[JsonObject] = answer["lines"]
        return lines


def _line(told: JsonObject, number: int) -> LogLine:
    return LogLine(
        at=told["at"],
        level=told["level"],
        logger=f"worker {number} {told['logger']}",
        text=told["text"],
        request_id=told["request"],
    )


def _at(row: JsonObject) -> float:
    at: float = row["at"]
    return at
