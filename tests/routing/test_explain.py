"""The explanation is the router's own decision in words, and making it changes nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from nexus_core.config.schema import RoutingConfig
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.explain import Explanation, Situation, as_json, explain
from nexus_core.routing.refusal import Outlook, refuse
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import RouteDecision, route
from nexus_core.routing.scoring import Strategy
from nexus_core.routing.stages import Moment, Stage
from nexus_core.types import HealthStatus, PrivacyZone
from tests.made_up_backends import MODEL, cooldown, fleets, serving, snapshot

RESTRICTED, OPEN = PrivacyZone.RESTRICTED, PrivacyZone.OPEN
AT = 10.0
STRATEGIES = ("smart", "round_robin", "priority_only", "random")

_NEEDS = st.builds(
    Requirements,
    st.just(MODEL),
    zone=st.sampled_from(PrivacyZone),
    min_tier=st.none() | st.integers(0, 4),
    backend=st.none() | st.sampled_from("abc"),
    is_flexible=st.booleans(),
)
NEEDS = st.builds(
    lambda need, other, has_fallback: (
        replace(need, fallbacks=(replace(other, model="other"),)) if has_fallback else need
    ),
    _NEEDS,
    _NEEDS,
    st.booleans(),
)


def strategy(name: str = "priority_only", turns: int = 0) -> Strategy:
    made = Strategy(RoutingConfig.model_validate({"strategy": name}), Random(turns))
    for _ in range(turns):
        made.next_turn()
    return made


def explained(
    need: Requirements, *fleet: BackendSnapshot, by: str = "priority_only", **more: object
) -> Explanation:
    situation = replace(Situation(fleet, strategy(by), AT), **more)  # type: ignore[arg-type]
    return explain(situation.decide(need), situation)


def rows(explanation: Explanation) -> list[tuple[object, ...]]:
    """What a RouteDecided event says of each backend, read from the explanation."""
    kept: list[tuple[object, ...]] = [
        (c.position, c.backend, c.model, tuple((t.name, t.weight, t.value) for t in c.terms))
        for c in explanation.candidates
    ]
    dropped = {
        (drop.backend, model.model, count.stage.value, drop.why)
        for model in explanation.models
        for count in model.stages
        for drop in count.dropped
    }
    return kept + sorted(dropped)


def rows_of(decision: RouteDecision) -> list[tuple[object, ...]]:
    kept: list[tuple[object, ...]] = [
        (c.position, c.backend, c.model, tuple((t.name, t.weight, t.value) for t in c.score))
        for c in decision.considered
        if c.position is not None
    ]
    dropped = {
        (c.backend, c.model, c.dropped_by, c.why) for c in decision.considered if c.position is None
    }
    return kept + sorted(dropped)


@given(fleet=fleets(), need=NEEDS, name=st.sampled_from(STRATEGIES), turns=st.integers(0, 5))
def test_it_is_what_the_next_request_gets(
    fleet: tuple[BackendSnapshot, ...], need: Requirements, name: str, turns: int
) -> None:
    real = strategy(name, turns)
    situation = Situation(fleet, real, AT)

    explanation = explain(situation.decide(need), situation)

    decision = route(need, fleet, real, Moment(AT))
    assert rows(explanation) == rows_of(decision)
    if decision.order:
        assert explanation.refused is None
        assert explanation.chosen is not None
        first = decision.order[0]
        assert explanation.chosen.backend == first.backend.name
        assert explanation.chosen.model == first.upstream_model
        assert explanation.chosen.reason is decision.reason
    else:
        known = situation.known_names
        error = refuse(decision, known, Outlook(AT), may_use=known.usable_by(need))
        assert explanation.chosen is None
        assert explanation.refused is not None
        assert explanation.refused.code == error.code
        assert explanation.refused.message == error.message


@given(fleet=fleets(), need=NEEDS, name=st.sampled_from(STRATEGIES), turns=st.integers(0, 5))
def test_explaining_uses_up_no_turn_and_no_random_number(
    fleet: tuple[BackendSnapshot, ...], need: Requirements, name: str, turns: int
) -> None:
    asked, unasked = strategy(name, turns), strategy(name, turns)
    situation = Situation(fleet, asked, AT)

    explain(situation.decide(need), situation)

    assert asked.random.getstate() == unasked.random.getstate()
    able = serving(fleet)
    assert asked.rank(able, need) == unasked.rank(able, need)


@given(fleet=fleets(), need=NEEDS)
def test_every_stage_takes_in_what_the_one_before_it_let_through(
    fleet: tuple[BackendSnapshot, ...], need: Requirements
) -> None:
    for model in explained(need, *fleet).models:
        left = len(fleet)
        for count in model.stages:
            assert count.before == left
            left = count.after
            assert count.before - count.after == len(count.dropped)
        assert [count.stage for count in model.stages] == list(Stage)


@given(fleet=fleets(), need=NEEDS, name=st.sampled_from(STRATEGIES))
def test_whatever_a_refused_request_could_wait_for_would_change_it(
    fleet: tuple[BackendSnapshot, ...], need: Requirements, name: str
) -> None:
    situation = Situation(fleet, strategy(name), AT)
    decision = situation.decide(need)

    explanation = explain(decision, situation)

    if not decision.order:
        changing = {sentence.partition(":")[0] for sentence in explanation.would_change}
        assert {drop.backend.name for drop in decision.waits_for} <= changing


@given(fleet=fleets(), need=NEEDS, name=st.sampled_from(STRATEGIES))
def test_the_json_reads_back_as_the_same_explanation(
    fleet: tuple[BackendSnapshot, ...], need: Requirements, name: str
) -> None:
    explanation = explained(need, *fleet, by=name)

    text = json.dumps(as_json(explanation))

    assert TypeAdapter(Explanation).validate_json(text) == explanation


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
    explanation = explained(Requirements(MODEL), snapshot("a", **changes), snapshot("b"))

    assert explanation.chosen is not None
    assert explanation.chosen.backend == "b"
    assert explanation.would_change == (sentence,)


def test_what_makes_no_difference_is_not_told() -> None:
    fleet = (snapshot("a"), snapshot("b", enabled=False, priority=1), snapshot("c", models={}))

    assert explained(Requirements(MODEL), *fleet).would_change == ()


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

    assert explained(need, *fleet).would_change == (sentence,)


def test_a_refusal_carries_the_context_of_the_503() -> None:
    explanation = explained(
        Requirements(MODEL, zone=RESTRICTED), snapshot("cloud", zone=OPEN, tier=4)
    )

    assert explanation.refused is not None
    assert explanation.refused.status == 503
    assert explanation.refused.code == "privacy_constraint_violation"
    assert explanation.refused.context is not None
    assert [b.name for b in explanation.refused.context.available_backends] == ["cloud"]


def test_a_fallback_is_explained_beside_the_asked_model() -> None:
    other = MappingProxyType({"other": "o"})
    need = Requirements(MODEL, ("gpt", MODEL), fallbacks=(Requirements("other", ("other",)),))

    explanation = explained(need, snapshot("a", enabled=False), snapshot("b", models=other))

    assert [model.resolved for model in explanation.models] == [("gpt", MODEL), ("other",)]
    assert (explanation.model, explanation.resolved) == ("gpt", ("gpt", MODEL))
    assert explanation.candidates[0].model == "other"


def test_two_fallbacks_that_mean_one_model_are_told_once() -> None:
    twice = (Requirements("other", ("x", "other")), Requirements("other", ("other",)))
    need = Requirements(MODEL, fallbacks=twice)

    explanation = explained(need, snapshot("b", models=MappingProxyType({"other": "o"})))

    assert [model.resolved for model in explanation.models] == [(MODEL,), ("x", "other")]
    assert [stage.after for stage in explanation.models[1].stages] == [1] * len(Stage)


def test_a_drawn_order_says_that_it_is_one() -> None:
    fleet = (snapshot("a"), snapshot("b"), snapshot("c", enabled=False))

    explanation = explained(Requirements(MODEL), *fleet, by="random")

    assert explanation.note is not None
    assert "random for each request" in explanation.note
    assert explanation.would_change == ("c: switched on → a or b or c",)


@pytest.mark.parametrize(("wait_seconds", "in_flight"), [(30.0, 1), (None, 0)])
def test_a_wait_is_told_only_where_a_request_would_wait(
    wait_seconds: float | None, in_flight: int
) -> None:
    busy = snapshot("a", max_concurrent=1, in_flight=in_flight)

    explanation = explained(Requirements(MODEL), busy, wait_seconds=30.0)

    assert explanation.wait_seconds == wait_seconds
