"""What would change a route: each change is tried by deciding anew."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import route
from nexus_core.routing.stages import Stage
from nexus_core.routing.what_if import with_usable, would_change
from nexus_core.types import HealthStatus, PrivacyZone
from tests.made_up_backends import MODEL, context_of, cooldown, decide, fleets, snapshot
from tests.routing.test_explain import AT, NEEDS, STRATEGIES, strategy

RESTRICTED, OPEN = PrivacyZone.RESTRICTED, PrivacyZone.OPEN


@given(fleet=fleets(), need=NEEDS, name=st.sampled_from(STRATEGIES))
def test_whatever_a_refused_request_could_wait_for_would_change_it(
    fleet: tuple[BackendSnapshot, ...], need: Requirements, name: str
) -> None:
    decision = route(need, RoutingContext(fleet, strategy(name), AT))

    changes = list(would_change(decision))

    if not decision.order:
        changing = {sentence.partition(":")[0] for sentence in changes}
        assert {drop.backend.name for drop in decision.waits_for} <= changing


FULL = {"max_concurrent": 2, "in_flight": 2, "priority": 90}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (FULL, "a: one slot free → a, capability-match"),
        ({"enabled": False, "priority": 90}, "a: switched on → a, capability-match"),
        (
            {"health": HealthStatus.UNHEALTHY, "priority": 90},
            "a: healthy → a, capability-match",
        ),
        (
            {"cooldown": cooldown(AT + 20), "priority": 90},
            "a: cooldown over, in 20 s → a, capability-match",
        ),
        (
            {"cooldowns": {MODEL: cooldown(AT + 19.1)}, "priority": 90},
            "a: cooldown over, in 20 s → a, capability-match",
        ),
        (
            {"cooldown": cooldown(AT, is_circuit_open=True, is_tried=True), "priority": 90},
            "a: half-open request succeeded → a, capability-match",
        ),
        (
            {"zone_enabled": False, "priority": 90},
            "a: the restricted zone switched on → a, capability-match",
        ),
        (
            {"enabled": False, "zone_enabled": False, "priority": 90},
            "a: the restricted zone switched on, the backend too → a, capability-match",
        ),
        (
            FULL | {"enabled": False, "cooldown": cooldown(AT + 3)},
            "a: switched on and cooldown over, in 3 s and one slot free → a, capability-match",
        ),
    ],
)
def test_what_keeps_the_preferred_backend_away_would_change_it(
    changes: dict[str, object], sentence: str
) -> None:
    decision = decide(Requirements(MODEL), snapshot("a", **changes), snapshot("b"), at=AT)

    assert decision.order[0].backend.name == "b"
    assert list(would_change(decision)) == [sentence]


def test_what_makes_no_difference_is_not_told() -> None:
    fleet = (snapshot("a"), snapshot("b", enabled=False, priority=1), snapshot("c", models={}))

    assert list(would_change(decide(Requirements(MODEL), *fleet))) == []


@pytest.mark.parametrize(
    ("need", "sentence"),
    [
        (Requirements(MODEL, zone=RESTRICTED), "the request: not restricted → a, capability-match"),
        (Requirements(MODEL, min_tier=4), "the request: no minimum tier → a, capability-match"),
        (Requirements(MODEL, backend="b"), "the request: not pinned → a, capability-match"),
    ],
)
def test_a_demand_that_decides_is_told(need: Requirements, sentence: str) -> None:
    fleet = (snapshot("a", zone=OPEN), snapshot("b", models=MappingProxyType({})))

    assert list(would_change(decide(need, *fleet))) == [sentence]


@given(fleet=fleets(), need=NEEDS)
def test_a_backend_that_is_imagined_usable_is_kept_away_by_no_state(
    fleet: tuple[BackendSnapshot, ...], need: Requirements
) -> None:
    context = with_usable(context_of(*fleet, at=AT), [backend.name for backend in fleet])

    stages = {drop.stage for drop in route(need, context).dropped}

    assert stages <= {Stage.MODEL, Stage.PIN, Stage.ZONE, Stage.TIER, Stage.CAPABLE}


def test_imagining_nothing_changes_nothing() -> None:
    context = context_of(snapshot("a"))

    assert with_usable(context, ()) is context
