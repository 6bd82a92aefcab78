"""Backend status for the screen, on this machine's clock."""

from __future__ import annotations

import time

from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.types import BackendState


def state_of(backend: BackendSnapshot) -> BackendState:
    """Backend status in one word."""
    return backend.state(time.monotonic())


def is_usable(backend: BackendSnapshot) -> bool:
    """Whether requests are routed to the backend, if not for each of its models."""
    return backend.is_usable(time.monotonic())


def models_cooling(backend: BackendSnapshot) -> dict[str, str]:
    """Models in cooldown or half-open, by upstream name, each with a note."""
    at = time.monotonic()
    return {
        model: cooldown.note(at)
        for model, cooldown in backend.cooldowns.items()
        if cooldown.is_circuit_open or at < cooldown.until
    }
