"""Costs of several replicas, each of which tells of its own ledger, together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import zip_longest

from nexus_core.money.cost_lines import CostLines, Scope
from nexus_core.money.ledger_queries import CostLine
from nexus_core.money.months import Month
from nexus_core.money.report import CostReport, CostRow
from nexus_tui.sources.fleet.replica import named

_MAX_ROWS = 200
_HOUR = 3600
_COUNTS = (
    "requests",
    "failed",
    "prompt_tokens",
    "completion_tokens",
    "cost_nano_usd",
    "estimated_nano_usd",
    "unpriced",
    "saved_nano_usd",
)


def sum_reports(told: Sequence[tuple[str, CostReport]]) -> CostReport:
    """The reports of replicas by their names, one at least: each is of its ledger, or of all.

    What is spent of the month is what their rows come to, or what one of them knows of the whole
    fleet where that is more: replicas that are gone have spent, too.
    """
    reports = [report for _, report in told]
    whole = next((one for one in reports if one.outbox is not None and one.outbox.is_fleet), None)
    if whole is not None or len(reports) == 1:
        return whole or reports[0]  # PostgreSQL has them all
    newest = max(reports, key=lambda one: one.at)
    recorded = _sum(
        [(row.actual or Decimal(0)) + (row.estimated or Decimal(0)) for row in report.by_model]
        for report in reports
    )
    month = max(recorded, *(one.month for one in reports))
    pace = sum((one.pace_per_hour for one in reports), Decimal(0))
    problems = [f"{name}: {one.problem}" for name, one in told if one.problem is not None]
    return replace(
        newest,
        today=_total(reports, lambda one: one.today),
        today_estimated=_total(reports, lambda one: one.today_estimated),
        today_unpriced=sum(one.today_unpriced for one in reports),
        saved=_known([one.saved for one in reports]),
        month=month,
        month_estimated=_total(reports, lambda one: one.month_estimated),
        reserved=_total(reports, lambda one: one.reserved),
        month_forecast=month + _total(reports, lambda one: one.month_forecast - one.month),
        pace_per_hour=pace,
        spent_at=_reached_at(newest, month, pace),
        burn=_by_place([one.burn for one in reports]),
        per_minute=_by_place([one.per_minute for one in reports]),
        minute_estimated=_total(reports, lambda one: one.minute_estimated),
        by_model=_rows(row for one in reports for row in one.by_model),
        by_backend=_rows(row for one in reports for row in one.by_backend),
        by_key=_rows(row for one in reports for row in one.by_key),
        problem="; ".join(problems) or None,
        outbox=None,
    )


def sum_lines(told: Sequence[CostLines]) -> CostLines:
    """Lines of the same period and grouping, one at least. A group is one line, the dearest first.

    Periods that are groups (days, hours) stay in their order.
    """
    first = told[0]
    whole = next((one for one in told if one.scope is Scope.FLEET), None)
    if whole is not None or len(told) == 1:
        return whole or first
    found: dict[str | None, CostLine] = {}
    for line in (line for one in told for line in one.lines):
        known = found.get(line.name)
        found[line.name] = line if known is None else _added(known, line)
    lines = [*found.values()]
    if first.by.value in ("day", "hour"):
        lines.sort(key=lambda line: line.name or "")
    else:
        lines.sort(key=lambda line: -(line.cost_nano_usd + line.estimated_nano_usd))
    return CostLines(first.by, first.period, tuple(lines))


def only_of(names: Sequence[str]) -> str:
    """What is wrong with costs that some replicas did not tell."""
    return f"without {named(names)}"


def _added(one: CostLine, other: CostLine) -> CostLine:
    sums = {name: getattr(one, name) + getattr(other, name) for name in _COUNTS}
    return CostLine(name=one.name, **sums)


def _total(reports: Iterable[CostReport], of: Callable[[CostReport], Decimal]) -> Decimal:
    return sum(map(of, reports), Decimal(0))


def _sum(parts: Iterable[Sequence[Decimal]]) -> Decimal:
    return sum((one for part in parts for one in part), Decimal(0))


def _known(values: Iterable[Decimal | None]) -> Decimal | None:
    known = [one for one in values if one is not None]
    return sum(known, Decimal(0)) if known else None


def _by_place(rows: Sequence[Sequence[Decimal]]) -> tuple[Decimal, ...]:
    return tuple([sum(each, Decimal(0)) for each in zip_longest(*rows, fillvalue=Decimal(0))])


def _reached_at(report: CostReport, month: Decimal, pace: Decimal) -> float | None:
    """When the limit is reached at that pace; None: not this month, or there is none."""
    if report.monthly_limit is None:
        return None
    left = max(Decimal(0), report.monthly_limit - month)
    if left and not pace:
        return None
    when = report.at + (float(left / pace) * _HOUR if left else 0.0)
    return when if when < Month.of(report.at).end else None


def _rows(rows: Iterable[CostRow]) -> tuple[CostRow, ...]:
    found: dict[tuple[str | None, str | None], CostRow] = {}
    for row in rows:
        known = found.get((row.name, row.where))
        found[row.name, row.where] = row if known is None else _row(known, row)
    dearest = sorted(found.values(), key=lambda row: -((row.actual or 0) + (row.estimated or 0)))
    return tuple(dearest[:_MAX_ROWS])


def _row(one: CostRow, other: CostRow) -> CostRow:
    return replace(
        one,
        requests=one.requests + other.requests,
        prompt_tokens=one.prompt_tokens + other.prompt_tokens,
        completion_tokens=one.completion_tokens + other.completion_tokens,
        estimated=_known([one.estimated, other.estimated]),
        actual=_known([one.actual, other.actual]),
        unpriced=one.unpriced + other.unpriced,
        price_from=one.price_from or other.price_from,
        saved=_known([one.saved, other.saved]),
    )
