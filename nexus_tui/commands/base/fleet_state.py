"""The states of several replicas as one: numbers summed, of each backend the worst."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from nexus_core.fleet.snapshot_json import read_snapshot, snapshot_as_json
from nexus_core.observe.histogram import Histogram
from nexus_core.observe.operation_stats import BACKEND_COUNTS, BackendStats
from nexus_core.observe.stats import Stats
from nexus_core.observe.stats_json import read_stats
from nexus_core.observe.summed.counted import sum_counted
from nexus_core.observe.summed.stats import sum_stats
from nexus_core.observe.windows.counted import since
from nexus_core.observe.windows.counted_json import read_counted
from nexus_core.observe.windows.window import MOVING
from nexus_core.types import NANO
from nexus_tui.sources.fleet.backends import FleetBackends

_HISTOGRAMS = {"first_byte_ms": "first_byte", "total_ms": "total", "overhead_ms": "overhead"}
_DOLLARS = {
    "cost_usd": "cost_nano_usd",
    "cost_estimated_usd": "estimated_nano_usd",
    "saved_usd": "saved_nano_usd",
}


def together(told: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[str, Any]:
    """GET /nexus/state of several replicas, by their names; what has no sum is the first one's.

    Raises:
        LookupError, TypeError, ValueError, UnreadableError: one is not what a Nexus tells.
    """
    first = told[0][1]
    states = [state for _, state in told]
    whole = sum_stats([read_stats(state["counts"]) for state in states])
    stats: dict[str, Any] = first["stats"]
    return {
        **{key: value for key, value in first.items() if key not in ("counts", "windows")},
        "zones": {zone: any(one["zones"][zone] for one in states) for zone in first["zones"]},
        "backends": _backends(told),
        "stats": {
            **stats,
            "in_flight": sum(one["stats"]["in_flight"] for one in states),
            "queued": sum(one["stats"]["queued"] for one in states),
            **_numbers(stats, whole),
            "windows": {
                window.value: _window(stats["windows"][window.value], window.value, states, whole)
                for window in MOVING
            },
        },
    }


def _window(
    like: Mapping[str, Any], window: str, states: Sequence[Mapping[str, Any]], whole: Stats
) -> dict[str, Any]:
    before = [state["windows"][window] for state in states]
    counted = [read_counted(one) for one in before if one is not None]
    stats = since(whole, sum_counted(counted)) if counted else whole
    return {**like, **_numbers(like, stats)}


def _numbers(like: Mapping[str, Any], stats: Stats) -> dict[str, Any]:
    """The numbers that `like` has, of these statistics."""
    known: dict[str, Any] = {
        **stats.counters(),
        "refused": stats.turned_away,
        "route_reasons": {reason.value: count for reason, count in stats.reasons.items()},
        "statuses": {str(status): count for status, count in sorted(stats.statuses.items())},
        "refusals": dict(stats.refusals),
        "backends": {
            name: {**of.get(name, {}), **_backend(numbers)}
            for of in [like.get("backends", {})]
            for name, numbers in stats.backends.items()
        },
        **{key: _percentiles(getattr(stats, name)) for key, name in _HISTOGRAMS.items()},
        **{key: getattr(stats, name) / NANO for key, name in _DOLLARS.items()},
    }
    del known["in_flight"]  # of now
    return {key: value for key, value in known.items() if key in like and like[key] is not None}


def _backend(numbers: BackendStats) -> dict[str, Any]:
    plain = {name: getattr(numbers, name) for name in BACKEND_COUNTS}
    return {
        **{name: value for name, value in plain.items() if not name.endswith("_nano_usd")},
        "errors": dict(numbers.errors),
        "cost_usd": numbers.cost_nano_usd / NANO,
        "cost_estimated_usd": numbers.estimated_nano_usd / NANO,
        "first_byte_ms": _percentiles(numbers.first_byte),
        "total_ms": _percentiles(numbers.total),
    }


def _percentiles(histogram: Histogram) -> dict[str, float | None]:
    found = {name: histogram.percentile(share) for name, share in _SHARES.items()}
    return {name: None if ms is None else round(ms, 1) for name, ms in found.items()}


_SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def _backends(told: Sequence[tuple[str, Mapping[str, Any]]]) -> list[dict[str, Any]]:
    at = time.monotonic()
    parts = [(name, [read_snapshot(one, at) for one in state["backends"]]) for name, state in told]
    backends = FleetBackends(lambda: at).together(parts)
    return [snapshot_as_json(one, at) for one in backends]
