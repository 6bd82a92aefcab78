"""Cost lines of an attached Nexus: the call, and its answer."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from nexus_core.money.cost_lines import CostLines, read_lines
from nexus_core.money.ledger_queries import By
from nexus_core.money.months import Month, Period
from nexus_core.observe.event_json import UnreadableError
from nexus_tui.sources.remote_calls import HttpCall


def lines_call(by: By, period: Period) -> HttpCall:
    """The HTTP call for the costs of a month or day."""
    kind = "month" if isinstance(period, Month) else "day"
    return HttpCall("GET", f"/nexus/costs?{urlencode({'by': by, kind: period})}")


def told_lines(told: dict[str, Any], by: By) -> CostLines | None:
    """The lines of an answer; None where that Nexus has no ledger.

    Raises:
        UnreadableError: it tells none.
    """
    if "lines" not in told:
        if told.get("is_reading") is True:
            raise UnreadableError("the ledger is still being read")
        if told.get("costs") is not None:
            raise UnreadableError(f"its version has no costs by {by}")
        return None
    try:
        return read_lines(told)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnreadableError("cost lines are missing") from error
