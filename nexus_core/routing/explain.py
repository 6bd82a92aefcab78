"""Explain a route: stages, candidates, choice or refusal, and what would change it. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from nexus_core.dialects.request import NO_DEMAND, Demand, Request
from nexus_core.errors import ActionableErrorContext, ServiceUnavailableError
from nexus_core.fleet.circuit import NO_COOLDOWNS
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.money.accounting import MoneyRule
from nexus_core.routing.known_names import KnownNames
from nexus_core.routing.refusal import Outlook, refuse
from nexus_core.routing.requirements import NO_HINTS, NO_POLICIES, Requirements, RoutingHints
from nexus_core.routing.router import Choice, RouteDecision, route
from nexus_core.routing.scoring import Strategy
from nexus_core.routing.stages import Drop, Moment, Stage
from nexus_core.types import (
    BackendType,
    Capability,
    HealthCause,
    HealthStatus,
    Operation,
    PrivacyZone,
    RouteReason,
)

_DRAWN = "the order is drawn anew for each request; this is one draw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request that is only imagined: what is asked, and what it would be asked for with."""

    model: str
    hints: RoutingHints = NO_HINTS
    demand: Demand = NO_DEMAND
    operation: Operation = Operation.CHAT
    request: Request | None = None  # to be translated for whoever is chosen
    usable: tuple[str, ...] = ()  # backends to imagine on, healthy, free and without cooldown


@dataclass(frozen=True, slots=True)
class Situation:
    """What a decision depends on besides the request, as it is at one moment."""

    fleet: tuple[BackendSnapshot, ...]
    strategy: Strategy  # only looked at: no turn passes, no random number is used up
    at: float  # monotonic seconds
    queued: int = 0  # requests that wait already
    wait_seconds: float | None = None  # how long one may wait; None: no queue, or no room in it
    money: MoneyRule | None = None  # None: nothing is limited
    prefers_local: bool = False  # so much is spent that local backends are tried first
    budget_resets_in_seconds: int | None = None

    @property
    def is_drawn(self) -> bool:
        """The order is a matter of chance."""
        return self.strategy.routing.strategy == "random"

    @property
    def known_names(self) -> KnownNames:
        """Every model and alias that clients may ask for."""
        return KnownNames(self.fleet, self.strategy.routing)

    def decide(self, need: Requirements) -> RouteDecision:
        """What the next request with these requirements gets as its first decision."""
        strategy = copy(self.strategy)
        strategy.random = copy(strategy.random)
        moment = Moment(self.at, money=self.money, prefers_local=self.prefers_local)
        return route(need, self.fleet, strategy, moment)

    def with_usable(self, names: Collection[str]) -> Situation:
        """The same with these backends on, healthy, with a slot free and no cooldown."""
        fleet = tuple(_usable(b, self.at) if b.name in names else b for b in self.fleet)
        return replace(self, fleet=fleet)


# The explanation ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dropped:
    """A backend that went no further."""

    backend: str
    why: str  # for people


@dataclass(frozen=True, slots=True)
class StageCount:
    """One stage: how many backends came to it, and how many passed."""

    stage: Stage
    before: int
    after: int
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class ModelStages:
    """The way of all backends through the stages, for the asked model or a fallback."""

    model: str
    resolved: tuple[str, ...]  # the name as asked or configured, then each alias it went through
    policies: tuple[str, ...]  # the patterns that matched
    zone: PrivacyZone
    stages: tuple[StageCount, ...]


@dataclass(frozen=True, slots=True)
class Term:
    """One reason to prefer a backend; it adds weight times value to the score."""

    name: str
    weight: float
    value: float  # 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A backend that may serve the request now, in its place."""

    position: int  # 1 for the first choice
    backend: str
    type: BackendType
    zone: PrivacyZone
    tier: int | None
    health: HealthStatus
    priority: int
    in_flight: int
    max_concurrent: int | None
    model: str  # the asked one after aliases, or a fallback
    upstream_model: str  # the backend's own name of it
    score: float | None  # None where the strategy knows none
    terms: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Where the request would go, in the words of the answer's X-Nexus-* headers."""

    backend: str
    backend_type: str  # local or cloud
    zone: PrivacyZone
    model: str  # the backend's own name
    reason: RouteReason
    estimated_usd: float | None = None  # of a cloud's answer; None: its price is unknown, or local


@dataclass(frozen=True, slots=True)
class Refused:
    """The error that the client would get."""

    status: int
    code: str
    message: str
    context: ActionableErrorContext | None  # of a 503


