from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.catalog import BackendType
from nexus_core.config.schema import RoutingConfig, WeightsConfig
from nexus_core.dialects.request import Demand
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.scoring import Strategy, rank_by_score, weights_of
from nexus_core.types import ModelDetails
from tests.made_up_backends import MODEL, fleets, serving, snapshot

WEIGHTS = weights_of(WeightsConfig())
NEED = Requirements(MODEL)
WARM = {MODEL: ModelDetails(is_loaded=True)}
COLD = {MODEL: ModelDetails(is_loaded=False)}


def strategy(name: str) -> Strategy:
    return Strategy(RoutingConfig.model_validate({"strategy": name}), Random(1))


def best(name: str, *backends: BackendSnapshot) -> str:
    return strategy(name).rank(backends, NEED)[0].backend.name


def test_the_terms_of_the_score_are_kept() -> None:
    backend = snapshot(priority=80, max_concurrent=4, in_flight=1, latency_ms=500.0)

    (ranked,) = rank_by_score([backend], MODEL, WEIGHTS)

    terms = {term.name: (term.weight, term.value) for term in ranked.terms}
    assert ranked.score == sum(weight * value for weight, value in terms.values())
    assert terms == {
        "priority": (50, 0.8),
        "load": (30, 0.75),
        "latency": (20, 0.5),
        "local": (20, 1.0),
        "warm": (5, 0.5),
        "affinity": (5, 0.0),
    }


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"priority": 60}, {"priority": 50}),
        ({"max_concurrent": 4, "in_flight": 1}, {"max_concurrent": 4, "in_flight": 3}),
        ({"in_flight": 0}, {"in_flight": 5}),
        ({"latency_ms": 100.0}, {"latency_ms": 900.0}),
        ({"latency_ms": None}, {"latency_ms": 900.0}),
        ({}, {"type": BackendType.OPENAI}),
        ({"details": WARM}, {}),
        ({}, {"details": COLD}),
        ({"type": BackendType.OPENAI, "priority": 95}, {"priority": 50}),
    ],
)
def test_smart_prefers(better: dict[str, object], worse: dict[str, object]) -> None:
    assert best("smart", snapshot("worse", **worse), snapshot("better", **better)) == "better"


@pytest.mark.parametrize("worse", [{"priority": 40}, {"max_concurrent": 2, "in_flight": 1}])
def test_warmth_decides_among_equals_only(worse: dict[str, object]) -> None:
    warm = snapshot("warm", details=WARM, **worse)

    assert best("smart", snapshot("cold", details=COLD), warm) == "cold"


def test_a_conversation_goes_where_it_was_before() -> None:
    smart = strategy("smart")
    fleet = [snapshot(name) for name in "abc"]
    smart.affinity.remember((1, 2), "c")

    follow_up = Requirements(MODEL, demand=Demand(prefixes=(1, 2, 3)))
    other = Requirements(MODEL, demand=Demand(prefixes=(9,)))

    assert smart.rank(fleet, follow_up)[0].backend.name == "c"
    assert smart.rank(fleet, other)[0].backend.name == "a"


def test_priority_only_looks_at_nothing_else() -> None:
    busy = snapshot("busy", priority=51, in_flight=50, latency_ms=9000.0)

    assert best("priority_only", snapshot("idle"), busy) == "busy"


def test_round_robin_gives_each_its_turn() -> None:
    turns = strategy("round_robin")
    fleet = [snapshot(name) for name in "abc"]
    seen = []

    for _ in range(6):
        seen.append(turns.rank(fleet, NEED)[0].backend.name)
        turns.next_turn()

    assert "".join(seen) == "abcabc"


@pytest.mark.parametrize("name", ["round_robin", "random"])
def test_asking_changes_no_turn(name: str) -> None:
    turns = strategy(name)
    fleet = [snapshot(name) for name in "abcdefgh"]

    assert turns.rank(fleet, NEED) == turns.rank(fleet, NEED)


def test_random_reaches_all() -> None:
    dice = strategy("random")
    fleet = [snapshot(name) for name in "abc"]

    seen: Counter[str] = Counter()

    for _ in range(300):
        seen[dice.rank(fleet, NEED)[0].backend.name] += 1
        dice.next_turn()

    assert min(seen[name] for name in "abc") > 50


@given(fleet=fleets(), name=st.sampled_from(("smart", "round_robin", "priority_only", "random")))
def test_every_strategy_ranks_each_backend_once(
    fleet: tuple[BackendSnapshot, ...], name: str
) -> None:
    able = serving(fleet)

    ranked = [entry.backend.name for entry in strategy(name).rank(able, NEED)]

    assert sorted(ranked) == sorted(backend.name for backend in able)


@given(fleet=fleets())
def test_scores_do_not_rise_down_the_list(fleet: tuple[BackendSnapshot, ...]) -> None:
    scores = [entry.score for entry in rank_by_score(serving(fleet), MODEL, WEIGHTS)]

    assert scores == sorted(scores, reverse=True)
