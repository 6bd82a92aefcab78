"""Routing stages: the checks of a backend, each with the reason for dropping it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Set
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.requirements import NO_POLICIES, Requirements
from nexus_core.types import Capability, HealthStatus, PrivacyZone


class Stage(StrEnum):
    """The routing stages, in order."""

    MODEL = "model"
    PIN = "pin"
    TRIED = "tried"
    ENABLED = "enabled"
    ZONE = "zone"
    TIER = "tier"
    CAPABLE = "capable"
    HEALTHY = "healthy"
    COORDINATION = "coordination"
    BUDGET = "budget"
    COOLDOWN = "cooldown"
    CAPACITY = "capacity"

    @property
    def word(self) -> str:
        """For people, as long as a column has room."""
        return "permitted" if self is Stage.COORDINATION else self.value


# What passes by itself: a backend dropped here is eligible, and may serve the request later.
BUSY = frozenset({Stage.COOLDOWN, Stage.CAPACITY})

# Where it matters whether later stages would have dropped the backend too: the route reason, the
# code of a refusal and the queue follow from it. Elsewhere it is not asked.
REASONED = BUSY | {Stage.ZONE}
# The same, but for what has no part in the route reason.
_ASKED_FURTHER = REASONED | {Stage.COORDINATION}
_PASSES = BUSY | {Stage.COORDINATION}


class Drop(NamedTuple):
    """A dropped backend, its stage and the reason."""

    backend: BackendSnapshot
    stage: Stage
    why: str  # for people
    also: tuple[Stage, ...]  # the later stages that would have dropped it too, of some stages
    model: str  # for which of the asked and the fallback models

    def cooldown_seconds(self, at: float) -> float:
        """How long the backend still keeps requests for the model away; 0 when it does not."""
        return self.backend.cooldown_seconds(self.backend.models[self.model], at)

    @property
    def alone(self) -> bool:
        """Nothing but this stage, which is one of REASONED, keeps the backend from serving."""
        return self.stage in REASONED and not self.also

    @property
    def alone_but_for_time(self) -> bool:
        """Without this stage, if its `also` was asked, it would be eligible, if only by a wait."""
        return self.stage in _ASKED_FURTHER and _PASSES.issuperset(self.also)

    def waits_but_for(self, others: Set[Stage]) -> bool:
        """The same, if these stages would not drop it either."""
        return self.stage in _ASKED_FURTHER and _PASSES.issuperset({*self.also} - others)


def serves_model(need: Requirements, backend: BackendSnapshot, _: object = None) -> str | None:
    if need.model in backend.models:
        return None
    return (
        f"does not serve {need.model}" if backend.models_known else "its models are not known yet"
    )


def is_pinned(need: Requirements, backend: BackendSnapshot, _: object = None) -> str | None:
    if need.backend is None or need.backend == backend.name:
        return None
    return f"the request is pinned to {need.backend}"


def is_untried(_: Requirements, backend: BackendSnapshot, context: RoutingContext) -> str | None:
    failure = context.tried.get(backend.name)
    return None if failure is None else f"tried: {failure}"


def is_enabled(_: Requirements, backend: BackendSnapshot, __: object) -> str | None:
    if not backend.enabled:
        return "switched off"
    return None if backend.zone_enabled else f"the {backend.zone} zone is switched off"


def is_in_allowed_zone(
    need: Requirements, backend: BackendSnapshot, _: object = None
) -> str | None:
    if backend.zone is PrivacyZone.RESTRICTED:
        return None
    if need.zone is PrivacyZone.RESTRICTED:
        return "zone open, the request is restricted"
    rule = need.rule_for(backend.models[need.model])
    if rule is None or rule.privacy is not PrivacyZone.RESTRICTED:
        return None
    return f"zone open, and {backend.models[need.model]} is restricted by {rule.model_pattern}"


def meets_tier(need: Requirements, backend: BackendSnapshot, _: object = None) -> str | None:
    wanted, rule = need.min_tier, need.rule_for(backend.models[need.model])
    if rule is not None and rule.min_tier is not None:
        wanted = max(rule.min_tier, wanted or 0)
    if wanted is None or (backend.tier is not None and backend.tier >= wanted):
        return None
    has = "no tier" if backend.tier is None else f"tier {backend.tier}"
    return f"{has}, minimum is {wanted}"


def is_capable(need: Requirements, backend: BackendSnapshot, _: object = None) -> str | None:
    demand = need.demand
    details = backend.details.get(backend.models[need.model])
    lacks = backend.type.lacks
    if details is not None:
        lacks |= details.lacks
    if missing := lacks & demand.capabilities:
        return "does not support " + ", ".join(sorted(missing))
    window = details.context_tokens if details is not None else None
    if window is not None and demand.prompt_tokens > window:
        return f"context window of {window:,} tokens, the prompt has about {demand.prompt_tokens:,}"
    return None


def lacks_by_type(need: Requirements, backend: BackendSnapshot) -> frozenset[Capability]:
    """What the request needs and no server of the backend's type does, whatever its model."""
    return backend.type.lacks & need.demand.capabilities