@dataclass(frozen=True, slots=True)
class TranslationReport:
    """What becomes of the request's fields at a provider with an API of its own."""

    dropped: tuple[str, ...] = ()  # sampling hints that the model does not take
    ignored: tuple[str, ...] = ()  # without effect on the answer
    changed: tuple[str, ...] = ()  # for people: "temperature 1.4 → 1.0"
    unsupported: Mapping[str, str] = field(default_factory=dict[str, str])  # path to why: a 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where a request would go now, and why; exactly one of `chosen` and `refused` is set."""

    model: str  # as asked
    resolved: tuple[str, ...]  # the asked model, then each alias it went through
    policies: tuple[str, ...]  # the patterns that matched
    zone: PrivacyZone  # demanded; open: any
    min_tier: int | None
    backend: str | None  # the pin
    is_flexible: bool
    needs: tuple[Capability, ...]  # what the request itself shows
    prompt_tokens: int  # estimated
    strategy: str
    note: str | None  # for people: what is not certain about it
    models: tuple[ModelStages, ...]  # the asked one first, then its fallbacks
    candidates: tuple[Candidate, ...]  # in order of preference
    chosen: Chosen | None
    refused: Refused | None
    wait_seconds: float | None  # before it is refused it may wait so long; None: not at all
    translation: TranslationReport | None = None  # None: none is needed, or nobody was chosen
    would_change: tuple[str, ...]  # for people: `local: one slot free → local, capability-match`


def explain(
    decision: RouteDecision, situation: Situation, names: Iterable[str] | None = None
) -> Explanation:
    """Put a decision into words; it was made in this situation.

    Args:
        names: where to look for names near to one that nobody serves; None: all that are known.
    """
    known = situation.known_names if names is None else names
    need = decision.need
    return Explanation(
        model=_resolved(need)[0],
        resolved=_resolved(need),
        policies=need.policies,
        zone=need.zone,
        min_tier=need.min_tier,
        backend=need.backend,
        is_flexible=need.is_flexible,
        needs=tuple(sorted(need.demand.capabilities)),
        prompt_tokens=need.demand.prompt_tokens,
        strategy=situation.strategy.routing.strategy,
        note=_DRAWN if situation.is_drawn and len(decision.order) > 1 else None,
        models=tuple(_model_stages(decision)),
        candidates=tuple(_candidate(*numbered) for numbered in enumerate(decision.order, 1)),
        chosen=_chosen(decision),
        refused=_refused(decision, situation, known),
        wait_seconds=situation.wait_seconds if _may_wait(decision) else None,
        would_change=tuple(_would_change(decision, situation)),
    )


