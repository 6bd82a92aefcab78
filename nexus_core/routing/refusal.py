"""Nobody can serve the request: which error that is, and what could be done about it."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from nexus_core.errors import (
    ActionableErrorContext,
    AvailabilityStatus,
    BackendStatus,
    CapacityExceededError,
    ModelNotFoundError,
    NexusError,
    NoCapableBackendError,
    PrivacyConstraintError,
    ServiceUnavailableError,
)
from nexus_core.registry import BackendSnapshot
from nexus_core.routing.candidates import Drop, Stage
from nexus_core.routing.router import RouteDecision
from nexus_core.types import HealthStatus


def refuse(decision: RouteDecision, known_names: Sequence[str]) -> NexusError:
    """The error for a decision without candidates.

    Args:
        known_names: every model and alias that clients may ask for, for near names.
    """
    need = decision.need
    able = [drop for drop in decision.dropped if drop.stage is not Stage.MODEL]
    if not able and all(drop.backend.models_known for drop in decision.dropped):
        return _model_not_found(need.resolved[0] if need.resolved else need.model, known_names)
    context = ActionableErrorContext(
        required_tier=need.min_tier,
        available_backends=tuple(_status(drop.backend) for drop in able),
        eta_seconds=None,
    )
    kind, message = _kind(able, decision)
    return kind(message, context)


def _model_not_found(model: str, known_names: Sequence[str]) -> ModelNotFoundError:
    near = get_close_matches(model, known_names, n=3, cutoff=0.6)
    hint = f"; did you mean {' or '.join(near)}?" if near else "; GET /v1/models lists what is"
    return ModelNotFoundError(f"the model {model!r} is not served here{hint}", param="model")


def _kind(able: list[Drop], decision: RouteDecision) -> tuple[type[ServiceUnavailableError], str]:
    model = decision.need.model
    if any(drop.stage is Stage.ZONE and drop.alone_but_for_capacity for drop in able):
        return PrivacyConstraintError, (
            f"the request is restricted, and no restricted backend can serve {model!r} now: "
            + _reasons(able)
        )
    in_reach = [drop for drop in able if drop.stage is Stage.CAPACITY]
    if in_reach:
        return CapacityExceededError, f"every backend that may serve {model!r} is busy: " + (
            _reasons(in_reach)
        )
    return NoCapableBackendError, f"no backend can serve {model!r} now: " + (
        _reasons(able or list(decision.dropped))
    )


def _reasons(drops: list[Drop]) -> str:
    return "; ".join(f"{drop.backend.name}: {drop.why}" for drop in drops)


def _status(backend: BackendSnapshot) -> BackendStatus:
    status: AvailabilityStatus = "healthy"
    if not backend.enabled:
        status = "disabled"
    elif backend.health is HealthStatus.UNHEALTHY:
        status = "unhealthy"
    elif backend.is_full:
        status = "at_capacity"
    return BackendStatus(backend.name, status, backend.zone, backend.tier)
