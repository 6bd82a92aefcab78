"""Nobody can serve the request: which error that is, and what could be done about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from nexus_core.errors import (
    ActionableErrorContext,
    AvailabilityStatus,
    BackendStatus,
    BudgetExceededError,
    CapacityExceededError,
    ModelNotFoundError,
    NexusError,
    NoCapableBackendError,
    PrivacyConstraintError,
    ServiceUnavailableError,
)
from nexus_core.near_names import near_names
from nexus_core.registry import BackendSnapshot
from nexus_core.routing.candidates import BUSY, Drop, Stage
from nexus_core.routing.router import RouteDecision
from nexus_core.types import HealthStatus


@dataclass(frozen=True, slots=True)
class Outlook:
    """What else bears on when a refused request may be served."""

    at: float  # monotonic seconds, as for the decision
    queued: int = 0  # how many requests wait before this one
    budget_resets_in_seconds: int | None = None


def is_unknown(decision: RouteDecision) -> bool:
    """Whether no backend serves the model, and all have said what they serve."""
    return not decision.order and all(
        drop.stage is Stage.MODEL and drop.backend.models_known for drop in decision.dropped
    )


def asked_name(decision: RouteDecision) -> str:
    """The model as the client asked for it."""
    need = decision.need
    return need.resolved[0] if need.resolved else need.model


def refuse(
    decision: RouteDecision,
    known_names: Iterable[str],
    outlook: Outlook,
    *,
    may_use: Callable[[str], bool] | None = None,
) -> NexusError:
    """The error for a decision without candidates.

    Args:
        known_names: every model and alias that clients may ask for, for near names. Only looked
            through where the model is unknown; it takes milliseconds for thousands of them.
        may_use: whether the request could ask for one of these names instead; None: for any.
    """
    need = decision.need
    if is_unknown(decision):
        asked = asked_name(decision)
        return _model_not_found(asked, near_names(asked, known_names, suits=may_use))
    able = [drop for drop in decision.dropped if drop.stage is not Stage.MODEL]
    busy = [drop.backend for drop in able if drop.stage in BUSY]
    at = outlook.at
    eta = estimate_eta(busy, at, outlook.queued)
    if not busy and any(drop.stage is Stage.BUDGET for drop in able):
        eta = outlook.budget_resets_in_seconds
    backends = {drop.backend.name: drop.backend for drop in able}
    context = ActionableErrorContext(
        required_tier=need.min_tier,
        available_backends=tuple(_status(backend, at) for backend in backends.values()),
        eta_seconds=eta,
    )
    kind, message = _kind(able, decision)
    return kind(message, context)


def estimate_eta(busy: Sequence[BackendSnapshot], at: float, queued: int = 0) -> int | None:
    """Whole seconds until one of them may take a request; None when nothing is known.

    A slot frees after a service time, shared by all that are held: that is when one is expected
    where nothing is known of how far each has come. Those who wait already go first.
    """
    ahead = queued / len(busy) if busy else 0.0  # shared by the backends
    waits = [wait for backend in busy if (wait := _wait_seconds(backend, at, ahead)) is not None]
    return max(1, math.ceil(min(waits))) if waits else None


def _wait_seconds(backend: BackendSnapshot, at: float, ahead: float) -> float | None:
    rest = max(0.0, backend.rests_until - at) if backend.rests_until is not None else 0.0
    slots = 1 if backend.has_its_trial else backend.max_concurrent
    if slots is None or not (backend.is_full or backend.has_its_trial):
        return rest or None
    if backend.service_seconds is None:
        return None
    return max(rest, backend.service_seconds / slots * (1 + ahead))


def _model_not_found(model: str, near: Sequence[str]) -> ModelNotFoundError:
    hint = f"; did you mean {' or '.join(near)}?" if near else "; GET /v1/models lists what is"
    return ModelNotFoundError(f"the model {model!r} is not served here{hint}", param="model")


def _kind(able: list[Drop], decision: RouteDecision) -> tuple[type[ServiceUnavailableError], str]:
    model = decision.need.model
    if any(drop.stage is Stage.ZONE and drop.alone_but_for_time for drop in able):
        return PrivacyConstraintError, (
            f"the request is restricted, and no restricted backend can serve {model!r} now: "
            + _reasons(able)
        )
    busy = [drop for drop in able if drop.stage in BUSY]
    if busy:
        return CapacityExceededError, (
            f"every backend that may serve {model!r} is busy: " + _reasons(busy)
        )
    unaffordable = [drop for drop in able if drop.stage is Stage.BUDGET]
    if unaffordable:
        return BudgetExceededError, (
            f"money keeps every backend that could serve {model!r} from it: "
            + _reasons(unaffordable)
        )
    return NoCapableBackendError, f"no backend can serve {model!r} now: " + (
        _reasons(able or list(decision.dropped))
    )


def _reasons(drops: list[Drop]) -> str:
    return "; ".join(f"{drop.backend.name}: {drop.why}" for drop in drops)


def _rests(backend: BackendSnapshot, at: float) -> bool:
    return backend.rests_until is not None and at < backend.rests_until


def _status(backend: BackendSnapshot, at: float) -> BackendStatus:
    status: AvailabilityStatus = "healthy"
    if not backend.is_on:
        status = "disabled"
    elif backend.health is HealthStatus.UNHEALTHY:
        status = "unhealthy"
    elif backend.is_full or backend.has_its_trial or _rests(backend, at):
        status = "at_capacity"
    return BackendStatus(backend.name, status, backend.zone, backend.tier)
