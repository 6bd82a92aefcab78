"""GET /nexus/costs: the cost report of today and this month, or the lines of a month or day."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from nexus_core.errors import InvalidRequestError
from nexus_core.gateway import Gateway
from nexus_core.money.cost_lines import lines_as_json
from nexus_core.money.ledger_queries import By
from nexus_core.money.months import Day, Month, Period
from nexus_core.observe.event_json import as_json


def create_router(gateway: Gateway) -> APIRouter:
    """Route of GET /nexus/costs."""
    router = APIRouter(prefix="/nexus", tags=["control"])

    @router.get("/costs")
    async def costs(
        by: By | None = None,
        month: Annotated[str | None, Query(description="such as 2026-11")] = None,
        day: Annotated[str | None, Query(description="such as 2026-11-30")] = None,
    ) -> dict[str, Any]:
        """Costs of today and this month; US dollars as strings, null without a ledger.

        With `by`, `month` or `day` the lines of that month or day instead, this month's by model
        where the rest is left out: `by`, `lines` and `total`, as `nexus costs --json` has them.
        While the ledger is being read after start-up: null, with `is_reading` true.
        """
        if not gateway.cost_tracker.is_read:
            return {"costs": None, "is_reading": True}
        if by is not None or month is not None or day is not None:
            lines = await gateway.cost_tracker.cost_lines(
                by or By.MODEL, _period(month, day, gateway.now())
            )
            return {"costs": None} if lines is None else lines_as_json(lines)
        report = await gateway.cost_tracker.cost_report()
        return {"costs": None if report is None else as_json(report)}

    return router


def _period(month: str | None, day: str | None, now: float) -> Period:
    if month is not None and day is not None:
        raise InvalidRequestError("month or day: only one of them", param="day")
    try:
        if day is not None:
            return Day.parse(day)
        return Month.of(now) if month is None else Month.parse(month)
    except ValueError as error:
        name = "month" if day is None else "day"
        raise InvalidRequestError(f"{name}: {error}", param=name) from error
