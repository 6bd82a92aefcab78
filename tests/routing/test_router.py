from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.registry import BackendSnapshot
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import route
from nexus_core.types import BackendType, HealthStatus, PrivacyZone, RouteReason
from tests.fleet import MODEL, fleets, snapshot

OPEN, RESTRICTED = PrivacyZone.OPEN, PrivacyZone.RESTRICTED
NEED = Requirements(MODEL)


def names(backends: tuple[BackendSnapshot, ...]) -> list[str]:
    return [backend.name for backend in backends]


def test_priority_goes_first_then_local_then_the_smaller_load_then_the_order_of_the_file() -> None:
    fleet = (
        snapshot("low", priority=1),
        snapshot("cloud", type=BackendType.OPENAI),
        snapshot("busy", max_concurrent=2, in_flight=1),
        snapshot("first"),
        snapshot("second"),
    )

    assert names(route(NEED, fleet).order) == ["first", "second", "busy", "cloud", "low"]


@pytest.mark.parametrize(
    ("changes", "stage", "why"),
    [
        ({"models": MappingProxyType({})}, "model", "does not serve llama3:70b"),
        ({"models": {}, "models_known": False}, "model", "its models are not known"),
        ({"enabled": False}, "enabled", "switched off"),
        ({"zone": OPEN}, "zone", "zone open, the request is restricted"),
        ({"tier": 1}, "tier", "tier 1, 2 is demanded"),
        ({"tier": None}, "tier", "no tier, 2 is demanded"),
        ({"health": HealthStatus.UNHEALTHY, "detail": "refused"}, "healthy", "unhealthy: refused"),
        ({"max_concurrent": 2, "in_flight": 2}, "capacity", "full: 2/2"),
    ],
)
def test_a_dropped_backend_is_kept_in_the_decision_with_its_stage_and_reason(
    changes: dict[str, object], stage: str, why: str
) -> None:
    need = Requirements(MODEL, zone=RESTRICTED, min_tier=2)

    decision = route(need, (snapshot("out", **changes), snapshot("in")))

    assert names(decision.order) == ["in"]
    kept, dropped = decision.considered
    assert (kept.backend, kept.position, kept.dropped_by) == ("in", 1, None)
    assert (dropped.backend, dropped.dropped_by, dropped.why) == ("out", stage, why)


def test_a_backend_of_unknown_health_is_tried() -> None:
    assert route(NEED, (snapshot(health=HealthStatus.UNKNOWN),)).order


def test_a_pin_leaves_one_backend() -> None:
    need = Requirements(MODEL, backend="b")

    assert names(route(need, (snapshot("a"), snapshot("b"))).order) == ["b"]


def test_a_tried_backend_is_not_chosen_again_and_the_reason_is_failover() -> None:
    decision = route(NEED, (snapshot("a", priority=90), snapshot("b")), {"a": "answered 503"})

    assert names(decision.order) == ["b"]
    assert decision.reason is RouteReason.BACKEND_FAILOVER
    assert decision.dropped[0].why == "tried: answered 503"


FULL = {"max_concurrent": 1, "in_flight": 1}


@pytest.mark.parametrize(
    ("zone", "preferred", "expected"),
    [
        (OPEN, {"priority": 90, **FULL}, RouteReason.CAPACITY_OVERFLOW),
        (OPEN, {"priority": 10, **FULL}, RouteReason.CAPABILITY_MATCH),
        (OPEN, {"priority": 90, **FULL, "enabled": False}, RouteReason.CAPABILITY_MATCH),
        (RESTRICTED, {"priority": 90, "zone": OPEN}, RouteReason.PRIVACY_REQUIREMENT),
        (RESTRICTED, {"priority": 10, "zone": OPEN}, RouteReason.CAPABILITY_MATCH),
        (RESTRICTED, {"priority": 90, "zone": OPEN, **FULL}, RouteReason.CAPABILITY_MATCH),
        (
            RESTRICTED,
            {"priority": 90, "zone": OPEN, "health": HealthStatus.UNHEALTHY},
            RouteReason.CAPABILITY_MATCH,
        ),
    ],
)
def test_the_reason_says_what_kept_the_preferred_backend_away(
    zone: PrivacyZone, preferred: dict[str, object], expected: RouteReason
) -> None:
    fleet = (snapshot("preferred", **preferred), snapshot("chosen"))

    assert route(Requirements(MODEL, zone=zone), fleet).reason is expected


def test_overflow_goes_before_privacy() -> None:
    fleet = (
        snapshot("cloud", priority=90, zone=OPEN),
        snapshot("full", priority=80, **FULL),
        snapshot("chosen"),
    )

    decision = route(Requirements(MODEL, zone=RESTRICTED), fleet)

    assert decision.reason is RouteReason.CAPACITY_OVERFLOW


@given(fleet=fleets(), min_tier=st.none() | st.integers(0, 4), tried=st.sets(st.sampled_from("ab")))
def test_a_restricted_prompt_never_reaches_an_open_backend(
    fleet: tuple[BackendSnapshot, ...], min_tier: int | None, tried: set[str]
) -> None:
    need = Requirements(MODEL, min_tier=min_tier, zone=RESTRICTED)

    decision = route(need, fleet, dict.fromkeys(tried, "answered 500"))

    assert {backend.zone for backend in decision.order} <= {RESTRICTED}
    assert not tried & set(names(decision.order))


@given(fleet=fleets(), zone=st.sampled_from(PrivacyZone))
def test_every_backend_is_either_in_the_order_or_dropped(
    fleet: tuple[BackendSnapshot, ...], zone: PrivacyZone
) -> None:
    decision = route(Requirements(MODEL, zone=zone), fleet)

    seen = [*names(decision.order), *(drop.backend.name for drop in decision.dropped)]
    assert sorted(seen) == sorted(names(fleet))
    for backend in decision.order:
        assert backend.enabled
        assert not backend.is_full
        assert backend.health is not HealthStatus.UNHEALTHY
