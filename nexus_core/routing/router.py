"""The router: decide which backend serves a request, and the reason."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import NamedTuple, TypeAlias

from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.observe.events import Considered, ScoreTerm
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.scoring import Ranked
from nexus_core.routing.stages import BUSY, Drop, Stage, select, suits
from nexus_core.types import HealthStatus, PrivacyZone, RouteReason

_REMEMBERED = 8192  # backends as a decision saw them


class Choice(NamedTuple):
    """A candidate backend and model."""

    backend: BackendSnapshot
    model: str  # the asked one or a fallback, as clients call it
    score: tuple[ScoreTerm, ...]
    upstream_model: str  # the backend's own name of the model
    # The upstream model if the backend is half-open for it, as its slot has to know.
    half_open_model: str | None


@dataclass(frozen=True)  # no slots: the two properties below are worked out once
class RouteDecision:
    """Routing decision: candidates in order of preference, dropped backends with reasons."""

    need: Requirements
    order: tuple[Choice, ...]  # the best first; empty when nobody can
    dropped: tuple[Drop, ...]
    reason: RouteReason  # why the first of `order` was chosen; meaningless when it is empty
    context: RoutingContext = field(repr=False, compare=False)  # what it was decided on

    @cached_property
    def waits_for(self) -> tuple[Drop, ...]:
        """The drops that pass by themselves: with them, waiting may help."""
        return tuple(d for d in self.dropped if d.stage in BUSY and d.alone_but_for_time)

    @cached_property
    def considered(self) -> tuple[Considered, ...]:
        """The decision for people and machines: the order, then the dropped ones."""
        found: list[Considered] = []
        for position, (backend, model, score, _, _) in enumerate(self.order, 1):
            who = (backend.name, backend.zone, backend.tier, backend.health, backend.priority)
            found.append(_considered(who, position, None, None, model, score))
        for backend, stage, why, _, model in self.dropped:
            who = (backend.name, backend.zone, backend.tier, backend.health, backend.priority)
            found.append(_considered(who, None, stage.value, why, model, ()))
        return tuple(found)


def route(need: Requirements, context: RoutingContext) -> RouteDecision:
    """Route a request in a context; used for decisions and explanations.

    All candidates of the asked model come before those of its fallbacks, which may not be of a
    lower tier than the first choice unless the request is flexible. The first choice is whom the
    request would go to if every backend that it allows were well and idle.
    """
    order: list[Choice] = []
    dropped: list[Drop] = []
    missed: set[Stage] = set()
    fleet, strategy = context.fleet, context.strategy
    for wanted in _candidate_models(need, context) if need.fallbacks else (need,):
        kept, out = select(wanted, context)
        dropped += out
        alone = {drop.backend.name: drop.stage for drop in out if drop.alone}
        names = {backend.name for backend in kept} | alone.keys()
        ranking = strategy.rank([b for b in fleet if b.name in names], wanted)
        if context.prefers_local:
            ranking.sort(key=lambda ranked: ranked.backend.type.is_cloud)
        for ranked in ranking:
            stage = alone.get(ranked.backend.name)
            if stage is None:
                order.append(_choice(ranked, wanted.model))
            elif not order:
                missed.add(stage)
    reason = RouteReason.CAPABILITY_MATCH
    if missed or context.tried:
        reason = _reason(missed, has_failed=bool(context.tried))
    return RouteDecision(need, tuple(order), tuple(dropped), reason, context)


def foresee(need: Requirements, context: RoutingContext) -> RouteDecision:
    """The decision that `route` would give now; no random number is used up for it."""
    strategy = copy(context.strategy)
    strategy.random = copy(strategy.random)
    return replace(route(need, replace(context, strategy=strategy)), context=context)


def _choice(ranked: Ranked, model: str) -> Choice:
    backend = ranked.backend
    name = backend.models[model]
    has_cooldown = backend.cooldown is not None or backend.cooldowns
    half_open = name if has_cooldown and backend.is_half_open(name) else None
    return Choice(backend, model, ranked.terms, name, half_open)


def _candidate_models(need: Requirements, context: RoutingContext) -> tuple[Requirements, ...]:
    if need.is_flexible:
        return need.candidate_models
    able = [backend for backend in context.fleet if suits(need, backend)]
    first: list[Ranked] = context.strategy.rank(able, need)
    floor = first[0].backend.tier if first else None
    return (need, *(_at_least(floor, fallback) for fallback in need.fallbacks))


def _at_least(tier: int | None, fallback: Requirements) -> Requirements:
    if tier is None or (fallback.min_tier is not None and fallback.min_tier >= tier):
        return fallback
    return replace(fallback, min_tier=tier)


def _reason(missed: set[Stage], *, has_failed: bool) -> RouteReason:
    """By the contract's precedence.

    Args:
        missed: the stages that alone kept a backend away which would have been preferred.
    """
    if has_failed:
        return RouteReason.BACKEND_FAILOVER
    if Stage.CAPACITY in missed:
        return RouteReason.CAPACITY_OVERFLOW
    if Stage.ZONE in missed:
        return RouteReason.PRIVACY_REQUIREMENT
    return RouteReason.CAPABILITY_MATCH


# What a decision keeps of a backend: name, zone, tier, health, priority.
_Who: TypeAlias = tuple[str, PrivacyZone, int | None, HealthStatus, int]


@lru_cache(maxsize=_REMEMBERED)
def _considered(
    who: _Who,
    position: int | None,
    dropped_by: str | None,
    why: str | None,
    model: str,
    score: tuple[ScoreTerm, ...],
) -> Considered:
    """One for all requests that saw the backend alike: thousands of them are kept and listed."""
    name, zone, tier, health, priority = who
    return Considered(
        backend=name,
        zone=zone,
        tier=tier,
        health=health,
        priority=priority,
        position=position,
        dropped_by=dropped_by,
        why=why,
        model=model,
        score=score,
    )
