"""Errors of requests without an eligible backend: their kind, reasons and retry time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from nexus_core.errors import (
    ActionableErrorContext,
    AvailabilityStatus,
    BackendStatus,
    BudgetExceededError,
    CapacityExceededError,
    ContextLengthError,
    CoordinationUnavailableError,
    EndpointNotServedError,
    ModelNotFoundError,
    NexusError,
    NoCapableBackendError,
    PrivacyConstraintError,
    ServiceUnavailableError,
    UnsupportedFieldsError,
)
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.near_names import near_names
from nexus_core.routing.known_names import KnownNames
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import RouteDecision
from nexus_core.routing.stages import BUSY, Drop, Stage, lacks_by_type
from nexus_core.types import Capability, HealthCause, HealthStatus

# What is asked of a whole endpoint, and what of a field.
_ENDPOINTS = {
    Capability.CHAT: "/v1/chat/completions",
    Capability.COMPLETIONS: "/v1/completions",
    Capability.EMBEDDINGS: "/v1/embeddings",
}
_PROMPT_FIELDS = {Capability.COMPLETIONS: "prompt", Capability.EMBEDDINGS: "input"}

_MAX_SUGGESTED = 3
_CUT_OFF_SECONDS = 1  # after which a request is worth another try


def is_unknown(decision: RouteDecision) -> bool:
    """Whether no backend serves the model, and all have said what they serve."""
    return not decision.order and all(
        drop.stage is Stage.MODEL and drop.backend.models_known for drop in decision.dropped
    )


def is_cut_off(decision: RouteDecision) -> bool:
    """Whether only word from the shared store is wanting, so that one may be awaited."""
    money = {Stage.BUDGET} if decision.context.is_money_cut_off else set[Stage]()
    return any(
        drop.stage is Stage.COORDINATION and drop.waits_but_for(money) for drop in decision.dropped
    )


def lacks_word(decision: RouteDecision) -> bool:
    """The same, for the open zone or for what others spend of a limited budget."""
    return is_cut_off(decision) or (
        decision.context.is_money_cut_off
        and any(drop.stage is Stage.BUDGET for drop in decision.dropped)
    )


def asked_name(decision: RouteDecision) -> str:
    """The model as the client asked for it."""
    need = decision.need
    return need.resolved[0] if need.resolved else need.model


def refuse(decision: RouteDecision, known_names: Iterable[str]) -> NexusError:
    """The error of a decision without candidates.

    Args:
        known_names: the models and aliases that clients may ask for, for near names that this
            request could use instead. Only looked through where the model is unknown; it takes
            milliseconds for thousands of them.
    """
    need, context = decision.need, decision.context
    if is_unknown(decision):
        asked = asked_name(decision)
        suits = KnownNames(context).usable_by(need)
        return _model_not_found(asked, near_names(asked, known_names, suits=suits))
    able = [drop for drop in decision.dropped if drop.stage is not Stage.MODEL]
    if (never := _never(decision)) is not None:
        return never
    busy = [drop for drop in able if drop.stage in BUSY]
    eta = estimate_eta(busy, context.at, context.queued)
    if is_cut_off(decision):
        eta = _CUT_OFF_SECONDS
    elif not busy and any(drop.stage is Stage.BUDGET for drop in able):
        eta = _CUT_OFF_SECONDS if context.is_money_cut_off else context.budget_resets_in_seconds
    actions = ActionableErrorContext(
        required_tier=need.min_tier,
        available_backends=tuple(_statuses(able, context.at)),
        eta_seconds=eta,
    )
    kind, message = _kind(able, decision)
    may_pass = any(_passes(drop, need) for drop in decision.dropped)
    return kind(message, actions, may_pass=may_pass)


def estimate_eta(busy: Sequence[Drop], at: float, queued: int = 0) -> int | None:
    """Estimated seconds until a busy backend is free; None if unknown.

    A slot frees after a service time, shared by all that are held: that is when one is expected
    where nothing is known of how far each has come. Those who wait already go first.
    """
    ahead = queued / len(busy) if busy else 0.0  # shared by the backends
    waits = [wait for drop in busy if (wait := _wait_seconds(drop, at, ahead)) is not None]
    return max(1, math.ceil(min(waits))) if waits else None


def _wait_seconds(drop: Drop, at: float, ahead: float) -> float | None:
    backend, rest = drop.backend, drop.cooldown_seconds(at)
    has_half_open_request = backend.has_half_open_request(backend.models[drop.model])
    slots = 1 if has_half_open_request else backend.max_concurrent
    if slots is None or not (backend.is_full or has_half_open_request):
        return rest or None
    if backend.service_seconds is None:
        return None
    return max(rest, backend.service_seconds / slots * (1 + ahead))


def _model_not_found(model: str, near: Sequence[str]) -> ModelNotFoundError:
    hint = f"; did you mean {' or '.join(near)}?" if near else "; GET /v1/models lists the models"
    return ModelNotFoundError(f"the model {model!r} is not served here{hint}", param="model")


def _never(decision: RouteDecision) -> NexusError | None:
    """The error where no backend could serve the request at any time, however it is.

    A matter of what servers of a type have at all, and of the longest window. What only the loaded
    model lacks (a llama without vision) may change with the next model, and stays a 503.
    """
    need = decision.need
    serving = [drop for drop in decision.dropped if drop.stage not in (Stage.MODEL, Stage.PIN)]
    if not serving or any(_may_yet_serve(drop, need) for drop in decision.dropped):
        return None
    windows = [
        window
        for drop in serving
        if not lacks_by_type(need, drop.backend) and (window := _short_window(drop, need))
    ]
    lacking = [drop for drop in serving if lacks_by_type(need, drop.backend)]
    if len(lacking) + len(windows) < len(serving):
        return None
    if windows:
        return _too_long(max(windows), decision)
    lacks = frozenset[Capability]().union(*(lacks_by_type(need, d.backend) for d in lacking))
    who = ", ".join(dict.fromkeys(f"{d.backend.name} is of type {d.backend.type}" for d in lacking))
    if (endpoint := next(iter(lacks & _ENDPOINTS.keys()), None)) is not None:
        return _no_endpoint(endpoint, who, decision)
    why = f"no backend that serves {need.model!r} supports {{}}: {who}"
    demand = need.demand
    return UnsupportedFieldsError(
        {
            demand.place_of(what) or "messages": _WHY.get(what) or why.format(what)
            for what in sorted(lacks)
        }
    )


# Where a word for what is lacking would not say what to do.
_WHY = {
    Capability.OLLAMA_FIELDS: "only backends of type ollama take it, and none serves the model",
    Capability.GOOGLE_FEATURES: "only backends of type google have it, and none serves the model",
    Capability.PROVIDER_TOOLS: "only backends of type anthropic run it, and none serves the model",
    Capability.STORED_RESPONSES: "Nexus keeps no responses, and no OpenAI backend serves the model;"
    " send the whole conversation as input, and no store",
}


def _passes(drop: Drop, need: Requirements) -> bool:
    """Whether what keeps the backend away may be over soon, with nobody's doing."""
    if drop.stage is Stage.HEALTHY:
        return drop.backend.cause is not HealthCause.AUTH
    if drop.stage is Stage.COORDINATION:
        return True
    return drop.stage in BUSY or _may_yet_serve(drop, need)


