"""Cost table: budget, spending of today, and rows by model, backend, key, agent, …, hour."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar

from textual import events
from textual.message import Message

from nexus_core.money.ledger_queries import By
from nexus_core.money.months import Day
from nexus_core.money.report import CostReport, CostRow
from nexus_core.types import NANO
from nexus_tui.text.costs import sum_sign
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import NOTHING, clock, count, dollars, short_count, wrap
from nexus_tui.view.costs.choice import NOBODY, CostChoice, Span
from nexus_tui.view.filter.costs import COSTS
from nexus_tui.view.filter.filtered import OwnFilter
from nexus_tui.view.filter.grammar import term
from nexus_tui.view.frame import Frames
from nexus_tui.view.order import Sorting, Way
from nexus_tui.widgets.base.bars import gauge, spark
from nexus_tui.widgets.base.columns import Column, Layout, layout
from nexus_tui.widgets.base.filter_lines import filter_parts, filter_problem, nothing_matches
from nexus_tui.widgets.base.lines import Cell, Line, joined, rule
from nexus_tui.widgets.base.sortable import SortableList

_GAUGE = 20
_HOUR_SECONDS = 3_600
_UNPRICED = "unpriced"
_NOT_YET = "Loading: the ledger is being read …"
_SPAN_LINE, _BY_LINE = 4, 5  # of the head
_NEWEST_FIRST = "newest first"  # the usual order of days and hours
_AT_LIMIT = {
    "warn": "warning only",
    "block_cloud": "cloud blocked, local continues",
    "block_all": "all requests refused",
}
_COLUMNS = (
    Column("name", "name", 18, 0, grows=36),
    Column("backend", "backend", 12, 5, grows=20),
    Column("requests", "requests", 8, 3, right=True),
    Column("in", "in", 7, 6, right=True),
    Column("out", "out", 7, 7, right=True),
    Column("est", "est", 10, 2, right=True),
    Column("actual", "actual", 10, 1, right=True),
    Column("from", "price from", 22, 4, grows=36),
)
_BY_COST = "cost"  # of what it cost and what it is estimated to have cost together
_WAYS: dict[str, Way[CostRow]] = {
    _BY_COST: Way("c", lambda row: (row.actual or Decimal(0)) + (row.estimated or Decimal(0))),
    "name": Way("n", lambda row: row.name, is_text=True),
    "backend": Way("b", lambda row: row.where, is_text=True),
    "requests": Way("r", lambda row: row.requests),
    "tokens": Way("t", lambda row: row.prompt_tokens + row.completion_tokens),
    "in": Way("i", lambda row: row.prompt_tokens),
    "out": Way("o", lambda row: row.completion_tokens),
    "est": Way("e", lambda row: row.estimated),
    "actual": Way("a", lambda row: row.actual),
}


class CostTable(SortableList):
    """Cost table; without data, the reason."""

    head_lines = 7

    class Turned(Message):
        """A period or grouping was chosen by a click."""

    def __init__(self, frames: Frames) -> None:
        super().__init__(id="cost-table")
        self._frames = frames
        self.choice = CostChoice()
        self._sorting = Sorting(_WAYS, usual=_BY_COST)
        self._rows: Sequence[CostRow] = []
        self._all: Sequence[CostRow] = []  # whatever the filter
        self._at: tuple[str | None, str | None] | None = None  # the row under the cursor
        self.typed = OwnFilter(
            "costs", "words  cost:>1  requests:>100  unpriced", COSTS, {"name": self._names}
        )

    def _names(self) -> list[str]:
        return [row.name or "" for row in self._all]

    @property
    def selected_term(self) -> str | None:
        """The filter for the requests of the line under the cursor; None without lines."""
        if self.cursor >= len(self._rows):
            return None
        row, choice = self._rows[self.cursor], self.choice
        if choice.is_by_time:
            return _of_time(*_hours(row.name or ""))
        terms = [term(choice.by, row.name)]
        if row.where is not None and choice.by is not By.BACKEND:
            terms.append(term("backend", row.where))
        if choice.span is not Span.THIS_MONTH:
            period = choice.span.period(self._frames.current.now)
            terms.append(_of_time(period.start, period.end))
        return " ".join(terms)

    @property
    def shown(self) -> Sequence[CostRow]:
        """The rows as they are listed."""
        return self._rows

    def turn(self, steps: int) -> None:
        """Group by the next of model, backend, key, agent, session, API, day and hour."""
        self.choice.turn_by(steps)
        self.edge(-1)

    def turn_span(self) -> None:
        """Show the next of this month, last month, today and yesterday."""
        self.choice.turn_span()
        self.edge(-1)

    @property
    def sorting(self) -> Sorting[CostRow]:
        return self._sorting

    def columns(self, width: int) -> Layout:
        return layout(_COLUMNS, width)

    def cursor_moved(self) -> None:
        rows = self._rows
        self._at = _identity(rows[self.cursor]) if self.cursor < len(rows) else None

    def locate(self) -> None:
        """At the top the cursor stays there; elsewhere it stays on its row."""
        rows = [_identity(row) for row in self._rows]
        if self.cursor and self._at in rows:
            self.cursor = rows.index(self._at)

    def lines(self, width: int, height: int) -> Sequence[Line]:
        costs = self._frames.current.costs
        if costs is None:
            self._rows = self._all = []
            problem = self._frames.current.costs_problem
            text = _NOT_YET if problem is None else f"No costs: {escaped(problem)}."
            return [rule(width, "Costs"), (), *(((f" {x}", "dim"),) for x in wrap(text, width - 2))]
        rows = self.choice.rows(costs) or ()
        is_as_it_comes = self.choice.is_by_time and self._sorting.is_usual
        self._all = rows if is_as_it_comes else self._sorting.top_first(rows)
        self._rows = self.typed.of(self._all)
        self.locate()
        return super().lines(width, height)

    def row_count(self) -> int:
        return len(self._rows)

    def head(self, width: int) -> Sequence[Line]:
        costs = self._frames.current.costs
        if costs is None:
            return ()
        return [
            self._title(width),
            _spent(costs, width),
            _today(costs, width),
            self._trouble(costs, width),
            _tabs(_SPANS, self.choice.span),
            self._groupings(width),
            self.titles(width),
        ]

    def _groupings(self, width: int) -> Line:
        """What can be grouped by, and the sum of the rows that are listed, as far as it fits."""
        tabs = _tabs(_BYS, self.choice.by, _BY)
        room = width - sum(len(text) for text, _ in tabs)
        requests, spent = self._sum()
        whole = f"  {requests}, {spent}"
        shown = next((text for text in (whole, f"  {spent}") if len(text) < room), "")
        return (*tabs, (shown if self._rows else "", "dim"))

    def _sum(self) -> tuple[str, str]:
        """How many requests, and what they cost."""
        rows = self._rows
        spent = sum((_known(row.actual) + _known(row.estimated) for row in rows), Decimal(0))
        sign = sum_sign(
            is_estimated=any(row.estimated for row in rows),
            is_unpriced=any(row.unpriced for row in rows),
        )
        return f"{count(sum(row.requests for row in rows))} requests", f"{sign}{dollars(spent)}"

    def on_click(self, event: events.Click) -> None:
        """Choose a period or a grouping by its title. Textual calls the handlers of lists too."""
        if event.y == _SPAN_LINE and (span := _tab_at(_SPANS, event.x)) is not None:
            self.choice.choose(span=span)
        elif event.y == _BY_LINE and (by := _tab_at(_BYS, event.x - len(_BY))) is not None:
            self.choice.choose(by=by)
        else:
            return
        self.edge(-1)
        self.post_message(self.Turned())

    def _title(self, width: int) -> Line:
        period = self.choice.span.period(self._frames.current.now)
        is_as_it_comes = self.choice.is_by_time and self._sorting.is_usual
        return rule(
            width,
            "Costs",
            f"{self.choice.span.value} ({period}) in US dollars, UTC",
            _NEWEST_FIRST if is_as_it_comes else f"sorted by {self._sorting.words}",
            *filter_parts(self.typed.current, len(self._rows), len(self._all)),
            warning=filter_problem(self.typed.current),
        )

    def _trouble(self, costs: CostReport, width: int) -> Line:
        """What is wrong with these numbers; where nothing is, what was saved, what a limit does."""
        frame = self._frames.current
        if frame.costs_problem is not None:
            text = f"as of {clock(costs.at)}: {escaped(frame.costs_problem)}"
            return joined([((text, "warn"),)], width)
        if costs.problem is not None:
            text = f"requests are not recorded: the ledger {escaped(costs.problem)}"
            return joined([((text, "bad"),)], width)
        if costs.outbox is not None and not costs.outbox.is_fleet:
            text = f"of this Nexus only: {escaped(costs.outbox.problem or '')}"
            return joined([((text, "warn"),)], width)
        if costs.monthly_limit is None:
            return joined([*_saved(costs), (("no monthly limit", "dim"),)], width)
        action = _AT_LIMIT[frame.config.budget.hard_limit_action]
        return joined([*_saved(costs), ((f"at the limit: {action}", "dim"),)], width)

    def empty(self, width: int) -> Sequence[Line]:
        if self._all:
            return nothing_matches(self.typed.current)
        choice = self.choice
        if choice.problem is not None:
            return [((f" No costs: {escaped(choice.problem)}.", "warn"),)]
        report = self._frames.current.costs
        if report is not None and choice.rows(report) is None:
            return [((" Reading the ledger …", "dim"),)]
        return [((f" No recorded requests {choice.span.value}.", "dim"),)]

    def row(self, index: int, width: int) -> Line:
        row = self._rows[index]
        cells: list[Cell] = [(" ", "text")]
        for column, column_width in self.columns(width):
            text, style = _cell(row, column.id, self.choice.by)
            cells.append((column.cell(text, column_width), style))
        return tuple(cells)


def _identity(row: CostRow) -> tuple[str | None, str | None]:
    return row.name, row.where


_Choice = TypeVar("_Choice", Span, By)
_SPANS = {span: f" {span.value} " for span in Span}
_BYS = {by: f" {by.value} " for by in By}
_BY = "by"  # before the groupings


def _tabs(titles: Mapping[_Choice, str], chosen: _Choice, lead: str = "") -> Line:
    cells: list[Cell] = [(f" {lead}", "dim")]
    cells += [(title, "tab" if one == chosen else "dim") for one, title in titles.items()]
    return tuple(cells)


def _tab_at(titles: Mapping[_Choice, str], x: int) -> _Choice | None:
    """Whose title is in that column."""
    begin = 1
    for one, title in titles.items():
        if begin <= x < begin + len(title):
            return one
        begin += len(title)
    return None


def _known(usd: Decimal | None) -> Decimal:
    return Decimal(0) if usd is None else usd


def _hours(name: str) -> tuple[float, float]:
    """Beginning and end of a day, or of an hour such as `2026-11-30 14:00`; UTC's."""
    date, _, hour = name.partition(" ")
    day = Day.parse(date)
    if not hour:
        return day.start, day.end
    start = day.start + int(hour.partition(":")[0]) * _HOUR_SECONDS
    return start, start + _HOUR_SECONDS


