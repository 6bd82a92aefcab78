from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nexus_core.catalog import BackendType
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import RouteDecision
from nexus_core.types import HealthStatus, PrivacyZone, RouteReason
from tests.examples import promised
from tests.made_up_backends import MODEL, cooldown, decide, fleets, snapshot

OPEN, RESTRICTED = PrivacyZone.OPEN, PrivacyZone.RESTRICTED
NEED = Requirements(MODEL)


def order(decision: RouteDecision) -> list[str]:
    return [choice.backend.name for choice in decision.order]


def test_priority_goes_first_then_local_then_the_smaller_load_then_the_order_of_the_file() -> None:
    fleet = (
        snapshot("low", priority=1),
        snapshot("cloud", type=BackendType.OPENAI),
        snapshot("busy", max_concurrent=2, in_flight=1),
        snapshot("first"),
        snapshot("second"),
    )

    assert order(decide(NEED, *fleet)) == ["first", "second", "busy", "cloud", "low"]


@pytest.mark.parametrize(
    ("changes", "stage", "why"),
    [
        ({"models": MappingProxyType({})}, "model", "does not serve llama3:70b"),
        ({"models": {}, "models_known": False}, "model", "its models are not known yet"),
        ({"enabled": False}, "enabled", "switched off"),
        ({"zone": OPEN}, "zone", "zone open, the request is restricted"),
        ({"tier": 1}, "tier", "tier 1, minimum is 2"),
        ({"tier": None}, "tier", "no tier, minimum is 2"),
        ({"health": HealthStatus.UNHEALTHY, "detail": "refused"}, "healthy", "unhealthy: refused"),
        ({"max_concurrent": 2, "in_flight": 2}, "capacity", "full: 2/2"),
    ],
)
def test_a_dropped_backend_is_kept_in_the_decision_with_its_stage_and_reason(
    changes: dict[str, object], stage: str, why: str
) -> None:
    need = Requirements(MODEL, zone=RESTRICTED, min_tier=2)

    decision = decide(need, snapshot("out", **changes), snapshot("in"))

    assert order(decision) == ["in"]
    kept, dropped = decision.considered
    assert (kept.backend, kept.position, kept.dropped_by) == ("in", 1, None)
    assert (dropped.backend, dropped.dropped_by, dropped.why) == ("out", stage, why)


def test_a_backend_of_unknown_health_is_tried() -> None:
    assert decide(NEED, snapshot(health=HealthStatus.UNKNOWN)).order


def test_a_pin_leaves_one_backend() -> None:
    need = Requirements(MODEL, backend="b")

    assert order(decide(need, snapshot("a"), snapshot("b"))) == ["b"]


def test_a_tried_backend_is_not_chosen_again_and_the_reason_is_failover() -> None:
    decision = decide(NEED, snapshot("a", priority=90), snapshot("b"), tried={"a": "answered 503"})

    assert order(decision) == ["b"]
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

    assert decide(Requirements(MODEL, zone=zone), *fleet).reason is expected


def test_overflow_goes_before_privacy() -> None:
    fleet = (
        snapshot("cloud", priority=90, zone=OPEN),
        snapshot("full", priority=80, **FULL),
        snapshot("chosen"),
    )

    decision = decide(Requirements(MODEL, zone=RESTRICTED), *fleet)

    assert decision.reason is RouteReason.CAPACITY_OVERFLOW


STRATEGIES = st.sampled_from(("smart", "round_robin", "priority_only", "random"))


@promised()
@given(
    fleet=fleets(),
    min_tier=st.none() | st.integers(0, 4),
    tried=st.sets(st.sampled_from("ab")),
    strategy=STRATEGIES,
    flexible=st.booleans(),
)
def test_a_restricted_prompt_never_reaches_an_open_backend(
    fleet: tuple[BackendSnapshot, ...],
    min_tier: int | None,
    tried: set[str],
    strategy: str,
    flexible: bool,
) -> None:
    need = Requirements(MODEL, min_tier=min_tier, zone=RESTRICTED, is_flexible=flexible)
    fallback = Requirements("other", min_tier=min_tier, zone=RESTRICTED)
    failed = dict.fromkeys(tried, "answered 500")

    decision = decide(
        replace(need, fallbacks=(fallback,)), *fleet, strategy=strategy, at=10, tried=failed
    )

    assert {choice.backend.zone for choice in decision.order} <= {RESTRICTED}
    assert not tried & set(order(decision))