def _may_yet_serve(drop: Drop, need: Requirements) -> bool:
    """Its models are not known yet, and neither the pin nor its type keeps the request from it."""
    if drop.stage is not Stage.MODEL or drop.backend.models_known:
        return False
    is_meant = need.backend is None or need.backend == drop.backend.name
    return is_meant and not lacks_by_type(need, drop.backend)


def _short_window(drop: Drop, need: Requirements) -> int | None:
    """The model's window there, where it is known and the prompt is longer."""
    details = drop.backend.details.get(drop.backend.models[drop.model])
    window = details.context_tokens if details is not None else None
    return window if window is not None and need.demand.prompt_tokens > window else None


def _too_long(window: int, decision: RouteDecision) -> ContextLengthError:
    demand = decision.need.demand
    field = next(
        (name for what, name in _PROMPT_FIELDS.items() if what in demand.capabilities), None
    )
    return ContextLengthError.of(
        demand.prompt_tokens,
        window,
        f"no longer context window of {decision.need.model!r} is served here",
        param=field or "messages",
    )


def _no_endpoint(wanted: Capability, who: str, decision: RouteDecision) -> EndpointNotServedError:
    path = _ENDPOINTS[wanted]
    others = [
        backend.name
        for backend in {drop.backend.name: drop.backend for drop in decision.dropped}.values()
        if backend.is_on and backend.models and not lacks_by_type(decision.need, backend)
    ][:_MAX_SUGGESTED]
    hint = f"; models of {' or '.join(others)} may support it" if others else ""
    return EndpointNotServedError(
        f"no backend that serves {decision.need.model!r} supports {path}: {who}; "
        f"use {_ENDPOINTS[Capability.CHAT]}{hint}",
        param="model",
    )


