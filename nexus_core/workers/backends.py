"""A backend as several workers see it, as one: what is in flight there is the sum."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_core.types import JsonObject

_HEALTHY = "healthy"


def sum_backends(lists: Sequence[Sequence[JsonObject]]) -> list[JsonObject]:
    """The backends of several workers, each once, in the order of the first."""
    every: dict[str, list[JsonObject]] = {}
    for backends in lists:
        for backend in backends:
            every.setdefault(backend["name"], []).append(backend)
    return [sum_backend(seen) for seen in every.values()]


def sum_backend(seen: Sequence[JsonObject]) -> JsonObject:
    """One backend: whoever looked last knows its health, and what keeps one away is told."""
    newest = max(seen, key=_probed_at)
    cooldowns = {model: one for backend in seen for model, one in backend["cooldowns"].items()}
    whole = [backend["cooldown"] for backend in seen if backend["cooldown"] is not None]
    return {
        **newest,
        "in_flight": sum(backend["in_flight"] for backend in seen),
        "is_usable": any(backend["is_usable"] for backend in seen),
        "latency_ms": _mean([backend["latency_ms"] for backend in seen]),
        "service_seconds": _mean([backend["service_seconds"] for backend in seen]),
        "cooldown": max(whole, key=_seconds) if whole else None,
        "cooldowns": cooldowns,
    }


def _probed_at(backend: JsonObject) -> float:
    at: float = backend["probed_at"] or 0.0
    return at


def _seconds(cooldown: JsonObject) -> float:
    seconds: float = cooldown["seconds"]
    return seconds


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
