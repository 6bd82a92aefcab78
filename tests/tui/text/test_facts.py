"""A cell's text by the unit of its fact."""

from __future__ import annotations

from decimal import Decimal

import pytest

from nexus_core.observe.facts import Fact, Unit
from nexus_tui.text.facts import fact_text


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (Unit.PLAIN, None, "–"),  # noqa: RUF001
        (Unit.PLAIN, "", "–"),  # noqa: RUF001
        (Unit.PLAIN, "h2\x1b[2J", "h2\\x1b[2J"),
        (Unit.PLAIN, True, "yes"),
        (Unit.MS, 412.0, "412 ms"),
        (Unit.TOKENS, 1200, "1,200"),
        (Unit.USD, Decimal("0.0029"), "$0.0029"),
        (Unit.USD, 0.0029, "$0.0029"),
        (Unit.TIME, float(10**300), "–"),  # noqa: RUF001
    ],
)
def test_a_value_is_written_by_its_unit(unit: Unit, value: object, text: str) -> None:
    assert fact_text(Fact("new", unit=unit), value) == text


@pytest.mark.parametrize("unit", [Unit.TIME, Unit.MS, Unit.TOKENS, Unit.USD])
@pytest.mark.parametrize("value", ["12", True, float("nan"), float("inf"), [1]])
def test_what_is_no_number_is_refused(unit: Unit, value: object) -> None:
    with pytest.raises(ValueError, match="number"):
        fact_text(Fact("new", unit=unit), value)