@promised()
@given(fleet=fleets(), zone=st.sampled_from(PrivacyZone), strategy=STRATEGIES)
def test_every_backend_is_either_in_the_order_or_dropped(
    fleet: tuple[BackendSnapshot, ...], zone: PrivacyZone, strategy: str
) -> None:
    decision = decide(Requirements(MODEL, zone=zone), *fleet, strategy=strategy, at=10)

    seen = [*order(decision), *(drop.backend.name for drop in decision.dropped)]
    assert sorted(seen) == sorted(backend.name for backend in fleet)
    for choice in decision.order:
        backend = choice.backend
        assert backend.enabled
        assert not backend.is_full
        assert backend.health is not HealthStatus.UNHEALTHY
        assert not any(c.keeps_away(10) for c in backend.cooldowns_of(backend.models[MODEL]))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"cooldown": cooldown(12.0)}, "cooldown, 2 s left: answered 429"),
        (
            {"cooldowns": {MODEL: cooldown(11.2)}},
            f"cooldown of {MODEL}, 2 s left: answered 429",
        ),
        ({"cooldowns": {"another": cooldown(12.0)}}, None),
        (
            {"cooldown": cooldown(9.0, "refused", is_circuit_open=True, is_tried=True)},
            "cooldown, half-open, one request at a time: refused",
        ),
        (
            {"cooldowns": {MODEL: cooldown(9.0, "oops", is_circuit_open=True, is_tried=True)}},
            f"cooldown of {MODEL}, half-open, one request at a time: oops",
        ),
        ({"cooldown": cooldown(10.0, is_circuit_open=True), "in_flight": 3}, None),
        ({"cooldown": cooldown(9.0)}, None),
    ],
)
def test_a_cooldown_keeps_its_model_away_for_its_time_and_then_lets_one_request_in(
    changes: dict[str, Any], why: str | None
) -> None:
    decision = decide(NEED, snapshot(**changes), at=10)

    assert [drop.why for drop in decision.dropped] == ([why] if why else [])


OTHER = "qwen2:72b"


def with_fallback(**changes: Any) -> Requirements:
    fallback = Requirements(OTHER, (OTHER,))
    return replace(Requirements(MODEL, (MODEL,)), fallbacks=(fallback,), **changes)


def serving(model: str) -> dict[str, object]:
    return {"models": MappingProxyType({model: model})}


def test_fallback_models_come_after_every_candidate_of_the_asked_one() -> None:
    fleet = (snapshot("other", priority=99, **serving(OTHER)), snapshot("asked", priority=1))

    decision = decide(with_fallback(), *fleet)

    assert [(c.backend.name, c.model) for c in decision.order] == [
        ("asked", MODEL),
        ("other", OTHER),
    ]


@pytest.mark.parametrize(
    ("flexible", "tier", "is_used"), [(False, 2, False), (False, 3, True), (True, 2, True)]
)
def test_a_fallback_is_of_no_lower_tier_unless_the_request_is_flexible(
    flexible: bool, tier: int, is_used: bool
) -> None:
    fleet = (
        snapshot("asked", tier=3, enabled=False),
        snapshot("other", tier=tier, **serving(OTHER)),
    )

    decision = decide(with_fallback(is_flexible=flexible), *fleet)

    assert order(decision) == (["other"] if is_used else [])


@pytest.mark.parametrize(
    "demand",
    [{"zone": PrivacyZone.RESTRICTED}, {"backend": "other"}],
    ids=["another zone", "another pin"],
)
def test_the_tier_that_a_fallback_must_have_is_not_that_of_a_backend_the_request_may_not_use(
    demand: dict[str, Any],
) -> None:
    fleet = (
        snapshot("best", tier=4, priority=90, zone=PrivacyZone.OPEN),
        snapshot("down", tier=2, health=HealthStatus.UNHEALTHY),
        snapshot("other", tier=2, **serving(OTHER)),
    )
    need = with_fallback(**demand)
    need = replace(need, fallbacks=tuple(replace(leg, **demand) for leg in need.fallbacks))

    assert order(decide(need, *fleet)) == ["other"]


def test_a_fallback_for_a_full_backend_is_an_overflow() -> None:
    fleet = (snapshot("asked", **FULL), snapshot("other", **serving(OTHER)))

    assert decide(with_fallback(), *fleet).reason is RouteReason.CAPACITY_OVERFLOW