def as_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation as JSON values; pydantic reads it back."""
    return asdict(explanation)


def _resolved(need: Requirements) -> tuple[str, ...]:
    return need.resolved or (need.model,)


def _may_wait(decision: RouteDecision) -> bool:
    return not decision.order and bool(decision.waits_for)


def _model_stages(decision: RouteDecision) -> Iterator[ModelStages]:
    # Two fallbacks may be names of one model: it is told once.
    legs = {leg.model: leg for leg in reversed((decision.need, *decision.need.fallbacks))}
    for leg in reversed(legs.values()):
        stages = tuple(_stages(leg.model, decision))
        yield ModelStages(leg.model, _resolved(leg), leg.policies, leg.zone, stages)


def _stages(model: str, decision: RouteDecision) -> Iterator[StageCount]:
    kept = {choice.backend.name for choice in decision.order if choice.model == model}
    out: dict[str, Drop] = {}
    for drop in decision.dropped:
        if drop.model == model and drop.backend.name not in kept:
            out.setdefault(drop.backend.name, drop)
    left = len(kept) + len(out)
    for stage in Stage:
        dropped = tuple(
            Dropped(name, drop.why) for name, drop in out.items() if drop.stage is stage
        )
        yield StageCount(stage, left, left - len(dropped), dropped)
        left -= len(dropped)


def _candidate(position: int, choice: Choice) -> Candidate:
    backend = choice.backend
    return Candidate(
        position=position,
        backend=backend.name,
        type=backend.type,
        zone=backend.zone,
        tier=backend.tier,
        health=backend.health,
        priority=backend.priority,
        in_flight=backend.in_flight,
        max_concurrent=backend.max_concurrent,
        model=choice.model,
        upstream_model=choice.upstream_model,
        score=sum(term.weight * term.value for term in choice.score) if choice.score else None,
        terms=tuple(Term(term.name, term.weight, term.value) for term in choice.score),
    )


def _chosen(decision: RouteDecision) -> Chosen | None:
    if not decision.order:
        return None
    first = decision.order[0]
    backend = first.backend
    return Chosen(
        backend.name, backend.type.location, backend.zone, first.upstream_model, decision.reason
    )


def _refused(decision: RouteDecision, situation: Situation, names: Iterable[str]) -> Refused | None:
    if decision.order:
        return None
    outlook = Outlook(situation.at, situation.queued, situation.budget_resets_in_seconds)
    may_use = situation.known_names.usable_by(decision.need)
    error = refuse(decision, names, outlook, may_use=may_use)
    context = error.context if isinstance(error, ServiceUnavailableError) else None
    return Refused(error.status, error.code, error.message, context)


# What would change it -----------------------------------------------------------------------------


# Gets the backend's own name of the model, and the moment.
_Mend = Callable[[BackendSnapshot, str, float], tuple[str, BackendSnapshot]]


def _switched_on(backend: BackendSnapshot, _: str, __: float) -> tuple[str, BackendSnapshot]:
    words = "switched on" if backend.zone_enabled else f"the {backend.zone} zone switched on"
    if not (backend.enabled or backend.zone_enabled):
        words = f"{words}, and itself"
    return words, replace(backend, enabled=True, zone_enabled=True)


def _healthy(backend: BackendSnapshot, _: str, __: float) -> tuple[str, BackendSnapshot]:
    mended = replace(backend, health=HealthStatus.HEALTHY, cause=HealthCause.NONE, detail=None)
    return "healthy", mended


def _cooldown_over(backend: BackendSnapshot, model: str, at: float) -> tuple[str, BackendSnapshot]:
    mended = replace(backend, cooldown=None, cooldowns=NO_COOLDOWNS)
    seconds = backend.cooldown_seconds(model, at)
    if not seconds:
        return "its trial passed", mended
    return f"its cooldown over, in {math.ceil(seconds)} s", mended


def _one_slot_free(backend: BackendSnapshot, _: str, __: float) -> tuple[str, BackendSnapshot]:
    assert backend.max_concurrent is not None  # noqa: S101 - it is full, for the type checker
    return "one slot free", replace(backend, in_flight=backend.max_concurrent - 1)


# What time or an operator can change about a backend; each one ends the stage's objection.
_MENDS: Mapping[Stage, _Mend] = {
    Stage.ENABLED: _switched_on,
    Stage.HEALTHY: _healthy,
    Stage.COOLDOWN: _cooldown_over,
    Stage.CAPACITY: _one_slot_free,
}


def _usable(backend: BackendSnapshot, at: float) -> BackendSnapshot:
    for mend in (_switched_on, _healthy, _cooldown_over):
        backend = mend(backend, "", at)[1]
    return _one_slot_free(backend, "", at)[1] if backend.is_full else backend


def _would_change(decision: RouteDecision, situation: Situation) -> Iterator[str]:
    """Each single change after which the request would fare differently."""
    now = _outcome(decision, situation)
    for what, other, changed in _what_ifs(decision, situation):
        outcome = _outcome(other, changed)
        if outcome != now:
            yield f"{what} → {outcome}"


def _what_ifs(
    decision: RouteDecision, situation: Situation
) -> Iterator[tuple[str, RouteDecision, Situation]]:
    for name in dict.fromkeys(drop.backend.name for drop in decision.dropped):
        words, mended = _mend(name, decision, situation)
        if words:
            yield f"{name}: {' and '.join(words)}", mended.decide(decision.need), mended
    for what, loosened in _loosened(decision.need):
        if loosened != decision.need:
            yield f"the request: {what}", situation.decide(loosened), situation


def _mend(name: str, decision: RouteDecision, situation: Situation) -> tuple[list[str], Situation]:
    """Change all that can be changed about the backend and keeps the request from it."""
    words: list[str] = []
    while (drop := _mendable(name, decision)) is not None:
        fleet = {backend.name: backend for backend in situation.fleet}
        model = fleet[name].models[drop.model]
        word, fleet[name] = _MENDS[drop.stage](fleet[name], model, situation.at)
        words.append(word)
        situation = replace(situation, fleet=tuple(fleet.values()))
        decision = situation.decide(decision.need)
    return words, situation


def _mendable(name: str, decision: RouteDecision) -> Drop | None:
    drops = (drop for drop in decision.dropped if drop.backend.name == name)
    return next((drop for drop in drops if drop.stage in _MENDS), None)


def _loosened(need: Requirements) -> Iterator[tuple[str, Requirements]]:
    """The request with one of its demands gone, for its fallbacks too."""
    both = (need, *need.fallbacks)
    for what, loose in (
        (
            "not restricted",
            [replace(leg, zone=PrivacyZone.OPEN, rules=NO_POLICIES) for leg in both],
        ),
        ("no tier demanded", [replace(leg, min_tier=None) for leg in both]),
        ("not pinned", [replace(leg, backend=None) for leg in both]),
        ("flexible", [replace(leg, is_flexible=True) for leg in both]),
    ):
        yield what, replace(loose[0], fallbacks=tuple(loose[1:]))


def _outcome(decision: RouteDecision, situation: Situation) -> str:
    """In a few words; two outcomes are the same when these are."""
    if not decision.order:
        error = refuse(decision, (), Outlook(situation.at))  # its words are not looked at
        return f"{error.status} {error.code}"
    first = decision.order[0]
    model = f" with {first.model}" if first.model != decision.need.model else ""
    if situation.is_drawn:  # the reason is a matter of chance as well
        drawn = sorted(
            choice.backend.name for choice in decision.order if choice.model == first.model
        )
        return f"{' or '.join(drawn)}{model}"
    return f"{first.backend.name}{model}, {decision.reason}"
