"""GET /health: readiness."""

from __future__ import annotations

import os
from typing import Any

from nexus_core import __version__
from nexus_core.api.asgi.messages import Scope
from nexus_core.api.auth import is_from_here
from nexus_core.gateway import Gateway


def read_health(gateway: Gateway, scope: Scope) -> tuple[int, dict[str, Any]]:
    """The answer of GET /health: its status, 200 or (soon it stops) 503, and its JSON.

    Version and process id are only included in answers to this machine.
    """
    snapshots = gateway.registry.snapshots()
    usable = sum(s.is_usable(gateway.registry.clock()) for s in snapshots)
    told: dict[str, Any] = {}
    if is_here := is_from_here(scope):
        worker = gateway.worker
        told = {"version": __version__, "pid": worker.supervisor if worker else os.getpid()}
    if (ledger := gateway.cost_tracker.shared) is not None:
        from nexus_core.money.shared.as_json import outbox_as_json

        told["ledger"] = outbox_as_json(ledger, gateway.now(), is_private=is_here)
    shared: dict[str, Any] = {}
    if gateway.shared is not None:
        from nexus_core.control.shared.as_json import health

        shared = health(gateway.shared, is_from_here=is_here)
    return 503 if gateway.is_draining else 200, {
        "status": "draining" if gateway.is_draining else "ok",
        "service": "nexus",
        **told,
        "backends": {"usable": usable, "total": len(snapshots)},
        **shared,
    }