def is_healthy(_: Requirements, backend: BackendSnapshot, __: object) -> str | None:
    if backend.health is not HealthStatus.UNHEALTHY:
        return None
    return f"unhealthy: {backend.detail}" if backend.detail else "unhealthy"


def has_word(_: Requirements, backend: BackendSnapshot, __: object) -> str | None:
    """Cut off from what replicas share, nobody knows whether the open zone was cut elsewhere."""
    store = backend.silent_store
    return None if store is None else f"the open zone is closed: no word from {store}"


def is_affordable(
    need: Requirements, backend: BackendSnapshot, context: RoutingContext
) -> str | None:
    if context.money is None:
        return None
    return context.money(backend, backend.models[need.model])


def has_no_cooldown(
    need: Requirements, backend: BackendSnapshot, context: RoutingContext
) -> str | None:
    whole, models = backend.cooldown, backend.cooldowns
    if whole is not None and whole.keeps_away(context.at):
        return f"cooldown, {whole.note(context.at)}"
    if not models:
        return None
    model = backend.models[need.model]
    one = models.get(model)
    if one is not None and one.keeps_away(context.at):
        return f"cooldown of {model}, {one.note(context.at)}"
    return None


def has_free_slot(_: Requirements, backend: BackendSnapshot, __: object) -> str | None:
    most = backend.most
    if most is None or backend.in_flight < most:
        return None
    full = f"full: {backend.in_flight}/{backend.max_concurrent}"
    return full if backend.slots is None else f"{full}, other replicas use the rest"


_Check = Callable[[Requirements, BackendSnapshot, RoutingContext], str | None]

# These look at no context.
_LASTING: Mapping[Stage, Callable[[Requirements, BackendSnapshot, object], str | None]] = {
    Stage.MODEL: serves_model,
    Stage.PIN: is_pinned,
    Stage.ENABLED: is_enabled,
    Stage.ZONE: is_in_allowed_zone,
    Stage.TIER: meets_tier,
    Stage.CAPABLE: is_capable,
    Stage.HEALTHY: is_healthy,
    Stage.COORDINATION: has_word,
}
# What changes with each request, or by the second: its failed attempts, money, time and load.
_OF_THE_MOMENT: Mapping[Stage, _Check] = {
    Stage.TRIED: is_untried,
    Stage.BUDGET: is_affordable,
    Stage.COOLDOWN: has_no_cooldown,
    Stage.CAPACITY: has_free_slot,
}
_STAGES: Mapping[Stage, _Check] = {
    stage: _LASTING.get(stage) or _OF_THE_MOMENT[stage] for stage in Stage
}
_InOrder = tuple[tuple[Stage, _Check], ...]


@cache
def _steps(
    *, pin: bool, tried: bool, zone: bool, tier: bool, budget: bool
) -> tuple[tuple[Stage, _Check, _InOrder], ...]:
    """The stages that may drop a backend, each with what is asked after it.

    Args: whether each of these stages may drop one; all others may.
    """
    asked = {
        Stage.PIN: pin,
        Stage.TRIED: tried,
        Stage.ZONE: zone,
        Stage.TIER: tier,
        Stage.BUDGET: budget,
    }
    order = tuple((stage, check) for stage, check in _STAGES.items() if asked.get(stage, True))
    return tuple(
        (stage, check, order[place:] if stage in _ASKED_FURTHER else ())
        for place, (stage, check) in enumerate(order, 1)
    )


# What the request itself demands, whatever the backend is like now. These look at no context.
DEMANDS = (Stage.MODEL, Stage.PIN, Stage.ZONE, Stage.TIER, Stage.CAPABLE)


def lasting_drops(need: Requirements, backend: BackendSnapshot) -> frozenset[Stage]:
    """The stages that drop the backend whatever the moment, as long as it is like this.

    Ask with an empty prompt where the answer has to hold for prompts of any length.
    """
    if serves_model(need, backend) is not None:
        return frozenset({Stage.MODEL})  # the others look the model up
    return frozenset(
        stage for stage, check in _LASTING.items() if check(need, backend, None) is not None
    )


def suits(need: Requirements, backend: BackendSnapshot) -> bool:
    """Whether the backend could ever serve the request."""
    for stage in DEMANDS:  # noqa: SIM110  all() and its generator take longer
        if _LASTING[stage](need, backend, None) is not None:
            return False
    return True


def select(need: Requirements, context: RoutingContext) -> tuple[list[BackendSnapshot], list[Drop]]:
    """Split the fleet into eligible and dropped backends, with reasons."""
    kept: list[BackendSnapshot] = []
    dropped: list[Drop] = []
    # A stage that can drop nobody for this request is not asked of each backend.
    has_rules = need.rules is not NO_POLICIES
    steps = _steps(
        pin=need.backend is not None,
        tried=bool(context.tried),
        zone=has_rules or need.zone is not PrivacyZone.OPEN,
        tier=has_rules or need.min_tier is not None,
        budget=context.money is not None,
    )
    for backend in context.fleet:
        for stage, check, later in steps:
            why = check(need, backend, context)
            if why is not None:
                also = [name for name, check in later if check(need, backend, context) is not None]
                dropped.append(Drop(backend, stage, why, tuple(also), need.model))
                break
        else:
            kept.append(backend)
    return kept, dropped
