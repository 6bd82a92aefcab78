"""Backend snapshots as JSON and back, independent of the clock."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from nexus_core.fleet.circuit import NO_COOLDOWNS, Cooldown
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.observe.event_json import UnreadableError, as_json, read_json
from nexus_core.types import is_object

_DERIVED = frozenset({"cooldown", "cooldowns", "state", "is_usable"})


def snapshot_as_json(snapshot: BackendSnapshot, at: float) -> dict[str, Any]:
    """A snapshot as JSON; cooldowns have their remaining seconds.

    `state` and `is_usable` say in addition what it all comes to; they are not read back.

    Args:
        at: now, on the clock of the cooldowns.
    """
    plain = replace(
        snapshot,
        models=dict(snapshot.models),
        details=dict(snapshot.details),
        cooldown=None,
        cooldowns={},
    )
    whole, models = snapshot.cooldown, snapshot.cooldowns
    return {
        **as_json(plain),
        "state": snapshot.state(at),
        "is_usable": snapshot.is_usable(at),
        "cooldown": None if whole is None else cooldown_as_json(whole, at),
        "cooldowns": {model: cooldown_as_json(one, at) for model, one in models.items()},
    }


def cooldown_as_json(cooldown: Cooldown, at: float) -> dict[str, Any]:
    """A cooldown as JSON, with its remaining seconds."""
    values = as_json(cooldown)
    del values["until"]
    return {"seconds": cooldown.seconds(at), **values}


def read_snapshot(value: object, at: float) -> BackendSnapshot:
    """A snapshot from JSON, on the clock that says `at` now.

    Raises:
        UnreadableError: it is not what `snapshot_as_json` gives.
    """
    if not is_object(value):
        raise UnreadableError("a backend must be an object")
    whole, models = value.get("cooldown"), value.get("cooldowns", {})
    if not is_object(models):
        raise UnreadableError("cooldowns: an object is required")
    plain = {name: one for name, one in value.items() if name not in _DERIVED}
    snapshot = read_json(BackendSnapshot, plain)
    cooldowns = {model: _read_cooldown(one, at) for model, one in models.items()}
    return replace(
        snapshot,
        models=MappingProxyType(dict(snapshot.models)),
        details=MappingProxyType(dict(snapshot.details)),
        cooldown=None if whole is None else _read_cooldown(whole, at),
        cooldowns=MappingProxyType(cooldowns) if cooldowns else NO_COOLDOWNS,
    )


def _read_cooldown(value: object, at: float) -> Cooldown:
    seconds = value.get("seconds") if is_object(value) else None
    if not is_object(value) or isinstance(seconds, bool):
        raise UnreadableError("a cooldown must be an object")
    if not isinstance(seconds, int | float):
        raise UnreadableError("cooldown.seconds: a number is required")
    return read_json(Cooldown, {**value, "until": at + seconds})
