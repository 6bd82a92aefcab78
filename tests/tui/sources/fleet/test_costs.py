"""Costs of several replicas with a ledger each, or with one for all of them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from msgspec.structs import replace as changed

from nexus_core.money.cost_lines import CostLines, Scope
from nexus_core.money.ledger_queries import By, CostLine
from nexus_core.money.months import Month
from nexus_core.money.report import Outbox
from nexus_tui.sources.fleet.costs import sum_lines, sum_reports
from tests.tui.staged import COSTS

OTHER = replace(COSTS, month=Decimal(2), today=Decimal("0.5"), problem="the disk is full")
LINE = CostLine(
    name="gpt-4o",
    requests=2,
    failed=1,
    prompt_tokens=10,
    completion_tokens=4,
    cost_nano_usd=500,
    estimated_nano_usd=0,
    unpriced=0,
    saved_nano_usd=0,
)


def lines(*found: CostLine, scope: Scope = Scope.NODE) -> CostLines:
    return CostLines(By.MODEL, Month(2026, 1), found, scope)


def test_what_was_spent_is_the_sum_and_a_group_is_one_row() -> None:
    whole = sum_reports([("box-1", COSTS), ("box-2", OTHER)])

    assert whole.today == COSTS.today + Decimal("0.5")
    assert whole.pace_per_hour == 2 * COSTS.pace_per_hour
    assert len(whole.by_model) == len(COSTS.by_model)
    assert whole.by_model[0].requests == 2 * COSTS.by_model[0].requests
    assert whole.burn == tuple(2 * hour for hour in COSTS.burn)
    assert whole.problem == "box-2: the disk is full"


def test_a_month_that_one_knows_of_the_whole_fleet_is_not_counted_twice() -> None:
    whole = sum_reports([("box-1", COSTS), ("box-2", COSTS)])

    assert whole.month == COSTS.month
    assert whole.monthly_limit == COSTS.monthly_limit


def test_the_limit_is_reached_at_the_pace_of_all() -> None:
    nearly = replace(COSTS, monthly_limit=COSTS.month + Decimal("0.58"))

    whole = sum_reports([("box-1", nearly), ("box-2", nearly)])

    assert whole.spent_at is not None
    assert round(whole.spent_at - nearly.at) == 3600


def test_where_postgresql_has_all_of_them_nothing_is_added() -> None:
    outbox = Outbox(rows=0, oldest=None, is_fleet=True, problem=None)
    of_fleet = replace(COSTS, outbox=outbox)

    assert sum_reports([("box-1", OTHER), ("box-2", of_fleet)]) is of_fleet
    told = lines(LINE, scope=Scope.FLEET)
    assert sum_lines([told, told]) is told


def test_lines_of_a_group_are_one_and_the_dearest_stands_first() -> None:
    dear = changed(LINE, name="claude", cost_nano_usd=900)

    whole = sum_lines([lines(LINE), lines(LINE, dear)])

    assert [line.name for line in whole.lines] == ["gpt-4o", "claude"]
    assert (whole.lines[0].cost_nano_usd, whole.lines[0].requests) == (1000, 4)
    assert whole.total.cost_nano_usd == 1900
