from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nexus_core.config.schema import PolicyConfig, RoutingConfig
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing import stages
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.requirements import Requirements, RoutingHints, read_requirements
from nexus_core.routing.stages import REASONED, Drop, Stage, select
from nexus_core.types import PrivacyZone
from tests.made_up_backends import DEMANDS, MODEL, context_of, contexts, fleets, snapshot

POLICIES = st.builds(
    PolicyConfig,
    model_pattern=st.sampled_from(("up", "up", "llama*", "other")),
    privacy=st.sampled_from(PrivacyZone),
    min_tier=st.none() | st.integers(0, 4),
)
HINTS = st.builds(
    RoutingHints,
    zone=st.sampled_from(PrivacyZone),
    min_tier=st.none() | st.integers(0, 4),
    backend=st.sampled_from((None, None, "a", "z")),
)


# On and well, so that most of what keeps them away is the request's own doing.
WELL = st.builds(
    snapshot,
    st.sampled_from("ab"),
    zone=st.sampled_from(PrivacyZone),
    tier=st.none() | st.integers(0, 4),
    models=st.just({MODEL: "up"}),
)


@st.composite
def needs(draw: st.DrawFn) -> Requirements:
    policies = draw(st.lists(POLICIES, max_size=2))
    routing = RoutingConfig(policies=tuple(policies))
    return read_requirements(MODEL, draw(HINTS), routing).asking(draw(DEMANDS))


def asked_of_every_stage(need: Requirements, context: RoutingContext) -> tuple[Any, Any]:
    """What `select` gives, by all stages in turn, whether they can drop anybody or not."""
    kept: list[BackendSnapshot] = []
    dropped: list[Drop] = []
    for backend in context.fleet:
        failing: list[tuple[Stage, str]] = []
        for stage, check in stages._STAGES.items():
            why = check(need, backend, context)
            if why is not None:
                failing.append((stage, why))
                if stage is Stage.MODEL:
                    break  # the later ones look the model up
        if not failing:
            kept.append(backend)
            continue
        (stage, why), *later = failing
        also = tuple(name for name, _ in later) if stage in REASONED else ()
        dropped.append(Drop(backend, stage, why, also, need.model))
    return kept, dropped


@given(st.data(), fleets() | st.tuples(WELL), needs())
def test_a_stage_that_is_not_asked_would_have_dropped_nobody(
    data: st.DataObject, fleet: tuple[BackendSnapshot, ...], need: Requirements
) -> None:
    context = data.draw(contexts(fleet, context_of().strategy))

    assert select(need, context) == asked_of_every_stage(need, context)


def test_a_stage_s_word_has_room_in_a_column_of_ten() -> None:
    assert max(len(stage.word) for stage in Stage) <= 10
    assert len({stage.word for stage in Stage}) == len(Stage)
