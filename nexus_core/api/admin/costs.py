"""GET /nexus/costs: what today and this month have cost, as the dashboard shows it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from nexus_core.gateway import Gateway
from nexus_core.observe.event_json import as_json


def create_router(gateway: Gateway) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/nexus", tags=["control"])

    @router.get("/costs")
    async def costs() -> dict[str, Any]:
        """Costs of today and this month; US dollars as strings, null without a ledger.

        While the ledger is being read after start-up: null, with `is_reading` true.
        """
        if not gateway.cost_tracker.is_read:
            return {"costs": None, "is_reading": True}
        report = await gateway.cost_tracker.cost_report()
        return {"costs": None if report is None else as_json(report)}

    return router
