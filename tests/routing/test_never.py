"""What no backend could serve at any time is a 4xx; what one may serve later stays a 503."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given

from nexus_core.api.errors import error_headers
from nexus_core.catalog import BackendType
from nexus_core.dialects.request import Demand
from nexus_core.errors import (
    AuthenticationError,
    InvalidRequestError,
    ModelNotFoundError,
    NexusError,
    PayloadTooLargeError,
    UpstreamFailedError,
)
from nexus_core.fleet.circuit import Cooldown
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.refusal import refuse
from nexus_core.routing.requirements import Requirements
from nexus_core.types import Capability, HealthCause, HealthStatus, ModelDetails, PrivacyZone
from tests.made_up_backends import MODEL, decide, fleets, snapshot

CHAT, AUDIO = Capability.CHAT, Capability.AUDIO
PLACE = "messages[2].content[0]"
HEARS = Demand(capabilities=frozenset({CHAT, AUDIO}), places=((AUDIO, PLACE),))
EMBEDS = Demand(capabilities=frozenset({Capability.EMBEDDINGS}))
COMPLETES = Demand(capabilities=frozenset({Capability.COMPLETIONS}))
LONG = Demand(capabilities=frozenset({CHAT}), prompt_tokens=50_000)
OFF: dict[str, Any] = {"enabled": False}
SICK: dict[str, Any] = {"health": HealthStatus.UNHEALTHY}
FULL: dict[str, Any] = {"max_concurrent": 1, "in_flight": 1}


def claude(name: str = "claude", **changes: Any) -> BackendSnapshot:
    return snapshot(name, **{"type": BackendType.ANTHROPIC, "zone": PrivacyZone.OPEN, **changes})


def gemini(**changes: Any) -> BackendSnapshot:
    return snapshot("gemini", **{"type": BackendType.GOOGLE, "zone": PrivacyZone.OPEN, **changes})


def window(tokens: int) -> dict[str, Any]:
    return {"details": {MODEL: ModelDetails(context_tokens=tokens)}}


def refused(demand: Demand, *fleet: BackendSnapshot, **needs: Any) -> NexusError:
    need = Requirements(MODEL, demand=demand, **needs)
    return refuse(decide(need, *fleet, at=10), [MODEL])


@pytest.mark.parametrize(
    ("demand", "fleet", "status", "code", "param"),
    [
        (HEARS, [claude()], 422, "unsupported_parameter", PLACE),
        (HEARS, [claude(**OFF)], 422, "unsupported_parameter", PLACE),
        (HEARS, [claude(**SICK), claude("two", **FULL)], 422, "unsupported_parameter", PLACE),
        (EMBEDS, [claude()], 404, "endpoint_not_supported", "model"),
        (COMPLETES, [claude()], 404, "endpoint_not_supported", "model"),
        (COMPLETES, [gemini(), claude()], 404, "endpoint_not_supported", "model"),
        (LONG, [snapshot(**window(8192))], 400, "context_length_exceeded", "messages"),
        (LONG, [snapshot(**window(8192), **FULL)], 400, "context_length_exceeded", "messages"),
        # Somebody may serve it later, or it is not known that nobody can.
        (HEARS, [claude(), snapshot(**OFF)], 503, "no_capable_backend", None),
        (HEARS, [claude(), snapshot(**SICK)], 503, "no_capable_backend", None),
        (HEARS, [claude(), snapshot(**FULL)], 503, "capacity_exceeded", None),
        (HEARS, [claude(), gemini(**SICK)], 503, "no_capable_backend", None),
        (
            EMBEDS,
            [claude(), snapshot(models=MappingProxyType({}), models_known=False)],
            503,
            "no_capable_backend",
            None,
        ),
        (LONG, [snapshot(**window(8192)), snapshot("b", **SICK)], 503, "no_capable_backend", None),
        # What the loaded model lacks may be another tomorrow.
        (
            Demand(capabilities=frozenset({CHAT, Capability.VISION})),
            [snapshot(details={MODEL: ModelDetails(lacks=frozenset({Capability.VISION}))})],
            503,
            "no_capable_backend",
            None,
        ),
    ],
)
def test_what_nobody_can_ever_do_is_a_4xx(
    demand: Demand, fleet: list[BackendSnapshot], status: int, code: str, param: str | None
) -> None:
    error = refused(demand, *fleet)

    assert (error.status, error.code, error.param) == (status, code, param)


def test_only_the_pinned_backend_counts() -> None:
    hears = snapshot("hears", **OFF)

    assert refused(HEARS, claude(), hears, backend="claude").status == 422
    assert refused(HEARS, claude(), hears, backend="hears").status == 503


def test_a_fallback_that_could_do_it_counts() -> None:
    other = Requirements("other", demand=HEARS)
    able = snapshot("able", models=MappingProxyType({"other": "other"}), **SICK)

    assert refused(HEARS, claude(), fallbacks=(other,)).status == 422
    assert refused(HEARS, claude(), able, fallbacks=(other,)).status == 503


def test_a_restriction_is_not_blamed_for_what_the_open_zone_could_not_do_either() -> None:
    assert refused(HEARS, claude(), zone=PrivacyZone.RESTRICTED).status == 422


def test_the_message_says_who_lacks_what_and_what_may_have_it() -> None:
    other = snapshot("local", models=MappingProxyType({"nomic": "nomic"}))

    error = refused(EMBEDS, claude(), other)

    assert error.message == (
        f"no backend that serves '{MODEL}' supports /v1/embeddings: claude is of type anthropic; "
        "use /v1/chat/completions; models of local may support it"
    )


@pytest.mark.parametrize(
    ("fleet", "needs", "is_final"),
    [
        ([snapshot(**SICK)], {}, False),
        ([snapshot(**FULL)], {}, False),
        ([snapshot(cooldown=Cooldown(until=20.0, why="answered 429"))], {}, False),
        ([snapshot(models=MappingProxyType({}), models_known=False)], {}, False),
        ([snapshot(**SICK, cause=HealthCause.AUTH)], {}, True),
        ([snapshot(**OFF)], {}, True),
        ([snapshot(tier=1)], {"min_tier": 2}, True),
        ([snapshot(zone=PrivacyZone.OPEN)], {"zone": PrivacyZone.RESTRICTED}, True),
        (
            [snapshot(zone=PrivacyZone.OPEN), snapshot("b", **SICK)],
            {"zone": PrivacyZone.RESTRICTED},
            False,
        ),
        ([snapshot()], {"backend": "other"}, True),
        ([claude()], {"demand": HEARS}, True),
    ],
)
def test_a_refusal_that_no_retry_can_mend_says_so(
    fleet: list[BackendSnapshot], needs: dict[str, Any], is_final: bool
) -> None:
    error = refused(needs.pop("demand", Demand()), *fleet, **needs)

    assert ((b"x-should-retry", b"false") in error_headers(error)) is is_final


def test_what_is_too_dear_is_not_asked_again() -> None:
    spent = {"money": lambda *_: "the monthly budget is spent", "budget_resets_in_seconds": 60}

    error = refuse(decide(Requirements(MODEL), snapshot(), **spent), [MODEL])

    assert error.code == "budget_exceeded"
    assert {(b"x-should-retry", b"false"), (b"retry-after", b"60")} <= set(error_headers(error))


@pytest.mark.parametrize(
    ("error", "is_final"),
    [
        (InvalidRequestError("x"), True),
        (AuthenticationError("x"), True),
        (ModelNotFoundError("x"), True),
        (PayloadTooLargeError("x"), True),
        (NexusError("x"), False),
        (UpstreamFailedError("x"), False),
        (UpstreamFailedError("x", status=503, code="shutting_down"), False),
        (UpstreamFailedError("x", status=429), False),
        (UpstreamFailedError("x", status=408), False),
    ],
)
def test_a_4xx_is_final_and_a_failure_is_not(error: NexusError, is_final: bool) -> None:
    assert ((b"x-should-retry", b"false") in error_headers(error)) is is_final


@given(fleet=fleets())
def test_it_is_a_4xx_exactly_if_every_backend_of_the_model_lacks_it_by_type(
    fleet: tuple[BackendSnapshot, ...],
) -> None:
    decision = decide(Requirements(MODEL, demand=EMBEDS), *fleet, at=10)
    if decision.order:
        return
    may = [b for b in fleet if MODEL in b.models or not b.models_known]
    serving = [b for b in fleet if MODEL in b.models]
    lacking = [b for b in may if Capability.EMBEDDINGS in b.type.lacks]

    error = refuse(decision, [MODEL])

    is_never = bool(serving) and lacking == may
    assert (error.code == "endpoint_not_supported") is is_never
