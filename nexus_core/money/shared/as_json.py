"""The outbox as JSON: how much of the ledger waits for PostgreSQL, how long, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nexus_core.types import JsonObject

if TYPE_CHECKING:
    from nexus_core.money.shared.shared_ledger import SharedLedger


def outbox_as_json(shared: SharedLedger, at: float, *, is_private: bool = False) -> JsonObject:
    """`{"waiting": 0, "waiting_seconds": 0.0, "refused": 0, "problem": null}`.

    Args:
        at: seconds since the epoch.
        is_private: whoever asks may know where PostgreSQL is, and why it is not reached.
    """
    shipper = shared.shipper
    oldest = shipper.waiting.oldest
    why = shipper.problem
    return {
        "waiting": shipper.waiting.rows,
        "waiting_seconds": 0.0 if oldest is None else round(max(0.0, at - oldest), 1),
        "refused": shipper.refused,
        "problem": why if is_private or why is None else "PostgreSQL takes no rows",
    }
