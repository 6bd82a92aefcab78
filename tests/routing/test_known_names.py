"""Names that a refused request is pointed to, and decisions that no list of names slows down."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import PolicyConfig, RoutingConfig
from nexus_core.dialects.request import Demand
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.explain import explain
from nexus_core.routing.known_names import KnownNames
from nexus_core.routing.refusal import refuse
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import route
from nexus_core.routing.scoring import Strategy
from nexus_core.types import Capability, PrivacyZone
from tests.made_up_backends import decide, snapshot

OPEN, RESTRICTED = PrivacyZone.OPEN, PrivacyZone.RESTRICTED
EMBEDDING = Demand(capabilities=frozenset({Capability.EMBEDDINGS}))


def named(*names: str) -> dict[str, str]:
    return {name: name for name in names}


FLEET = (
    snapshot("local", models=named("llama3:70b"), tier=2),
    snapshot("cloud", models=named("llama3:72b"), zone=OPEN, tier=4, type=BackendType.OPENAI),
    snapshot("off", models=named("llama3:71b"), enabled=False),
    snapshot("claude", models=named("llama3:73b"), zone=OPEN, type=BackendType.ANTHROPIC),
)


def message(need: Requirements, *fleet: BackendSnapshot, **routing: Any) -> str:
    context = RoutingContext(fleet, Strategy(RoutingConfig(**routing), Random(0)))
    return refuse(route(need, context), KnownNames(context)).message


@pytest.mark.parametrize(
    ("demands", "suggested"),
    [
        ({}, {"llama3:70b", "llama3:72b", "llama3:73b"}),
        ({"zone": RESTRICTED}, {"llama3:70b"}),
        ({"min_tier": 4}, {"llama3:72b"}),
        ({"backend": "local"}, {"llama3:70b"}),
        (
            {"demand": EMBEDDING},
            {"llama3:70b", "llama3:72b"},
        ),
    ],
)
def test_only_names_that_the_request_may_use_are_suggested(
    demands: dict[str, Any], suggested: set[str]
) -> None:
    said = message(Requirements("llama3:7b", **demands), *FLEET)

    assert {name for backend in FLEET for name in backend.models if name in said} == suggested


def test_a_policy_of_the_other_name_counts() -> None:
    policy = PolicyConfig(model_pattern="llama3:72b", privacy=RESTRICTED)

    said = message(Requirements("llama3:7b"), *FLEET, policies=(policy,))

    assert "llama3:70b" in said
    assert "llama3:72b" not in said


def test_an_alias_is_suggested_where_what_it_stands_for_is_served() -> None:
    aliases = {"gpt-4": "llama3:70b", "gpt-5": "nobody-serves-it"}

    said = message(Requirements("gpt-45"), *FLEET, aliases=aliases)

    assert "gpt-4" in said
    assert "gpt-5" not in said


class Unlisted(Mapping[str, str]):
    """Any number of models: it may be asked for one, and never for all of them."""

    def __getitem__(self, name: str) -> str:
        return name

    def __contains__(self, name: object) -> bool:
        return name == "m"

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("somebody looked through all the names")

    def __len__(self) -> int:
        raise AssertionError("somebody counted the names")


@pytest.mark.parametrize("strategy", ["smart", "round_robin", "priority_only", "random"])
def test_a_decision_does_not_look_through_the_models(strategy: str) -> None:
    fleet = [snapshot(name, models=Unlisted()) for name in "abc"]
    other = Requirements("other", ("other",))

    decision = decide(Requirements("m", ("m",), fallbacks=(other,)), *fleet, strategy=strategy)

    assert len(decision.order) == 3
    assert len(decision.considered) == 6


def test_a_refusal_of_a_known_model_does_not_look_through_them_either() -> None:
    decision = decide(Requirements("m", ("m",)), snapshot("a", models=Unlisted(), enabled=False))

    error = refuse(decision, KnownNames(decision.context))

    assert error.code == "no_capable_backend"


def test_an_explanation_looks_through_the_names_once() -> None:
    looked: list[str] = []

    def names() -> Iterator[str]:
        looked.append("x")
        yield "x"

    fleet = tuple(
        snapshot(f"b{number}", models=named("x"), enabled=number % 2 == 0) for number in range(20)
    )
    need = Requirements("y", zone=RESTRICTED, min_tier=1, backend="b1")

    explanation = explain(decide(need, *fleet), Names(names))

    assert explanation.refused is not None
    assert explanation.refused.status == 404
    assert looked == ["x"]


class Names:
    """Counts how often somebody looks through them."""

    def __init__(self, look: Callable[[], Iterator[str]]) -> None:
        self._look = look

    def __iter__(self) -> Iterator[str]:
        return self._look()