def _of_time(start: float, end: float) -> str:
    """The filter for requests of that time."""
    first, last = (datetime.fromtimestamp(at, UTC).isoformat() for at in (start, end))
    return f"since:{first} until:{last}"


def _spent(costs: CostReport, width: int) -> Line:
    """The month against its limit, and how it goes on."""
    limit = costs.monthly_limit
    sign = "≈" if costs.month_estimated else ""
    month: list[Cell] = [("month ", "dim"), (f"{sign}{dollars(costs.month, 2)}", "bright")]
    if limit is not None:
        filled, empty = gauge(float(costs.month), float(limit), _GAUGE)
        share = 100 * costs.month / limit if limit else Decimal(100)
        style = "bad" if share >= 100 else "warn" if share >= 75 else "bar"
        month += [
            (f" of ${limit:,.2f} ", "dim"),
            (filled, style),
            (empty, "faint"),
            (f" {share:.0f} %", "text"),
        ]
    if costs.reserved:
        month.append((f" + {dollars(costs.reserved)} in flight", "dim"))
    pace: Line = (
        ("pace ", "dim"),
        (f"{dollars(costs.pace_per_hour, 2)}/h", "text"),
        (f" → {dollars(costs.month_forecast, 2)} by month's end", "dim"),
    )
    items: list[Line] = [tuple(month), pace]
    if limit is not None:
        items.append((_limit_reached(costs, limit),))
    return joined(items, width)


