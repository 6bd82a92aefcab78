"""A backend's snapshot as JSON and back, for clocks that have nothing in common."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import Any

from nexus_core.event_json import UnreadableError, as_json, read_json
from nexus_core.registry import BackendSnapshot


def snapshot_as_json(snapshot: BackendSnapshot, at: float) -> dict[str, Any]:
    """Every field; instead of a moment on this machine's clock, how long it still rests.

    Args:
        at: now, on the clock of `rests_until`.
    """
    told = as_json(replace(snapshot, models=dict(snapshot.models), details=dict(snapshot.details)))
    until = told.pop("rests_until")
    return {**told, "rests_seconds": None if until is None else max(0.0, until - at)}


def read_snapshot(value: object, at: float) -> BackendSnapshot:
    """The snapshot again, on the clock that says `at` now.

    Raises:
        UnreadableError: it is not what `snapshot_as_json` gives.
    """
    if not isinstance(value, dict):
        raise UnreadableError("a backend must be an object")
    rests = value.get("rests_seconds")
    if rests is not None and not isinstance(rests, int | float):
        raise UnreadableError("rests_seconds: a number is required")
    until = None if rests is None else at + rests
    snapshot = read_json(BackendSnapshot, {**value, "rests_until": until})
    return replace(
        snapshot,
        models=MappingProxyType(dict(snapshot.models)),
        details=MappingProxyType(dict(snapshot.details)),
    )
