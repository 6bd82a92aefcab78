"""GET /nexus/costs: the cost report of today and this month, or the lines of a month or day."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query
from pydantic.json_schema import SkipJsonSchema

from nexus_core.errors import InvalidRequestError
from nexus_core.gateway import Gateway
from nexus_core.money.cost_lines import lines_as_json
from nexus_core.money.ledger_queries import By
from nexus_core.money.months import PATTERN, Day, Month, Period
from nexus_core.observe.event_json import as_json

_Absent = SkipJsonSchema[None]  # no query can say null
_Period = TypeVar("_Period", Month, Day)


def create_router(gateway: Gateway) -> APIRouter:
    """Route of GET /nexus/costs."""
    router = APIRouter(prefix="/nexus", tags=["control"])

    @router.get("/costs")
    async def costs(
        by: By | _Absent = None,
        month: Annotated[str | _Absent, Query(json_schema_extra={"pattern": PATTERN})] = None,
        day: Annotated[str | _Absent, Query(json_schema_extra={"format": "date"})] = None,
    ) -> dict[str, Any]:
        """Costs of today and this month; US dollars as strings, null without a ledger.

        With `by`, `month` (2026-11) or `day` (2026-11-30, before a month) the lines of that month
        or day instead, else of this month, by model unless told otherwise: `by`, `lines` and
        `total`, as `nexus costs --json` has them. `scope` is `fleet` with PostgreSQL, else `node`;
        where PostgreSQL is set and can't be read, `problem` says why.
        While the ledger is being read after start-up: null, with `is_reading` true.
        """
        period = _period(month, day, gateway.now())  # told whatever is wrong with it at any time
        if not gateway.cost_tracker.is_read:
            return {"costs": None, "is_reading": True}
        if by is not None or month is not None or day is not None:
            lines = await gateway.cost_tracker.cost_lines(by or By.MODEL, period)
            return {"costs": None} if lines is None else lines_as_json(lines)
        report = await gateway.cost_tracker.cost_report()
        return {"costs": None if report is None else as_json(report)}

    return router


def _period(month: str | None, day: str | None, now: float) -> Period:
    """The day if there is one, else the month; what is wrong with either is told."""
    in_month = Month.of(now) if month is None else _parsed(Month.parse, "month", month)
    return in_month if day is None else _parsed(Day.parse, "day", day)


def _parsed(parse: Callable[[str], _Period], name: str, text: str) -> _Period:
    try:
        return parse(text)
    except ValueError as error:
        raise InvalidRequestError(f"{name}: {error}", param=name) from error