def _limit_reached(costs: CostReport, limit: Decimal) -> Cell:
    if costs.month >= limit:
        return "limit reached", "bad"
    if costs.spent_at is None:
        return "within the limit", "dim"
    return f"limit reached {_moment(costs.spent_at, costs.at)}", "warn"


def _moment(at: float, now: float) -> str:
    """The local time, with its day where that is not today's."""
    then, today = time.localtime(at), time.localtime(now)
    is_today = then[:3] == today[:3]
    return time.strftime("%H:%M" if is_today else "%m-%d %H:%M", then)


def _today(costs: CostReport, width: int) -> Line:
    (bars,) = spark([int(value * NANO) for value in costs.burn], 24)
    items: list[Line] = [
        (("today ", "dim"), (dollars(costs.today), "bright")),
        ((bars, "bar"), (" by the hour", "dim")),
    ]
    if costs.today_unpriced:
        items.append(((f"+ {count(costs.today_unpriced)} {_UNPRICED}", "warn"),))
    if costs.today_estimated:
        items.append(((f"≈ {dollars(costs.today_estimated)} of it estimated", "dim"),))
    return joined(items, width)


def _saved(costs: CostReport) -> list[Line]:
    if costs.saved is None:
        return []
    return [(("saved ≈ ", "dim"), (dollars(costs.saved, 2), "good"), (" by local today", "dim"))]


