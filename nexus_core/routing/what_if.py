"""What-if analysis of a route: single changes of backends or request that would alter it. Pure.

Each change is tested by a new routing decision, so that the router would really do as shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping

from msgspec.structs import replace

from nexus_core.fleet.circuit import NO_COOLDOWNS
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.refusal import refuse
from nexus_core.routing.requirements import NO_POLICIES, Requirements
from nexus_core.routing.router import RouteDecision, route
from nexus_core.routing.stages import Drop, Stage
from nexus_core.types import HealthCause, HealthStatus, PrivacyZone

# Takes the backend, its own name of the model, and the time in monotonic seconds.
_Fix = Callable[[BackendSnapshot, str, float], tuple[str, BackendSnapshot]]


def _switched_on(backend: BackendSnapshot, _: str, __: float) -> tuple[str, BackendSnapshot]:
    words = "switched on" if backend.zone_enabled else f"the {backend.zone} zone switched on"
    if not (backend.enabled or backend.zone_enabled):
        words = f"{words}, the backend too"
    return words, replace(backend, enabled=True, zone_enabled=True)


def _healthy(backend: BackendSnapshot, _: str, __: float) -> tuple[str, BackendSnapshot]:
    fixed = replace(backend, health=HealthStatus.HEALTHY, cause=HealthCause.NONE, detail=None)
    return "healthy", fixed


def _cooldown_over(backend: BackendSnapshot, model: str, at: float) -> tuple[str, BackendSnapshot]:
    fixed = replace(backend, cooldown=None, cooldowns=NO_COOLDOWNS)
    seconds = backend.cooldown_seconds(model, at)
    if not seconds:
        return "half-open request succeeded", fixed
    return f"cooldown over, in {math.ceil(seconds)} s", fixed


def _one_slot_free(backend: BackendSnapshot, _: str, __: float) -> tuple[str, BackendSnapshot]:
    assert backend.max_concurrent is not None  # noqa: S101 - it is full, for the type checker
    return "one slot free", replace(backend, in_flight=backend.max_concurrent - 1, slots=None)


# Changes of a backend by time or an operator, by the stage that each one passes.
_FIXES: Mapping[Stage, _Fix] = {
    Stage.ENABLED: _switched_on,
    Stage.HEALTHY: _healthy,
    Stage.COOLDOWN: _cooldown_over,
    Stage.CAPACITY: _one_slot_free,
}


def with_usable(context: RoutingContext, names: Collection[str]) -> RoutingContext:
    """The context with these backends switched on, healthy, with a free slot and no cooldown."""
    if not names:
        return context
    fleet = tuple(_usable(b, context.at) if b.name in names else b for b in context.fleet)
    return replace(context, fleet=fleet)


def _usable(backend: BackendSnapshot, at: float) -> BackendSnapshot:
    for fix in (_switched_on, _healthy, _cooldown_over):
        backend = fix(backend, "", at)[1]
    return _one_slot_free(backend, "", at)[1] if backend.is_full else backend


def would_change(decision: RouteDecision) -> Iterator[str]:
    """Lines for each single change that would alter the outcome of the request."""
    now = _outcome(decision)
    for what, other in _what_ifs(decision):
        outcome = _outcome(other)
        if outcome != now:
            yield f"{what} → {outcome}"


def _what_ifs(decision: RouteDecision) -> Iterator[tuple[str, RouteDecision]]:
    for name in dict.fromkeys(drop.backend.name for drop in decision.dropped):
        words, fixed = _fix(name, decision)
        if words:
            yield f"{name}: {' and '.join(words)}", fixed
    for what, loosened in _loosened(decision.need):
        if loosened != decision.need:
            yield f"the request: {what}", route(loosened, decision.context)


def _fix(name: str, decision: RouteDecision) -> tuple[list[str], RouteDecision]:
    """Apply every change of the backend that is needed until no fixable stage drops it."""
    words: list[str] = []
    while (drop := _fixable(name, decision)) is not None:
        context = decision.context
        fleet = {backend.name: backend for backend in context.fleet}
        model = fleet[name].models[drop.model]
        word, fleet[name] = _FIXES[drop.stage](fleet[name], model, context.at)
        words.append(word)
        decision = route(decision.need, replace(context, fleet=tuple(fleet.values())))
    return words, decision


def _fixable(name: str, decision: RouteDecision) -> Drop | None:
    drops = (drop for drop in decision.dropped if drop.backend.name == name)
    return next((drop for drop in drops if drop.stage in _FIXES), None)


def _loosened(need: Requirements) -> Iterator[tuple[str, Requirements]]:
    """The request without one of its requirements, for its fallback models too."""
    asked = need.candidate_models
    for what, loose in (
        (
            "not restricted",
            [replace(one, zone=PrivacyZone.OPEN, rules=NO_POLICIES) for one in asked],
        ),
        ("no minimum tier", [replace(one, min_tier=None) for one in asked]),
        ("not pinned", [replace(one, backend=None) for one in asked]),
        ("flexible", [replace(one, is_flexible=True) for one in asked]),
    ):
        yield what, replace(loose[0], fallbacks=tuple(loose[1:]))


def _outcome(decision: RouteDecision) -> str:
    """Short text of a decision's outcome; equal texts mean equal outcomes."""
    if not decision.order:
        error = refuse(decision, ())  # its words are not looked at
        return f"{error.status} {error.code}"
    first = decision.order[0]
    model = f" with {first.model}" if first.model != decision.need.model else ""
    if decision.context.strategy.is_drawn:  # the reason is a matter of chance as well
        drawn = sorted(
            choice.backend.name for choice in decision.order if choice.model == first.model
        )
        return f"{' or '.join(drawn)}{model}"
    return f"{first.backend.name}{model}, {decision.reason}"
