"""`nexus status`: state and statistics as plain text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from nexus_core.observe.windows.window import Window
from nexus_tui.commands.backends import cooldowns
from nexus_tui.commands.base.client import understood
from nexus_tui.commands.base.errors import NoAnswerError
from nexus_tui.commands.base.replicas import Replicas, add_only
from nexus_tui.commands.base.subcommands import Subcommands
from nexus_tui.commands.base.text_view import Asked, TextView, add_text_view, labelled


def add_command(commands: Subcommands, port: Callable[[str], int]) -> None:
    """Declare the subcommand; `port` checks a port."""
    view = TextView("status", "state and statistics", _read, lines, "the dashboard's first tab")
    parser = add_text_view(commands, port, view)
    add_only(parser)
    parser.add_argument(
        "--window",
        choices=[window.value for window in Window],
        default=Window.FIVE_MINUTES.value,
        help="time that the statistics are of (default: 5m); --json has all of them",
    )


def _read(asked: Asked) -> Any:
    """The state, with the costs where they are known; of a fleet that of all replicas."""
    state, here = asked.told("/nexus/state")
    with understood():
        fleet = Replicas(asked, here or state.get("fleet", {}).get("replica"))
    if fleet.is_fleet:
        return _of_fleet(asked, state, fleet)
    with understood():
        return {**state, **_costs(asked)}


def _of_fleet(asked: Asked, state: Any, fleet: Replicas) -> Any:
    from nexus_core.observe.event_json import UnreadableError
    from nexus_tui.commands.base.fleet_state import together

    replicas = fleet.find()
    told = [*fleet.ask(replicas, lambda _, one: state if one is asked else _state(one))]
    try:
        with understood():
            whole = together(told)
    except UnreadableError as error:
        raise NoAnswerError(f"incompatible Nexus version: {error}") from error
    here = {name: state[name] for name in ("fleet", "replicas") if name in state}
    return {**whole, **here, **_costs(asked), "asked_replicas": [name for name, _ in told]}


def _state(asked: Asked) -> Any:
    return asked.get("/nexus/state")


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
    from nexus_tui.text.numbers import count, uptime

    stats, backends = state["stats"], state["backends"]
    yield labelled(
        "nexus", f"{state['version']} at {asked.url}, up {uptime(stats['uptime_seconds'])}"
    )
    if (names := state.get("asked_replicas")) is not None:
        yield labelled("replicas", ", ".join(map(str, names)))
    for number, word in enumerate(fleet_words(state)):
        yield labelled("" if number else "fleet", word)
    zones = (f"{zone} {'on' if on else 'OFF'}" for zone, on in state["zones"].items())
    yield labelled("zones", ", ".join(zones))
    usable = sum(bool(backend.get("is_usable")) for backend in backends)
    yield labelled("backends", f"{usable} of {len(backends)} usable")
    kept = [f"{one['name']}: {note}" for one in backends for note in cooldowns(one)]
    for number, note in enumerate(kept):
        yield labelled("" if number else "cooldown", note)
    yield labelled("in flight", f"{count(stats['in_flight'])}, {count(stats['queued'])} queued")
    window = Window(asked.options.window)
    yield labelled("window", window.shown)
    yield from _of_window(stats if window is Window.START else stats["windows"][window.value])
    if (costs := state["costs"]) is not None:
        yield labelled("cost", _spent(costs))
        outbox: Any = costs.get("outbox") or {}
        if outbox.get("problem"):
            yield labelled("ledger", f"{count(outbox['rows'])} rows wait here: {outbox['problem']}")
    elif state.get("is_reading_ledger"):
        yield labelled("cost", "loading: the ledger is being read")
    for number, unusable in enumerate(state.get("unusable_backends", [])):
        yield labelled("" if number else "left out", unusable["why"])


def fleet_words(state: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong in a fleet: who is alone and what that closes, who is dead or differs."""
    from nexus_tui.text.numbers import clock

    fleet: Any = state.get("fleet")
    if fleet and fleet.get("why"):
        closed = " and ".join(fleet["closed"])
        effect = f"; {closed} is closed" if closed else ""
        if fleet.get("alone"):
            since = clock(fleet["alone_since"])
            what = f"{fleet['replica']} is ALONE since {since}: no word from the store"
        else:
            what = "the fleet's store"
        yield f"{what}: {fleet['why']}{effect}"
    for one in state.get("replicas") or ():
        if one.get("dead"):
            yield f"{one['name']} is DEAD: silent for {one['last_beat_seconds']:.0f} s"
        elif one.get("differs"):
            yield f"{one['name']} differs: {', '.join(one['differs'])}"


def _of_window(stats: Mapping[str, Any]) -> Iterator[str]:
    """Statistics of a window; what the labels mean is written in docs/numbers.md."""
    from nexus_tui.text.numbers import count, percent

    yield labelled("requests", f"{count(stats['requests'])}, {count(stats['failovers'])} failovers")
    failed = stats["failed"]
    share = f" ({percent(failed, stats['finished'])})" if failed else ""
    yield labelled(
        "errors",
        f"{count(failed)}{share}, of them {count(stats['refused_by_cut'])} refused by the cut, "
        f"{count(stats['refused_for_privacy'])} refused for privacy",
    )
    yield labelled(
        "others",
        f"{count(stats['client_errors'])} client errors, {count(stats['client_left'])} left, "
        f"{count(stats['turned_away'])} turned away",
    )
    local, cloud = stats["local_answers"], stats["cloud_answers"]
    yield labelled("answers", f"{percent(local, local + cloud)} local, {count(cloud)} by a cloud")
    for label, key in (("first byte", "first_byte_ms"), ("total", "total_ms")):
        yield labelled(label, _percentiles(stats[key]))
    prompt, completion = (
        stats[name] + stats[f"counted_{name}"] for name in ("prompt_tokens", "completion_tokens")
    )
    is_counted = stats["counted_prompt_tokens"] or stats["counted_completion_tokens"]
    sign = "≈" if is_counted else ""
    yield labelled("tokens", f"{sign}{count(prompt)} in, {sign}{count(completion)} out")


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
