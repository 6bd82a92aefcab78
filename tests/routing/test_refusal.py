import pytest

from nexus_core.errors import (
    CapacityExceededError,
    ModelNotFoundError,
    NoCapableBackendError,
    PrivacyConstraintError,
    ServiceUnavailableError,
)
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.refusal import refuse
from nexus_core.routing.requirements import Requirements
from nexus_core.types import HealthStatus, PrivacyZone
from tests.made_up_backends import MODEL, cooldown, decide, snapshot

OPEN, RESTRICTED = PrivacyZone.OPEN, PrivacyZone.RESTRICTED
FULL = {"max_concurrent": 1, "in_flight": 1}
TRIED = cooldown(9.0, is_circuit_open=True, is_tried=True)
ON_TRIAL = {"cooldown": TRIED, "in_flight": 1}
ELSEWHERE = {"cooldowns": {"another-model": cooldown(12.0)}}


def refusal(need: Requirements, *fleet: BackendSnapshot) -> ServiceUnavailableError:
    error = refuse(decide(need, *fleet, at=10), [MODEL])
    assert isinstance(error, ServiceUnavailableError)
    return error


@pytest.mark.parametrize(
    ("changes", "kind", "status"),
    [
        ({"zone": OPEN}, PrivacyConstraintError, "healthy"),
        ({"zone": OPEN, **FULL}, PrivacyConstraintError, "at_capacity"),
        ({"zone": OPEN, "enabled": False}, NoCapableBackendError, "disabled"),
        (
            {"zone": OPEN, "health": HealthStatus.UNHEALTHY},
            NoCapableBackendError,
            "unhealthy",
        ),
        (FULL, CapacityExceededError, "at_capacity"),
        ({"cooldown": cooldown(12.0)}, CapacityExceededError, "at_capacity"),
        ({"cooldowns": {MODEL: cooldown(12.0)}}, CapacityExceededError, "at_capacity"),
        ({"cooldowns": {MODEL: TRIED}}, CapacityExceededError, "at_capacity"),
        ({**ELSEWHERE, "tier": 1}, NoCapableBackendError, "healthy"),
        (ON_TRIAL, CapacityExceededError, "at_capacity"),
        ({"enabled": False}, NoCapableBackendError, "disabled"),
        ({"health": HealthStatus.UNHEALTHY}, NoCapableBackendError, "unhealthy"),
        ({"tier": 1}, NoCapableBackendError, "healthy"),
    ],
)
def test_the_code_tells_what_stands_in_the_way(
    changes: dict[str, object], kind: type[ServiceUnavailableError], status: str
) -> None:
    error = refusal(Requirements(MODEL, zone=RESTRICTED, min_tier=2), snapshot("x", **changes))

    assert type(error) is kind
    assert error.context.required_tier == 2
    (listed,) = error.context.available_backends
    assert (listed.name, listed.status) == ("x", status)
    assert "x: " in error.message


def test_privacy_goes_before_capacity() -> None:
    error = refusal(
        Requirements(MODEL, zone=RESTRICTED), snapshot("full", **FULL), snapshot("cloud", zone=OPEN)
    )

    assert error.code == "privacy_constraint_violation"


def test_a_model_nobody_serves_is_a_404_with_near_names() -> None:
    error = refuse(decide(Requirements("lama3:70b"), snapshot()), [MODEL, "qwen"])

    assert isinstance(error, ModelNotFoundError)
    assert error.status == 404
    assert MODEL in error.message
    assert "qwen" not in error.message


def test_a_model_is_not_said_to_be_unknown_while_a_backend_has_not_listed_its_own() -> None:
    error = refusal(Requirements("other"), snapshot(models={}, models_known=False))

    assert error.code == "no_capable_backend"
    assert "its models are not known yet" in error.message


@pytest.mark.parametrize(
    ("changes", "eta"),
    [
        (FULL, None),
        ({**FULL, "service_seconds": 7.5}, 8),
        ({"max_concurrent": 4, "in_flight": 4, "service_seconds": 6.0}, 2),
        ({"cooldown": cooldown(40.0)}, 30),
        ({"cooldown": cooldown(40.0), **FULL, "service_seconds": 5.0}, 30),
        ({"cooldown": cooldown(10.01)}, 1),
        ({"cooldowns": {MODEL: cooldown(40.0)}}, 30),
        ({"cooldown": cooldown(20.0), "cooldowns": {MODEL: cooldown(40.0)}}, 30),
        ({"cooldown": cooldown(40.0), "cooldowns": {MODEL: cooldown(20.0)}}, 30),
        ({**ELSEWHERE, **FULL, "service_seconds": 1.5}, 2),
        ({"cooldowns": {MODEL: TRIED}, "in_flight": 3, "service_seconds": 4.0}, 4),
        (ON_TRIAL, None),
        ({**ON_TRIAL, "service_seconds": 4.0}, 4),
        ({"enabled": False}, None),
    ],
)
def test_the_eta_is_when_a_slot_or_a_cooldown_is_expected_to_end(
    changes: dict[str, object], eta: int | None
) -> None:
    error = refusal(Requirements(MODEL), snapshot("x", **changes))

    assert error.context.eta_seconds == eta


def test_the_eta_is_that_of_the_first_backend_that_will_be_free() -> None:
    slow = snapshot("slow", **FULL, service_seconds=60.0)

    error = refusal(Requirements(MODEL), slow, snapshot("soon", cooldown=cooldown(13.0)))

    assert error.context.eta_seconds == 3
    assert [status.name for status in error.context.available_backends] == ["slow", "soon"]


@pytest.mark.parametrize("store", ["the fleet's store", "the workers' store"])
def test_a_closed_open_zone_is_refused_with_the_name_of_the_store_that_is_silent(
    store: str,
) -> None:
    error = refusal(Requirements(MODEL), snapshot("x", zone=OPEN, silent_store=store))

    assert (error.code, error.context.eta_seconds) == ("coordination_unavailable", 1)
    assert f"while {store} can't be reached" in error.message
    assert f"no word from {store}" in error.message
