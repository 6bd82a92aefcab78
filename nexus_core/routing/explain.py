"""Explain a route: stages, candidates, choice or refusal, possible changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from nexus_core.aliases import followed_aliases
from nexus_core.catalog import BackendType
from nexus_core.dialects.request import NO_DEMAND, Demand
from nexus_core.errors import ActionableErrorContext, ServiceUnavailableError
from nexus_core.routing.known_names import KnownNames
from nexus_core.routing.refusal import refuse
from nexus_core.routing.requirements import NO_HINTS, Requirements, RoutingHints
from nexus_core.routing.router import Choice, RouteDecision
from nexus_core.routing.scoring import total
from nexus_core.routing.stages import Drop, Stage
from nexus_core.routing.what_if import would_change
from nexus_core.types import Capability, HealthStatus, PrivacyZone, RouteReason

_DRAWN = "the order is random for each request; this is one sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A hypothetical request to explain, described by its facts, without a prompt."""

    model: str
    hints: RoutingHints = NO_HINTS
    demand: Demand = NO_DEMAND
    client: str | None = None  # the client key whose budget and limits hold, by its name
    usable: tuple[str, ...] = ()  # backends to imagine on, healthy, free and without cooldown


@dataclass(frozen=True, slots=True)
class Dropped:
    """A dropped backend, and why."""

    backend: str
    why: str  # for people


@dataclass(frozen=True, slots=True)
class StageCount:
    """Numbers of backends before and after one routing stage."""

    stage: Stage
    before: int
    after: int
    dropped: tuple[Dropped, ...]


@dataclass(frozen=True, slots=True)
class ModelStages:
    """The routing stages of one model: the asked one or a fallback."""

    model: str
    resolved: tuple[str, ...]  # the name as asked or configured, then each alias it went through
    policies: tuple[str, ...]  # the patterns that matched
    zone: PrivacyZone
    stages: tuple[StageCount, ...]
    aliases: tuple[str, ...] = ()  # of each step in `resolved`, as configured: a name or a glob

    @property
    def path(self) -> list[str]:
        """`resolved` for people, with the glob of each step that a glob led to."""
        aliases = self.aliases or self.resolved  # an older Nexus tells none
        steps = zip(self.resolved, aliases, self.resolved[1:], strict=False)
        told = [name if alias == asked else f"{name} ({alias})" for asked, alias, name in steps]
        return [*self.resolved[:1], *told]


@dataclass(frozen=True, slots=True)
class Term:
    """A score term; it adds weight times value to the score."""

    name: str
    weight: float
    value: float  # 0 to 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A candidate backend, with its position and score."""

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
    """The chosen route, as in the X-Nexus-* headers."""

    backend: str
    backend_type: str  # local or cloud
    zone: PrivacyZone
    model: str  # the backend's own name
    reason: RouteReason
    first_byte_timeout_seconds: float | None = None  # of a stream; None: not told
    estimated_usd: float | None = None  # of a cloud's answer; None: its price is unknown, or local


@dataclass(frozen=True, slots=True)
class Refused:
    """The error of a refused request."""

    status: int
    code: str
    message: str
    context: ActionableErrorContext | None  # of a 503


@dataclass(frozen=True, slots=True)
class TranslationReport:
    """Translation of the request's fields for a provider with an API of its own."""

    dropped: tuple[str, ...] = ()  # sampling hints that the model does not take
    ignored: tuple[str, ...] = ()  # without effect on the answer
    changed: tuple[str, ...] = ()  # for people: "temperature 1.4 → 1.0"
    unsupported: Mapping[str, str] = field(default_factory=dict[str, str])  # path to why: a 422


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Explanation of a route; exactly one of `chosen` and `refused` is set."""

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


def explain(decision: RouteDecision, names: Iterable[str] | None = None) -> Explanation:
    """Explain a decision in the context it was made in.

    Args:
        names: where to look for names near to one that nobody serves; None: all that are known.
    """
    need, context = decision.need, decision.context
    is_drawn = context.strategy.is_drawn and len(decision.order) > 1
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
        strategy=context.strategy.routing.strategy,
        note=_DRAWN if is_drawn else None,
        models=tuple(_model_stages(decision)),
        candidates=tuple(_candidate(*numbered) for numbered in enumerate(decision.order, 1)),
        chosen=_chosen(decision),
        refused=_refused(decision, KnownNames(context) if names is None else names),
        wait_seconds=context.wait_seconds if _may_wait(decision) else None,
        would_change=tuple(would_change(decision)),
    )


def as_json(explanation: Explanation) -> dict[str, Any]:
    """The explanation as JSON values; pydantic reads it back."""
    return asdict(explanation)


def _resolved(need: Requirements) -> tuple[str, ...]:
    return need.resolved or (need.model,)


def _may_wait(decision: RouteDecision) -> bool:
    return not decision.order and bool(decision.waits_for)


def _model_stages(decision: RouteDecision) -> Iterator[ModelStages]:
    # Two fallbacks may be names of one model: it is explained once.
    asked = {one.model: one for one in reversed(decision.need.candidate_models)}
    for one in reversed(asked.values()):
        stages = tuple(_stages(one.model, decision))
        resolved = _resolved(one)
        followed = followed_aliases(resolved, decision.context.strategy.routing.aliases)
        yield ModelStages(one.model, resolved, one.policies, one.zone, stages, followed)


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
        score=total(choice.score) if choice.score else None,
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


def _refused(decision: RouteDecision, names: Iterable[str]) -> Refused | None:
    if decision.order:
        return None
    error = refuse(decision, names)
    context = error.context if isinstance(error, ServiceUnavailableError) else None
    return Refused(error.status, error.code, error.message, context)
