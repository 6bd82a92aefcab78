"""Cost lines of an attached Nexus: the call, and what is said of other answers."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_core.money.cost_lines import CostLines, lines_as_json
from nexus_core.money.ledger_queries import By
from nexus_core.money.months import Day, Month
from nexus_core.observe.event_json import UnreadableError
from nexus_tui.sources.remote_costs import lines_call, told_lines


def test_a_month_and_a_day_are_asked_for_by_name() -> None:
    month, day = Month(2026, 11), Day.parse("2026-11-30")

    assert lines_call(By.DAY, month).path == "/nexus/costs?by=day&month=2026-11"
    assert lines_call(By.HOUR, day).path == "/nexus/costs?by=hour&day=2026-11-30"


def test_the_lines_are_read() -> None:
    costs = CostLines(By.DAY, Month(2026, 11), ())

    assert told_lines(lines_as_json(costs), By.DAY) == costs


def test_without_a_ledger_there_are_none() -> None:
    assert told_lines({"costs": None}, By.DAY) is None


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ({"costs": None, "is_reading": True}, "still being read"),
        ({"costs": {}}, "its version has no costs by day"),
        ({"by": "day", "month": "2026-11", "lines": [{}]}, "cost lines are missing"),
        ({"by": "day", "month": "soon", "lines": []}, "cost lines are missing"),
    ],
)
def test_another_answer_is_told(told: dict[str, Any], says: str) -> None:
    with pytest.raises(UnreadableError, match=says):
        told_lines(told, By.DAY)
