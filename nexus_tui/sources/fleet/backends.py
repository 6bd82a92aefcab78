"""The backends of several replicas as one list: the load summed, the worst state of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from msgspec.structs import replace

from nexus_core.fleet.circuit import NO_COOLDOWNS, Cooldown
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.types import BackendState
from nexus_tui.sources.fleet.numbers import Kept, same
from nexus_tui.sources.fleet.replica import named

# The worst first. What is switched off is so only where all say so.
_ORDER = (
    BackendState.DOWN,
    BackendState.AUTH,
    BackendState.COOLDOWN,
    BackendState.HALF_OPEN,
    BackendState.UNKNOWN,
    BackendState.FULL,
    BackendState.HEALTHY,
    BackendState.DRAINING,
    BackendState.OFF,
)
_Told = Sequence[tuple[str, BackendSnapshot]]  # with the replica that tells it


class FleetBackends:
    """Backends by name, made anew only when a replica's snapshot is another one."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, Kept[BackendSnapshot]] = {}

    def together(
        self, parts: Sequence[tuple[str, Sequence[BackendSnapshot]]]
    ) -> tuple[BackendSnapshot, ...]:
        """Each backend once, in the order in which the first replicas have them."""
        told: dict[str, list[tuple[str, BackendSnapshot]]] = {}
        for replica, backends in parts:
            for backend in backends:
                told.setdefault(backend.name, []).append((replica, backend))
        for name in self._kept.keys() - told.keys():
            del self._kept[name]
        return tuple([self._one(name, of_name) for name, of_name in told.items()])

    def _one(self, name: str, told: _Told) -> BackendSnapshot:
        if len(told) == 1:
            return told[0][1]
        at = self._clock()
        states = tuple([backend.state(at) for _, backend in told])
        kept = self._kept.setdefault(name, Kept[BackendSnapshot]())
        key = (same([backend for _, backend in told]), states)
        return kept.of(key, lambda: _together(told, states))


def _together(told: _Told, states: Sequence[BackendState]) -> BackendSnapshot:
    worst = min(states, key=_ORDER.index)
    places = [replica for (replica, _), state in zip(told, states, strict=True) if state is worst]
    one = next(backend for replica, backend in told if replica == places[0])
    where = "" if len(places) == len(told) else f"{named(places)}: "
    backends = [backend for _, backend in told]
    latencies = [ms for backend in backends if (ms := backend.latency_ms) is not None]
    services = [s for backend in backends if (s := backend.service_seconds) is not None]
    detail = one.detail
    if where and (detail or worst in (BackendState.DOWN, BackendState.AUTH)):
        detail = f"{where}{detail or 'does not answer'}"
    return replace(
        one,
        in_flight=sum(backend.in_flight for backend in backends),
        latency_ms=fmean(latencies) if latencies else None,
        service_seconds=fmean(services) if services else None,
        consecutive_failures=max(backend.consecutive_failures for backend in backends),
        detail=detail,
        cooldown=None if one.cooldown is None else _placed(one.cooldown, where),
        cooldowns=_cooldowns(told),
    )


def _placed(cooldown: Cooldown, where: str) -> Cooldown:
    return replace(cooldown, why=f"{where}{cooldown.why}") if where else cooldown


def _cooldowns(told: _Told) -> Mapping[str, Cooldown]:
    """Of single models: the longest of each, and where it holds."""
    found: dict[str, list[tuple[str, Cooldown]]] = {}
    for replica, backend in told:
        for model, cooldown in backend.cooldowns.items():
            found.setdefault(model, []).append((replica, cooldown))
    if not found:
        return NO_COOLDOWNS
    longest: dict[str, Cooldown] = {}
    for model, each in found.items():
        where = "" if len(each) == len(told) else f"{named([name for name, _ in each])}: "
        longest[model] = _placed(max([one for _, one in each], key=lambda one: one.until), where)
    return longest
