"""Decide which backend serves a request, and say why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from nexus_core.events import Considered
from nexus_core.registry import BackendSnapshot
from nexus_core.routing.candidates import Drop, Stage, select
from nexus_core.routing.requirements import Requirements
from nexus_core.types import RouteReason


@dataclass(frozen=True, slots=True)
class RouteDecision:
    """Who may serve a request, in order of preference, and why the others may not."""

    need: Requirements
    order: tuple[BackendSnapshot, ...]  # the best first; empty when nobody can
    dropped: tuple[Drop, ...]
    reason: RouteReason  # why the first of `order` was chosen; meaningless when it is empty

    @property
    def considered(self) -> tuple[Considered, ...]:
        """The decision for people and machines: the order, then the dropped ones."""
        kept = (
            _considered(backend, position, None) for position, backend in enumerate(self.order, 1)
        )
        return (*kept, *(_considered(drop.backend, None, drop) for drop in self.dropped))


def route(
    need: Requirements, fleet: Iterable[BackendSnapshot], tried: dict[str, str] | None = None
) -> RouteDecision:
    """Choose by priority, then local before cloud, then by load, then by the file's order.

    Args:
        tried: backends that failed this request already, and how (for people).
    """
    tried = tried or {}
    fleet = tuple(fleet)
    kept, dropped = select(need, fleet, tried)
    order = tuple(sorted(kept, key=preference))
    reason = _reason(order, dropped, fleet, bool(tried))
    return RouteDecision(need, order, tuple(dropped), reason)


def preference(backend: BackendSnapshot) -> tuple[int, bool, float]:
    """What candidates are sorted by; smaller is better."""
    load = backend.in_flight / backend.max_concurrent if backend.max_concurrent else 0.0
    return (-backend.priority, backend.type.is_cloud, load)


def _reason(
    order: tuple[BackendSnapshot, ...],
    dropped: list[Drop],
    fleet: tuple[BackendSnapshot, ...],
    failed: bool,
) -> RouteReason:
    """By the contract's precedence: failover, overflow, privacy, match."""
    if failed:
        return RouteReason.BACKEND_FAILOVER
    missed = [drop for drop in dropped if drop.alone and drop.stage in _MISSED_BY]
    if order and missed:
        preferred = {drop.stage for drop in missed if _outranks(drop.backend, order[0], fleet)}
        for stage, reason in _MISSED_BY.items():
            if stage in preferred:
                return reason
    return RouteReason.CAPABILITY_MATCH


# What it means that a stage alone kept a preferred backend away; the first one counts.
_MISSED_BY = {
    Stage.CAPACITY: RouteReason.CAPACITY_OVERFLOW,
    Stage.ZONE: RouteReason.PRIVACY_REQUIREMENT,
}


def _outranks(
    backend: BackendSnapshot, chosen: BackendSnapshot, fleet: tuple[BackendSnapshot, ...]
) -> bool:
    """Would have been preferred; that it is full must not speak against a full backend itself."""
    wanted = preference(replace(backend, in_flight=0) if backend.is_full else backend)
    got = preference(chosen)
    return wanted < got or (wanted == got and fleet.index(backend) < fleet.index(chosen))


def _considered(backend: BackendSnapshot, position: int | None, drop: Drop | None) -> Considered:
    return Considered(
        backend=backend.name,
        zone=backend.zone,
        tier=backend.tier,
        health=backend.health,
        priority=backend.priority,
        position=position,
        dropped_by=None if drop is None else drop.stage.value,
        why=None if drop is None else drop.why,
    )
