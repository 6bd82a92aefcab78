"""How a backend stands: switched on, resting, used for requests."""

from __future__ import annotations

import time

from nexus_core.registry import BackendSnapshot
from nexus_core.types import HealthStatus


def is_resting(backend: BackendSnapshot) -> bool:
    """Whether it is left alone for a while after failures or a 429."""
    return backend.rests_until is not None and time.monotonic() < backend.rests_until


def is_on(backend: BackendSnapshot) -> bool:
    """Whether its own switch and that of its zone are on."""
    return backend.enabled and backend.zone_enabled


def is_usable(backend: BackendSnapshot) -> bool:
    """Whether requests are routed to it."""
    is_well = backend.health is not HealthStatus.UNHEALTHY and not is_resting(backend)
    return is_on(backend) and is_well
