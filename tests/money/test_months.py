from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.money.months import Month
from tests.examples import promised


@pytest.mark.parametrize(
    "text", ["2026-1", "2026-13", "2026-00", "11-2026", "", "0000-01", "٢٠٢٦-11"]
)
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a month"):
        Month.parse(text)


@promised()
@given(st.integers(0, 4_000_000_000))
def test_a_moment_lies_in_its_month(at: int) -> None:
    month = Month.of(at)

    assert month.start <= at < month.end
    assert Month.parse(str(month)) == month


def test_december_ends_where_january_begins() -> None:
    december = Month(2026, 12)

    assert december.end == Month(2027, 1).start
    assert december < Month(2027, 1)
