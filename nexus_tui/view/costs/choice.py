"""Which costs are shown: of which period, and grouped by what; and the lines of that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from enum import StrEnum
from typing import TypeVar, cast

from nexus_core.errors import NexusError
from nexus_core.money.cost_lines import CostLines
from nexus_core.money.ledger_queries import By, CostLine
from nexus_core.money.months import Day, Month, Period
from nexus_core.money.report import CostReport, CostRow, Grouping
from nexus_core.types import NANO
from nexus_tui.sources.base import NO_LEDGER, EventSource

PERIOD_SECONDS = 5.0
_DUTY = 0.05  # share of the time that reading may take, however large the ledger
_Word = TypeVar("_Word", bound=StrEnum)
_OF_REPORT = (By.MODEL, By.BACKEND, By.KEY)  # of this month the report has them

# What stands for the requests that have no such thing.
NOBODY = {
    By.MODEL: "none",
    By.BACKEND: "no backend",
    By.KEY: "no key",
    By.AGENT: "unknown agent",
    By.SESSION: "no session",
}


class Span(StrEnum):
    """A period that can be chosen; months and days are UTC's."""

    THIS_MONTH = "this month"
    LAST_MONTH = "last month"
    TODAY = "today"
    YESTERDAY = "yesterday"

    def period(self, now: float) -> Period:
        """The month or day that it is now, in seconds since the epoch."""
        match self:
            case Span.THIS_MONTH:
                return Month.of(now)
            case Span.LAST_MONTH:
                return Month.of(now).before
            case Span.TODAY:
                return Day.of(now)
            case Span.YESTERDAY:
                return Day.of(now).before

    @property
    def is_over(self) -> bool:
        """Nothing is added to its costs any more."""
        return self in (Span.LAST_MONTH, Span.YESTERDAY)


class CostChoice:
    """What of the costs is shown; lines that the report does not have are read when chosen."""

    def __init__(self) -> None:
        self.by = By.MODEL
        self.span = Span.THIS_MONTH
        self.problem: str | None = None  # for people: why the lines are not known
        self.changed = asyncio.Event()  # set by a choice
        self._found: CostLines | None = None

    @property
    def is_in_report(self) -> bool:
        """The polled report has it."""
        return self.span is Span.THIS_MONTH and self.by in _OF_REPORT

    @property
    def is_by_time(self) -> bool:
        return self.by in (By.DAY, By.HOUR)

    def turn_by(self, steps: int) -> None:
        """Group by the next of model, backend, key, agent, session, API, day and hour."""
        self.choose(by=_turned(list(By), self.by, steps))

    def turn_span(self, steps: int = 1) -> None:
        """The next of this month, last month, today and yesterday."""
        self.choose(span=_turned(list(Span), self.span, steps))

    def choose(self, *, by: By | None = None, span: Span | None = None) -> None:
        """Show this from now on."""
        self.by, self.span = by or self.by, span or self.span
        self._found = self.problem = None
        self.changed.set()

    def rows(self, report: CostReport) -> Sequence[CostRow] | None:
        """The rows to show, days and hours with the newest first; None while they are not known."""
        if self.is_in_report:
            return report.rows(cast("Grouping", self.by.value))
        if self._found is None:
            return None
        rows = [_row(line) for line in self._found.lines]
        return rows[::-1] if self.is_by_time else rows

    async def read(self, source: EventSource) -> None:
        """Read the lines that are chosen; never fails, `problem` says what is wrong."""
        by, span = self.by, self.span
        try:
            found = await source.cost_lines(by, span.period(source.now()))
            problem = NO_LEDGER if found is None else None
        except NexusError as error:
            found, problem = None, error.message
        if (by, span) == (self.by, self.span):  # nothing else was chosen meanwhile
            self._found, self.problem = found or self._found, problem


async def keep_cost_lines(
    source: EventSource, choice: CostChoice, refreshed: Callable[[], None]
) -> None:
    """Read the lines that are chosen, and again while requests end, until cancelled."""
    finished = -1
    while True:
        is_settled = choice.is_in_report or (choice.span.is_over and choice.problem is None)
        if is_settled and not choice.changed.is_set():
            await choice.changed.wait()
        is_new = choice.changed.is_set()
        choice.changed.clear()
        pause = PERIOD_SECONDS
        if not choice.is_in_report and (is_new or source.stats.finished != finished):
            began, finished = time.monotonic(), source.stats.finished
            await choice.read(source)
            refreshed()
            pause = max(pause, (time.monotonic() - began) / _DUTY)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await choice.changed.wait()


def _turned(values: list[_Word], value: _Word, steps: int) -> _Word:
    return values[(values.index(value) + steps) % len(values)]


def _row(line: CostLine) -> CostRow:
    """As the report has rows: what costs nothing has no amount, and an unknown price none too."""
    return CostRow(
        name=line.name,
        requests=line.requests,
        prompt_tokens=line.prompt_tokens,
        completion_tokens=line.completion_tokens,
        estimated=_usd(line.estimated_nano_usd),
        actual=_usd(line.cost_nano_usd),
        unpriced=line.unpriced,
        saved=_usd(line.saved_nano_usd),
    )


def _usd(nano_usd: int) -> Decimal | None:
    return Decimal(nano_usd) / NANO if nano_usd else None
