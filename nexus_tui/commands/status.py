"""`nexus status`: statistics of the dashboard as plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from nexus_tui.commands.backends import cooldowns
from nexus_tui.commands.client import NoAnswerError, understood
from nexus_tui.commands.subcommands import Subcommands
from nexus_tui.commands.text_view import Asked, TextView, add_text_view, labelled


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    view = TextView("status", "statistics since start-up", _read, lines)
    add_text_view(commands, port, view)


def _read(asked: Asked) -> Any:
    """The state, with the costs where they are known."""
    state = asked.get("/nexus/state")
    with understood():
        return {**state, **_costs(asked)}


def _costs(asked: Asked) -> dict[str, Any]:
    try:
        told = asked.get("/nexus/costs")
    except NoAnswerError:
        return {"costs": None}  # the rest is worth showing without them
    if told.get("is_reading"):
        return {"costs": None, "is_reading_ledger": True}
    return {"costs": told["costs"]}


def lines(state: Any, asked: Asked) -> Iterator[str]:
    """The status as text, one fact per line."""
    from nexus_tui.text.numbers import count, percent, uptime

    stats, backends = state["stats"], state["backends"]
    up = uptime(stats["uptime_seconds"])
    yield labelled("nexus", f"{state['version']} at {asked.url}, up {up} h")
    zones = (f"{zone} {'on' if on else 'OFF'}" for zone, on in state["zones"].items())
    yield labelled("zones", ", ".join(zones))
    usable = sum(bool(backend.get("is_usable")) for backend in backends)
    yield labelled("backends", f"{usable} of {len(backends)} usable")
    kept = [f"{one['name']}: {note}" for one in backends for note in cooldowns(one)]
    for number, note in enumerate(kept):
        yield labelled("" if number else "cooldown", note)
    yield labelled(
        "requests",
        f"{count(stats['requests'])}, {stats['in_flight']} in flight, {stats['failed']} failed, "
        f"{stats['failovers']} failed over, {stats['refused']} refused, "
        f"{stats['client_left']} left by their clients",
    )
    local, cloud = stats["local_answers"], stats["cloud_answers"]
    yield labelled("answers", f"{percent(local, local + cloud)} local, {count(cloud)} by a cloud")
    for label, key in (("first byte", "first_byte_ms"), ("total", "total_ms")):
        yield labelled(label, _percentiles(stats[key]))
    tokens = count(stats["prompt_tokens"]), count(stats["completion_tokens"])
    yield labelled("tokens", f"{tokens[0]} in, {tokens[1]} out")
    if (costs := state["costs"]) is not None:
        yield labelled("cost", _spent(costs))
    elif state.get("is_reading_ledger"):
        yield labelled("cost", "loading: the ledger is being read")
    for number, unusable in enumerate(state.get("unusable_backends", [])):
        yield labelled("" if number else "left out", unusable["why"])


def _spent(costs: Mapping[str, Any]) -> str:
    from nexus_tui.text.numbers import dollars

    limit = costs["monthly_limit"]
    of = "" if limit is None else f" of {dollars(Decimal(limit))}"
    unpriced = costs["today_unpriced"]
    also = f", plus {unpriced:,} unpriced requests" if unpriced else ""
    today, month = (_dollars(costs, name) for name in ("today", "month"))
    return f"{today} today{also}, {month}{of} this month"


def _dollars(costs: Mapping[str, Any], name: str) -> str:
    """A sum, with a sign before it where Nexus counted some of it itself."""
    from nexus_tui.text.numbers import dollars

    is_estimated = Decimal(costs.get(f"{name}_estimated", 0)) > 0
    return f"{'≈' if is_estimated else ''}{dollars(Decimal(costs[name]))}"


def _percentiles(values: Mapping[str, float | None]) -> str:
    from nexus_tui.text.numbers import duration

    return ", ".join(f"{name} {duration(ms)}" for name, ms in values.items())
