"""The explanation is the router's own decision in words, and making it changes nothing."""

from __future__ import annotations

import json
from random import Random
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pydantic import TypeAdapter

from nexus_core.config.schema import RoutingConfig
from nexus_core.errors import ServiceUnavailableError
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.explain import Explanation, as_json, explain
from nexus_core.routing.known_names import KnownNames
from nexus_core.routing.refusal import refuse
from nexus_core.routing.requirements import NO_HINTS, Requirements, read_requirements
from nexus_core.routing.router import RouteDecision, route
from nexus_core.routing.scoring import Strategy
from nexus_core.routing.stages import Stage
from nexus_core.types import PrivacyZone
from tests.made_up_backends import MODEL, context_of, contexts, fleets, serving, snapshot

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
    need: Requirements, *fleet: BackendSnapshot, by: str = "priority_only", **more: Any
) -> Explanation:
    return explain(route(need, context_of(*fleet, strategy=by, at=AT, **more)))


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


@given(
    data=st.data(),
    fleet=fleets(),
    need=NEEDS,
    name=st.sampled_from(STRATEGIES),
    turns=st.integers(0, 5),
)
def test_it_is_what_the_next_request_gets(
    data: st.DataObject,
    fleet: tuple[BackendSnapshot, ...],
    need: Requirements,
    name: str,
    turns: int,
) -> None:
    context = data.draw(contexts(fleet, strategy(name, turns)))

    explanation = explain(route(need, context))

    decision = route(need, context)
    assert rows(explanation) == rows_of(decision)
    if decision.order:
        assert explanation.refused is None
        assert explanation.chosen is not None
        first = decision.order[0]
        assert explanation.chosen.backend == first.backend.name
        assert explanation.chosen.model == first.upstream_model
        assert explanation.chosen.reason is decision.reason
    else:
        error = refuse(decision, KnownNames(context))
        assert explanation.chosen is None
        assert explanation.refused is not None
        assert explanation.refused.code == error.code
        assert explanation.refused.message == error.message
        context_of_503 = error.context if isinstance(error, ServiceUnavailableError) else None
        assert explanation.refused.context == context_of_503
    waits = not decision.order and bool(decision.waits_for)
    assert explanation.wait_seconds == (context.wait_seconds if waits else None)


@given(fleet=fleets(), need=NEEDS, name=st.sampled_from(STRATEGIES), turns=st.integers(0, 5))
def test_explaining_uses_up_no_turn_and_no_random_number(
    fleet: tuple[BackendSnapshot, ...], need: Requirements, name: str, turns: int
) -> None:
    asked, unasked = strategy(name, turns), strategy(name, turns)

    explain(route(need, RoutingContext(fleet, asked, AT)))

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
def test_the_json_reads_back_as_the_same_explanation(
    fleet: tuple[BackendSnapshot, ...], need: Requirements, name: str
) -> None:
    explanation = explained(need, *fleet, by=name)

    text = json.dumps(as_json(explanation))

    assert TypeAdapter(Explanation).validate_json(text) == explanation


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


def test_the_glob_that_led_to_a_model_is_told() -> None:
    routing = RoutingConfig(aliases={"claude-haiku-*": "small", "small": MODEL})
    need = read_requirements("claude-haiku-4-5", NO_HINTS, routing)

    explanation = explain(
        route(need, RoutingContext((snapshot("a"),), Strategy(routing, Random())))
    )

    assert explanation.chosen is not None
    (asked,) = explanation.models
    assert asked.aliases == ("claude-haiku-*", "small")
    assert asked.path == ["claude-haiku-4-5", "small (claude-haiku-*)", MODEL]
    assert as_json(explanation)["models"][0]["aliases"] == ("claude-haiku-*", "small")