def _cell(row: CostRow, column: str, by: By) -> Cell:
    match column:
        case "name":
            return escaped(row.name or NOBODY.get(by, "none")), "text" if row.name else "dim"
        case "backend":
            return escaped(row.where or NOTHING), "dim"
        case "requests":
            return count(row.requests), "text"
        case "in":
            return short_count(row.prompt_tokens), "text"
        case "out":
            return short_count(row.completion_tokens), "text"
        case "est":
            return _money(row, row.estimated, "≈")
        case "actual":
            return _money(row, row.actual)
        case _:
            return _price_from(row)


def _money(row: CostRow, usd: Decimal | None, sign: str = "") -> Cell:
    """An unknown price never reads as free."""
    if usd is not None:
        return f"{sign}{dollars(usd)}", "text"
    return (_UNPRICED, "warn") if _is_unpriced(row) else (NOTHING, "dim")


def _is_unpriced(row: CostRow) -> bool:
    """It cost something, and of none of it is known how much."""
    return bool(row.unpriced) and row.actual is row.estimated is None


def _price_from(row: CostRow) -> Cell:
    if _is_unpriced(row):
        return "add it to [pricing]", "warn"
    if row.unpriced:
        return f"+ {count(row.unpriced)} {_UNPRICED}", "warn"
    if row.saved is not None:
        where = "local, " if row.actual is row.estimated is None else ""
        return f"{where}saved ≈ {dollars(row.saved, 2)}", "good"
    return (NOTHING if row.price_from is None else escaped(row.price_from)), "dim"
