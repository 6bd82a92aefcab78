"""Costs of a period as JSON and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.money.cost_lines import CostLines, lines_as_json, read_lines
from nexus_core.money.ledger_queries import By, CostLine
from nexus_core.money.months import Day, Month, Period

COUNT = st.integers(0, 10**15)
LINES = st.builds(
    CostLine,
    name=st.none() | st.text(),
    requests=COUNT,
    failed=COUNT,
    prompt_tokens=COUNT,
    completion_tokens=COUNT,
    cost_nano_usd=COUNT,
    estimated_nano_usd=COUNT,
    unpriced=COUNT,
    saved_nano_usd=COUNT,
)
PERIODS = st.sampled_from([Month(2026, 11), Day.parse("2026-11-30")])


@given(by=st.sampled_from(By), period=PERIODS, lines=st.lists(LINES, max_size=5))
def test_what_was_told_is_read_to_the_last_digit(
    by: By, period: Period, lines: list[CostLine]
) -> None:
    costs = CostLines(by, period, tuple(lines))

    assert read_lines(json.loads(json.dumps(lines_as_json(costs)))) == costs


@pytest.mark.parametrize(
    ("text", "start", "before"),
    [
        ("2026-03-01", 1_772_323_200.0, "2026-02-28"),
        ("2026-01-01", 1_767_225_600.0, "2025-12-31"),
    ],
)
def test_a_day_is_utcs(text: str, start: float, before: str) -> None:
    day = Day.parse(text)

    assert (day.start, day.end) == (start, start + 86_400)
    assert (str(day), str(day.before)) == (text, before)
    assert Day.of(start) == Day.of(day.end - 0.001) == day


@pytest.mark.parametrize("text", ["2026-11", "2026-13-01", "2026-02-30", "26-01-01", "20260101"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a day such as 2026-11-30"):
        Day.parse(text)


def test_the_month_before_january_is_december() -> None:
    assert Month(2026, 1).before == Month(2025, 12)
    assert Month(2026, 12).before == Month(2026, 11)
