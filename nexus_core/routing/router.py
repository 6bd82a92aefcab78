"""The router: decide which backend serves a request, and the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, TypeAlias

import msgspec
from msgspec.structs import replace

from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.observe.events import Considered, ScoreTerm
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.scoring import Ranked
from nexus_core.routing.stages import BUSY, Drop, Stage, select, suits
from nexus_core.types import HealthCause, HealthStatus, PrivacyZone, RouteReason

_REMEMBERED = 8192  # backends as a decision saw them


class Choice(NamedTuple):
    """A candidate backend and model."""

    backend: BackendSnapshot
    model: str  # the asked one or a fallback, as clients call it
    score: tuple[ScoreTerm, ...]  # empty where the strategy knows none
    upstream_model: str  # the backend's own name of the model
    # The upstream model if the backend is half-open for it, as its slot has to know.
    half_open_model: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """All of a decision: candidates in order of preference, dropped backends with reasons."""

    need: Requirements
    order: tuple[Choice, ...]  # the best first; empty when nobody can
    dropped: tuple[Drop, ...]
    context: RoutingContext = field(repr=False)  # what it was decided on


class RouteDecision(msgspec.Struct, eq=False, gc=False):
    """Routing decision: who serves a request, and why; everybody else when somebody asks.

    Of a request that is served, hardly anybody asks. Its record keeps it, of thousands of requests.
    """

    first: Choice | None  # whom to send to, its score left out; None when nobody can
    reason: RouteReason  # why it was chosen; meaningless where there is none
    _told: Told | None = None  # without it, `_tell` is asked for it
    _considered: tuple[Considered, ...] | None = None

    @property
    def told(self) -> Told:
        """All of it, as things were when it was decided."""
        return self._told or self._tell()

    def _tell(self) -> Told:
        raise NotImplementedError

    @property
    def need(self) -> Requirements:
        return self.told.need

    @property
    def order(self) -> tuple[Choice, ...]:
        """The candidates in order of preference; empty when nobody can."""
        return self.told.order

    @property
    def dropped(self) -> tuple[Drop, ...]:
        return self.told.dropped

    @property
    def context(self) -> RoutingContext:
        """What it was decided on."""
        return self.told.context

    @property
    def waits_for(self) -> tuple[Drop, ...]:
        """The drops that pass by themselves: with them, waiting may help."""
        return tuple(d for d in self.dropped if d.stage in BUSY and d.alone_but_for_time)

    @property
    def considered(self) -> tuple[Considered, ...]:
        """The decision for people and machines: the order, then the dropped ones."""
        if self._considered is None:
            self._considered = tuple(_all_considered(self.told))
        return self._considered


def _all_considered(told: Told) -> Iterator[Considered]:
    for position, (backend, model, score, _, _) in enumerate(told.order, 1):
        who = _who(backend)
        yield _considered(who, position, None, None, model, score)
    for backend, stage, why, _, model in told.dropped:
        who = _who(backend)
        yield _considered(who, None, stage.value, why, model, ())


def route(need: Requirements, context: RoutingContext) -> RouteDecision:
    """Route a request in a context; used for explanations, refusals and as a plan's second opinion.

    All candidates of the asked model come before those of its fallbacks, which may not be of a
    lower tier than the first choice unless the request is flexible. The first choice is whom the
    request would go to if every backend that it allows were well and idle.

    Changes nothing, and gives the same in the same context and turn of its strategy.
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
                order.append(choice_of(ranked, wanted.model))
            elif not order:
                missed.add(stage)
    first = order[0]._replace(score=()) if order else None
    reason = reason_of(missed, has_failed=bool(context.tried))
    return RouteDecision(first, reason, Told(need, tuple(order), tuple(dropped), context))


def choice_of(ranked: Ranked, model: str) -> Choice:
    """A backend as a candidate for a model, as clients call it."""
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


def reason_of(missed: Collection[Stage], *, has_failed: bool) -> RouteReason:
    """Why the first candidate was chosen, by the contract's precedence.

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


# What a decision keeps of a backend: name, zone, tier, health, its cause, priority.
_Who: TypeAlias = tuple[str, PrivacyZone, int | None, HealthStatus, HealthCause, int]


def _who(one: BackendSnapshot) -> _Who:
    return one.name, one.zone, one.tier, one.health, one.cause, one.priority


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
    name, zone, tier, health, cause, priority = who
    return Considered(
        backend=name,
        zone=zone,
        tier=tier,
        health=health,
        cause=cause,
        priority=priority,
        position=position,
        dropped_by=dropped_by,
        why=why,
        model=model,
        score=score,
    )
