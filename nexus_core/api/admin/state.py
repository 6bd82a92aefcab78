"""GET /nexus/state: the full state for an attached dashboard."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

from msgspec.structs import replace

from nexus_core import __version__
from nexus_core.api.admin.ids import numbered
from nexus_core.api.status import read_stats
from nexus_core.background import in_background
from nexus_core.control.unsaved import Unsaved
from nexus_core.control.unsaved import as_json as unsaved_as_json
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.fleet.snapshot_json import snapshot_as_json
from nexus_core.gateway import Gateway
from nexus_core.observe.event_json import as_json
from nexus_core.observe.stats_json import stats_as_json
from nexus_core.observe.windows.counted import Counted
from nexus_core.observe.windows.counted_json import counted_as_json
from nexus_core.observe.windows.window import MOVING, Window
from nexus_core.types import PrivacyZone

_SLICE = 1000  # models: about a millisecond of the interpreter

_LAST_ACTIONS = 50  # of operators; GET /nexus/actions has more

# Never the sections that hold keys.
_SHOWN_SECTIONS = ("path", "routing", "queue", "budget", "health_check", "unusable", "warnings")


def read_state(gateway: Gateway) -> dict[str, Any]:
    """The full state at one moment, after the event `last_event`."""
    at, fleet = gateway.registry.clock(), gateway.registry.snapshots()
    return {**_without_backends(gateway), "backends": [snapshot_as_json(one, at) for one in fleet]}


async def write_state(gateway: Gateway) -> bytes:
    """The full state as JSON bytes; long model lists are written in a thread."""
    at, fleet = gateway.registry.clock(), gateway.registry.snapshots()
    rest = json.dumps(_without_backends(gateway))
    backends = [await write_backend(one, at) for one in fleet]
    return f'{{"backends":[{",".join(backends)}],{rest[1:]}'.encode()


async def write_backend(backend: BackendSnapshot, at: float) -> str:
    """What `snapshot_as_json` gives, as JSON; of many models in a thread."""
    if len(backend.models) < _SLICE:
        return json.dumps(snapshot_as_json(backend, at))
    return await in_background(lambda: _write_many(backend, at))


def _write_many(backend: BackendSnapshot, at: float) -> str:
    """The JSON of a backend with many models, in slices: each holds the interpreter."""
    plain = snapshot_as_json(backend, at)
    models, details = _in_slices(plain.pop("models")), _in_slices(plain.pop("details"))
    return f'{{"models":{models},"details":{details},{json.dumps(plain)[1:]}'


def _in_slices(values: Mapping[str, object]) -> str:
    left = iter(values.items())
    parts: list[str] = []
    while batch := dict(islice(left, _SLICE)):
        parts.append(json.dumps(batch)[1:-1])
    return f"{{{','.join(parts)}}}"


def _without_backends(gateway: Gateway) -> dict[str, Any]:
    return {
        "version": __version__,
        "is_demo": gateway.is_demo,
        "started_at": gateway.started_at,
        "config": gateway.config.model_dump(mode="json", include=set(_SHOWN_SECTIONS)),
        "unusable_backends": [
            unusable.model_dump(mode="json") for unusable in gateway.config.unusable
        ],
        "stats": read_stats(gateway),
        "counts": stats_as_json(gateway.stats),
        "windows": _windows(_beginnings(gateway)),
        "actions": [as_json(acted) for acted in gateway.actions.newest(_LAST_ACTIONS)],
        **_moment(gateway),
    }


def _beginnings(gateway: Gateway) -> dict[Window, Counted | None]:
    return {window: gateway.windows.beginning(window) for window in MOVING}


def _windows(beginnings: Mapping[Window, Counted | None]) -> dict[str, Any]:
    """What was counted before each window: `counts` and `counters` less that are its numbers."""
    return {
        window.value: None if counted is None else counted_as_json(counted)
        for window, counted in beginnings.items()
    }


def _moment(gateway: Gateway) -> dict[str, Any]:
    queue = gateway.queue_state
    return {
        "at": gateway.now(),
        "last_event": numbered(gateway.event_log.run, gateway.event_log.last),
        "zones": {zone.value: gateway.registry.is_zone_enabled(zone) for zone in PrivacyZone},
        "queue": None if queue is None else as_json(queue),
        "capture": gateway.captures.is_on,
        "unsaved": unsaved_as_json(gateway.unsaved),
        "last_log": numbered(gateway.logs.run, gateway.logs.last),
        **_fleet(gateway),
    }


def _fleet(gateway: Gateway) -> dict[str, Any]:
    """The processes that share with this one, and how it stands to them; nothing without any."""
    if gateway.shared is None:
        return {}
    from nexus_core.control.shared.as_json import fleet_as_json, replicas_as_json

    shared = gateway.shared
    return {"fleet": fleet_as_json(shared), "replicas": replicas_as_json(shared)}


class Totals:
    """State without events, for one reader: plain numbers, and what else changed."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._reported: tuple[BackendSnapshot, ...] | None = None
        self._reported_unsaved: tuple[Unsaved, ...] = ()
        self._reported_log = 0  # the number of the newest log line
        self._beginnings: dict[Window, Counted | None] = {}  # of windows, as reported

    @property
    def is_due(self) -> bool:
        """Whether a backend, the log, or what was counted before a window has changed since."""
        gateway = self._gateway
        return (
            gateway.registry.snapshots() is not self._reported
            or gateway.unsaved is not self._reported_unsaved
            or gateway.logs.last != self._reported_log
            or bool(self._moved())
        )

    def _moved(self) -> dict[Window, Counted | None]:
        """What was counted before each window, where that is not as reported."""
        return {
            window: counted
            for window, counted in _beginnings(self._gateway).items()
            if window not in self._beginnings or self._beginnings[window] is not counted
        }

    def take(self) -> dict[str, Any]:
        """What to report now. A backend's models are left out where they are the same."""
        registry = self._gateway.registry
        known = {backend.name: backend for backend in self._reported or ()}
        self._reported = registry.snapshots()
        self._reported_log = self._gateway.logs.last
        self._reported_unsaved = self._gateway.unsaved
        at, moved = registry.clock(), self._moved()
        self._beginnings |= moved
        return {
            **_moment(self._gateway),
            "windows": _windows(moved),
            "counters": self._gateway.stats.counters(),
            "names": [backend.name for backend in self._reported],
            "backends": [
                _change(backend, known, at)
                for backend in self._reported
                if known.get(backend.name) is not backend
            ],
        }


def _change(
    backend: BackendSnapshot, known: Mapping[str, BackendSnapshot], at: float
) -> dict[str, Any]:
    before = known.get(backend.name)
    if before is None or before.models is not backend.models:
        return snapshot_as_json(backend, at)
    changed = snapshot_as_json(replace(backend, models={}), at)
    del changed["models"]
    return changed
