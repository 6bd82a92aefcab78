"""How a backend stands: switched on, in a cooldown, used for requests."""

from __future__ import annotations

import time

from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.types import HealthStatus


def has_cooldown(backend: BackendSnapshot) -> bool:
    """Whether all of it is left alone for a while."""
    return backend.cooldown is not None and time.monotonic() < backend.cooldown.until


def is_half_open(backend: BackendSnapshot) -> bool:
    """Whether it gets one request at a time, after its cooldown."""
    return backend.cooldown is not None and backend.cooldown.is_circuit_open


def models_cooling(backend: BackendSnapshot) -> dict[str, str]:
    """Its models that are left alone or half-open, by its own names, and a note for people."""
    at = time.monotonic()
    return {
        model: cooldown.note(at)
        for model, cooldown in backend.cooldowns.items()
        if cooldown.is_circuit_open or at < cooldown.until
    }


def is_on(backend: BackendSnapshot) -> bool:
    """Whether its own switch and that of its zone are on."""
    return backend.enabled and backend.zone_enabled


def is_usable(backend: BackendSnapshot) -> bool:
    """Whether requests are routed to it, if not for each of its models."""
    is_well = backend.health is not HealthStatus.UNHEALTHY and not has_cooldown(backend)
    return is_on(backend) and is_well
