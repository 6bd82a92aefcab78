"""Costs: today against the limit, the burn of the day, and rows by model, backend or key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import get_args

from nexus_tui.figures import NOTHING, clock, count, short_count
from nexus_tui.source import CostRow, CostsView, EventSource, Grouping
from nexus_tui.untrusted import visible
from nexus_tui.widgets.bars import gauge, spark
from nexus_tui.widgets.columns import Column, heading, layout
from nexus_tui.widgets.lines import Cell, Line, joined, rule
from nexus_tui.widgets.rowlist import RowList

GROUPINGS: tuple[Grouping, ...] = get_args(Grouping)
_GAUGE = 20
_UNPRICED = "unpriced"
_AT_LIMIT = {
    "warn": "a warning, nothing is cut",
    "block_cloud": "cloud is cut, local goes on",
    "block_all": "every request is refused",
}
_COLUMNS = (
    Column("name", "name", 18, 0, grows=34),
    Column("where", "backend", 12, 5, grows=20),
    Column("requests", "requests", 8, 3, right=True),
    Column("prompt", "in", 7, 6, right=True),
    Column("completion", "out", 7, 7, right=True),
    Column("estimated", "est", 10, 2, right=True),
    Column("actual", "actual", 10, 1, right=True),
    Column("from", "price from", 22, 4, grows=36),
)
_SORTS: dict[str, Callable[[CostRow], Decimal | int | str]] = {
    "actual": lambda row: row.actual or Decimal(0),
    "requests": lambda row: row.requests,
    "tokens": lambda row: row.prompt_tokens + row.completion_tokens,
    "name": lambda row: row.name,
}


class CostTable(RowList):
    """Says in one line that no costs are kept while there is no ledger."""

    head_lines = 6

    def __init__(self, source: EventSource) -> None:
        super().__init__(id="cost-table")
        self._source = source
        self._by: Grouping = GROUPINGS[0]
        self._sort = "actual"
        self._rows: list[CostRow] = []

    def turn(self, steps: int) -> None:
        """Group by the next of model, backend and key."""
        self._by = GROUPINGS[(GROUPINGS.index(self._by) + steps) % len(GROUPINGS)]
        self.edge(-1)

    def sort_by_next(self) -> str:
        """Sort by the next column; gives its name."""
        names = list(_SORTS)
        self._sort = names[(names.index(self._sort) + 1) % len(names)]
        self.redraw()
        return self._sort

    def lines(self, width: int, height: int) -> Sequence[Line]:
        costs = self._source.costs
        if costs is None:
            self._rows = []
            text = " No costs are kept: this Nexus has no ledger."
            return [rule(width, "Costs"), (), ((text, "dim"),)]
        is_number = self._sort != "name"
        self._rows = sorted(costs.rows(self._by), key=_SORTS[self._sort], reverse=is_number)
        return super().lines(width, height)

    def row_count(self) -> int:
        return len(self._rows)

    def head(self, width: int) -> Sequence[Line]:
        costs = self._source.costs
        if costs is None:
            return ()
        columns = layout(_COLUMNS, width)
        tabs: list[Cell] = [(" ", "text")]
        for by in GROUPINGS:
            tabs += [(f" by {by} ", "tab" if by == self._by else "dim"), (" ", "text")]
        return [
            rule(width, "Costs", "this month, US dollars", f"sorted by {self._sort}"),
            _today(costs, width),
            _burn(costs, self._source.config.budget.hard_limit_action, width),
            (),
            tuple(tabs),
            ((heading(columns), "head"),),
        ]

    def empty(self, width: int) -> Sequence[Line]:
        return [((" Nothing has cost anything yet.", "dim"),)]

    def row(self, index: int, width: int) -> Line:
        row = self._rows[index]
        cells: list[Cell] = [(" ", "text")]
        for column, column_width in layout(_COLUMNS, width):
            text, style = _cell(row, column.id)
            cells.append((column.cell(text, column_width), style))
        return tuple(cells)


def _today(costs: CostsView, width: int) -> Line:
    today: list[Cell] = [("today ", "dim"), (f"${costs.today:.4f}", "bright")]
    if costs.daily_limit:
        filled, empty = gauge(float(costs.today), float(costs.daily_limit), _GAUGE)
        share = 100 * costs.today / costs.daily_limit
        style = "bad" if share >= 100 else "warn" if share >= 75 else "bar"
        today += [
            (f" of ${costs.daily_limit:.2f} ", "dim"),
            (filled, style),
            (empty, "faint"),
            (f" {share:.0f} %", "text"),
        ]
    ends = "not spent at this pace" if costs.spent_at is None else f"spent {clock(costs.spent_at)}"
    has_limit = costs.daily_limit is not None or costs.monthly_limit is not None
    pace: Line = (
        ("pace ", "dim"),
        (f"${costs.pace_per_hour:.2f}/h", "text"),
        (f" → {ends}" if has_limit else "", "dim"),
    )
    month: list[Cell] = [("month ", "dim"), (f"${costs.month:.2f}", "text")]
    if costs.monthly_limit is not None:
        month.append((f" of ${costs.monthly_limit:.0f}", "dim"))
    if costs.month_forecast is not None:
        month.append((f" → ${costs.month_forecast:.0f}", "text"))
    return joined([tuple(today), tuple(month), pace], width)


def _burn(costs: CostsView, action: str, width: int) -> Line:
    (bars,) = spark([int(value * 1_000_000) for value in costs.burn], 24)
    items: list[Line] = [
        (("burn  ", "dim"), (bars, "bar"), (" by the hour", "dim")),
    ]
    if costs.saved is not None:
        items.append((("saved ≈ ", "dim"), (f"${costs.saved:.2f}", "good"), (" by local", "dim")))
    if costs.daily_limit is not None or costs.monthly_limit is not None:
        items.append(((f"at the limit: {_AT_LIMIT[action]}", "dim"),))
    return joined(items, width)


def _cell(row: CostRow, column: str) -> Cell:
    match column:
        case "name":
            return visible(row.name), "text"
        case "where":
            return visible(row.where) or NOTHING, "dim"
        case "requests":
            return count(row.requests), "text"
        case "prompt":
            return short_count(row.prompt_tokens), "text"
        case "completion":
            return short_count(row.completion_tokens), "text"
        case "estimated":
            return _money(row, row.estimated)
        case "actual":
            return _money(row, row.actual)
        case _:
            return _price_from(row)


def _money(row: CostRow, dollars: Decimal | None) -> Cell:
    """An unknown price never reads as free."""
    if dollars is not None:
        return f"${dollars:.4f}", "text"
    return (NOTHING, "dim") if row.saved is not None else (_UNPRICED, "warn")


def _price_from(row: CostRow) -> Cell:
    if row.saved is not None:
        return f"local, saved ≈ ${row.saved:.2f}", "good"
    if row.price_from is not None:
        return visible(row.price_from), "dim"
    return f"{NOTHING} add it to [pricing]", "warn"
