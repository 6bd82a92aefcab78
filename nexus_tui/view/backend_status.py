"""What a backend is like now, on this machine's clock."""

from __future__ import annotations

import time

from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.types import BackendState


def state_of(backend: BackendSnapshot) -> BackendState:
    """What it is like in one word."""
    return backend.state(time.monotonic())


def is_usable(backend: BackendSnapshot) -> bool:
    """Whether requests are routed to it, if not for each of its models."""
    return backend.is_usable(time.monotonic())


def models_cooling(backend: BackendSnapshot) -> dict[str, str]:
    """Its models that are left alone or half-open, by its own names, and a note for people."""
    at = time.monotonic()
    return {
        model: cooldown.note(at)
        for model, cooldown in backend.cooldowns.items()
        if cooldown.is_circuit_open or at < cooldown.until
    }