def _kind(able: list[Drop], decision: RouteDecision) -> tuple[type[ServiceUnavailableError], str]:
    model = decision.need.model
    if any(drop.stage is Stage.ZONE and drop.alone_but_for_time for drop in able):
        return PrivacyConstraintError, (
            f"the request is restricted, and no restricted backend can serve {model!r} now: "
            + _reasons(able)
        )
    if is_cut_off(decision):
        stores = (drop.backend.silent_store for drop in able)
        store = next((one for one in stores if one is not None), "the fleet's store")
        return CoordinationUnavailableError, (
            f"the open zone is closed while {store} can't be reached, or knows too little, and "
            f"no other backend can serve {model!r} now: " + _reasons(able)
        )
    busy = [drop for drop in able if drop.stage in BUSY]
    if busy:
        return CapacityExceededError, (
            f"every backend that may serve {model!r} is busy: " + _reasons(busy)
        )
    unaffordable = [drop for drop in able if drop.stage is Stage.BUDGET]
    if unaffordable and decision.context.is_money_cut_off:
        return CoordinationUnavailableError, (
            f"no limited money may be spent on {model!r} now: " + _reasons(unaffordable)
        )
    if unaffordable:
        return BudgetExceededError, (
            f"the monthly budget blocks every backend that could serve {model!r}: "
            + _reasons(unaffordable)
        )
    return NoCapableBackendError, f"no backend can serve {model!r} now: " + (
        _reasons(able or list(decision.dropped))
    )


def _reasons(drops: list[Drop]) -> str:
    return "; ".join(f"{drop.backend.name}: {drop.why}" for drop in drops)


def _statuses(able: Sequence[Drop], at: float) -> Iterator[BackendStatus]:
    """Each backend once, as it is for the models that were asked of it."""
    for name in dict.fromkeys(drop.backend.name for drop in able):
        drops = [drop for drop in able if drop.backend.name == name]
        yield _status(drops[0].backend, any(_has_cooldown(drop, at) for drop in drops))


def _has_cooldown(drop: Drop, at: float) -> bool:
    model = drop.backend.models[drop.model]
    return any(cooldown.keeps_away(at) for cooldown in drop.backend.cooldowns_of(model))


def _status(backend: BackendSnapshot, has_cooldown: bool) -> BackendStatus:
    status: AvailabilityStatus = "healthy"
    if not backend.is_on:
        status = "disabled"
    elif backend.health is HealthStatus.UNHEALTHY:
        status = "unhealthy"
    elif backend.is_full or has_cooldown:
        status = "at_capacity"
    return BackendStatus(backend.name, status, backend.zone, backend.tier)
