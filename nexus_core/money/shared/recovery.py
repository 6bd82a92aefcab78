"""What a ledger lacks after a crash, as rows of it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable

from nexus_core.money.budget import Budget
from nexus_core.money.ledger import Ledger
from nexus_core.money.ledger_schema import LedgerRow, ledger_row
from nexus_core.observe.record import RequestRecord
from nexus_core.state.leases.recovery import Recovered
from nexus_core.types import NANO, Cost, CountMethod

log = logging.getLogger(__name__)

_SOURCE = "fleet"  # of the amount, where others have that of a price


def keep(missing: Iterable[Recovered], ledger: Ledger, budget: Budget, at: float) -> None:
    """Write down what is missing, and have the budget count it."""
    for client, nano_usd, why in missing:
        whose = f"client key {client}" if client else "all clients"
        log.warning("ledger: %.6f USD of %s: %s", nano_usd / NANO, whose, why)
        ledger.append(recovery_row(client, nano_usd, why, at))
        budget.recall({client: nano_usd}, budget.month)


def recovery_row(client: str | None, nano_usd: int, why: str, at: float) -> LedgerRow:
    """A row for what was spent in a crash, with `why` in the place of a model.

    Its amount is an estimate; it is no request, and has no status.
    """
    record = RequestRecord(
        f"crash-{secrets.token_hex(8)}",
        at,
        "",
        why,
        client=client,
        status=0,
        ended_at=at,
        total_ms=0.0,
        cost=Cost(nano_usd, _SOURCE),
        counted=CountMethod.ESTIMATED,
    )
    return ledger_row(record)
