from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_tui.widgets.base.bars import gauge, spark


def test_the_newest_values_are_shown_and_the_highest_fills_the_row() -> None:
    assert spark([9, 9, 0, 4, 8], 3) == ["▁▄█"]


def test_a_small_value_is_seen_beside_a_large_one() -> None:
    assert spark([1, 1_000], 2) == ["▁█"]


def test_two_rows_have_twice_the_steps() -> None:
    assert spark([4, 8], 2, rows=2) == [" █", "██"]


def test_too_few_values_leave_room_on_the_left() -> None:
    assert spark([8], 3) == ["▁▁█"]


@given(st.lists(st.integers(0, 10**9)), st.integers(1, 40), st.integers(0, 4))
def test_every_row_is_as_wide_as_wanted(values: list[int], width: int, rows: int) -> None:
    lines = spark(values, width, rows)

    assert [len(line) for line in lines] == [width] * rows


@pytest.mark.parametrize(
    ("part", "whole", "filled"), [(0, 4, 0), (1, 1_000, 1), (2, 4, 5), (9, 4, 10), (3, 0, 0)]
)
def test_a_gauge_is_filled_by_its_share(part: float, whole: float, filled: int) -> None:
    assert gauge(part, whole, 10) == ("█" * filled, "░" * (10 - filled))
