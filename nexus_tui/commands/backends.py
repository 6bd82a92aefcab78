"""`nexus backends`: the list of backends as plain text."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.commands.base.text_view import Asked, TextView, add_text_view, table

_HEADS = ("state", "name", "type", "zone", "tier", "prio", "load", "models", "probe", "detail")


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    view = TextView("backends", "backends and their state", _read, lines, "the Backends tab")
    add_text_view(commands, port, view)


def _read(asked: Asked) -> Any:
    state = asked.get("/nexus/state")
    keys = ("backends", "unusable_backends", "zones")
    return {key: state[key] for key in keys if key in state}


def lines(state: Any, _: Asked) -> list[str]:
    """Backends as text, one per line, unusable ones last."""
    rows = [_row(backend) for backend in state["backends"]]
    rows += [_left_out(unusable) for unusable in state.get("unusable_backends", [])]
    return table(_HEADS, rows) if rows else [" no backend"]


def cooldowns(backend: Mapping[str, Any]) -> list[str]:
    """Cooldowns of a backend and its models as text, one per line."""
    whole, models = backend.get("cooldown"), backend.get("cooldowns", {})
    notes = [] if whole is None else [_note(whole)]
    return [note for note in notes if note] + [
        f"{model}: {note}" for model, one in models.items() if (note := _note(one))
    ]


def _note(cooldown: Mapping[str, Any]) -> str:
    if seconds := cooldown["seconds"]:
        return f"cooldown, {math.ceil(seconds)} s left: {cooldown['why']}"
    is_open = cooldown["is_circuit_open"]
    return f"half-open, one request at a time: {cooldown['why']}" if is_open else ""


def _row(backend: Mapping[str, Any]) -> list[str]:
    from nexus_tui.text.numbers import NOTHING, duration

    tier, limit = backend.get("tier"), backend.get("max_concurrent")
    is_listed = backend.get("models_known", True)
    return [
        backend.get("state", NOTHING),
        backend["name"],
        backend["type"],
        backend["zone"],
        NOTHING if tier is None else str(tier),
        str(backend["priority"]),
        f"{backend['in_flight']}/{NOTHING if limit is None else limit}",
        str(len(backend["models"])) if is_listed else "?",
        duration(backend.get("probe_ms")),
        backend.get("detail") or "; ".join(cooldowns(backend)),
    ]


def _left_out(unusable: Mapping[str, Any]) -> list[str]:
    from nexus_tui.text.numbers import NOTHING

    unknown = [NOTHING] * 5
    return [
        "left out",
        *(unusable[key] for key in ("name", "type", "zone")),
        *unknown,
        unusable["why"],
    ]
