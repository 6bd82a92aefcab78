"""Cost table: budget, spending of today, and rows by model, backend or key."""

from __future__ import annotations

import time
from collections.abc import Sequence
from decimal import Decimal
from typing import get_args

from nexus_core.money.report import CostReport, CostRow, Grouping
from nexus_core.types import NANO
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import NOTHING, clock, count, dollars, short_count, wrap
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

GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
_GAUGE = 20
_UNPRICED = "unpriced"
_NOT_YET = "Loading: the ledger is being read …"
_NOBODY: dict[Grouping, str] = {"model": "none", "backend": "no backend", "key": "no key"}
_AT_LIMIT = {
    "warn": "warning only",
    "block_cloud": "cloud blocked, local continues",
    "block_all": "all requests refused",
}
_COLUMNS = (
    Column("name", "name", 18, 0, grows=34),
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

    def __init__(self, frames: Frames) -> None:
        super().__init__(id="cost-table")
        self._frames = frames
        self._by: Grouping = GROUPINGS[0]
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
        row = self._rows[self.cursor]
        terms = [term(self._by, row.name)]
        if row.where is not None and self._by != "backend":
            terms.append(term("backend", row.where))
        return " ".join(terms)

    def turn(self, steps: int) -> None:
        """Group by the next of model, backend and key."""
        self._by = GROUPINGS[(GROUPINGS.index(self._by) + steps) % len(GROUPINGS)]
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
        self._all = self._sorting.top_first(costs.rows(self._by))
        self._rows = self.typed.of(self._all)
        self.locate()
        return super().lines(width, height)

    def row_count(self) -> int:
        return len(self._rows)

    def head(self, width: int) -> Sequence[Line]:
        costs = self._frames.current.costs
        if costs is None:
            return ()
        tabs: list[Cell] = [(" ", "text")]
        for by in GROUPINGS:
            tabs += [(f" by {by} ", "tab" if by == self._by else "dim"), (" ", "text")]
        return [
            self._title(width),
            _spent(costs, width),
            _today(costs, width),
            self._trouble(costs, width),
            (),
            tuple(tabs),
            self.titles(width),
        ]

    def _title(self, width: int) -> Line:
        return rule(
            width,
            "Costs",
            "this month in US dollars, UTC",
            f"sorted by {self._sorting.words}",
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
        if costs.monthly_limit is None:
            return joined([*_saved(costs), (("no monthly limit", "dim"),)], width)
        action = _AT_LIMIT[frame.config.budget.hard_limit_action]
        return joined([*_saved(costs), ((f"at the limit: {action}", "dim"),)], width)

    def empty(self, width: int) -> Sequence[Line]:
        if self._all:
            return nothing_matches(self.typed.current)
        return [((" No recorded requests this month.", "dim"),)]

    def row(self, index: int, width: int) -> Line:
        row = self._rows[index]
        cells: list[Cell] = [(" ", "text")]
        for column, column_width in self.columns(width):
            text, style = _cell(row, column.id, self._by)
            cells.append((column.cell(text, column_width), style))
        return tuple(cells)


def _identity(row: CostRow) -> tuple[str | None, str | None]:
    return row.name, row.where


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


def _cell(row: CostRow, column: str, by: Grouping) -> Cell:
    match column:
        case "name":
            return escaped(row.name or _NOBODY[by]), "text" if row.name else "dim"
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
        return f"local, saved ≈ {dollars(row.saved, 2)}", "good"
    return (NOTHING if row.price_from is None else escaped(row.price_from)), "dim"
