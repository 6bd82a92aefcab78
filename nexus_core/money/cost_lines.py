"""Costs of a period, line by line: as `nexus costs --json` and GET /nexus/costs tell them."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

import msgspec

from nexus_core.money.ledger_queries import By, CostLine
from nexus_core.money.months import Day, Month, Period
from nexus_core.types import NANO, Cost

# Keys of a line's numbers, and their fields; amounts are strings: a JSON number would lose digits.
NUMBERS = {
    "requests": "requests",
    "failed": "failed",
    "prompt_tokens": "prompt_tokens",
    "completion_tokens": "completion_tokens",
    "cost_usd": "cost_nano_usd",
    "estimated_usd": "estimated_nano_usd",
    "unpriced": "unpriced",
    "saved_usd": "saved_nano_usd",
}


class Scope(StrEnum):
    """Whose requests are counted."""

    FLEET = "fleet"  # all that PostgreSQL has
    NODE = "node"  # this node's, of its own file


class CostLines(msgspec.Struct, frozen=True):
    """Costs of a period in groups, in the order of the ledger's query."""

    by: By
    period: Period
    lines: tuple[CostLine, ...]
    scope: Scope = Scope.NODE
    problem: str | None = None  # for people: why it is not the fleet, where PostgreSQL is set

    @property
    def total(self) -> CostLine:
        """The sum of all lines."""
        sums = {field: sum(getattr(one, field) for one in self.lines) for field in NUMBERS.values()}
        return CostLine(name=None, **sums)


def lines_as_json(costs: CostLines) -> dict[str, Any]:
    """`{"month": "2026-11", "by": "model", "scope": "node", "lines": […], "total": {…}}`."""
    kind = "month" if isinstance(costs.period, Month) else "day"
    return {
        kind: str(costs.period),
        "by": costs.by.value,
        "scope": costs.scope.value,
        **({} if costs.problem is None else {"problem": costs.problem}),
        "lines": [{costs.by.value: line.name, **numbers(line)} for line in costs.lines],
        "total": numbers(costs.total),
    }


def numbers(line: CostLine) -> dict[str, int | str]:
    """A line's numbers by their keys."""
    return {key: _told(key, getattr(line, field)) for key, field in NUMBERS.items()}


def _told(key: str, value: int) -> int | str:
    return usd(value) if key.endswith("_usd") else value


def usd(nano_usd: int, places: int = 9) -> str:
    """Dollars with so many decimals."""
    return f"{Cost(nano_usd, '').usd:.{places}f}"


def read_lines(told: Any) -> CostLines:
    """The costs as another Nexus tells them.

    Raises:
        ValueError, LookupError, TypeError: it tells something else.
    """
    by = By(told["by"])
    period = Month.parse(told["month"]) if "month" in told else Day.parse(told["day"])
    lines = tuple([_line(by, one) for one in told["lines"]])
    scope = Scope(told.get("scope", Scope.NODE))  # an older Nexus knows of no fleet
    problem = told.get("problem")
    return CostLines(by, period, lines, scope, None if problem is None else str(problem))


def _line(by: By, told: Any) -> CostLine:
    name = told[by.value]
    read = {field: _read(key, told[key]) for key, field in NUMBERS.items()}
    return CostLine(name=None if name is None else str(name), **read)


def _read(key: str, value: object) -> int:
    if not key.endswith("_usd"):
        return int(str(value))
    try:
        nano_usd = Decimal(str(value)) * NANO
        return int(nano_usd)
    except (InvalidOperation, OverflowError) as error:
        raise ValueError(f"{key}: a number is required") from error
