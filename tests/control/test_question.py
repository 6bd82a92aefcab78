"""A question for explain as JSON: what is written is read back, and errors name the key."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.control.question import question_as_json, read_question
from nexus_core.dialects.request import Demand
from nexus_core.errors import InvalidRequestError
from nexus_core.routing.explain import Question
from nexus_core.routing.requirements import RoutingHints
from nexus_core.types import Capability, PrivacyZone

NAMES = st.none() | st.text("abc-", min_size=1, max_size=64)
QUESTIONS = st.builds(
    Question,
    model=st.text(min_size=1, max_size=256),
    hints=st.builds(
        RoutingHints,
        zone=st.sampled_from(PrivacyZone),
        min_tier=st.none() | st.integers(0, 4),
        backend=NAMES,
        priority=st.sampled_from(("high", "normal")),
        flexible=st.booleans(),
    ),
    demand=st.builds(
        Demand,
        capabilities=st.frozensets(st.sampled_from(Capability)),
        prompt_tokens=st.integers(0, 100_000_000),
        completion_limit=st.none() | st.integers(1, 100_000_000),
        choices=st.integers(1, 128),
    ),
    client=NAMES,
    usable=st.lists(st.text("abc-", min_size=1, max_size=64)).map(tuple),
)


@given(question=QUESTIONS)
def test_what_is_written_is_read_back(question: Question) -> None:
    text = json.dumps(question_as_json(question))

    assert read_question(json.loads(text)) == question


def test_only_the_model_has_to_be_said() -> None:
    question = read_question({"question": {"model": "m"}})

    assert question == Question(model="m", demand=Demand(capabilities=frozenset({Capability.CHAT})))


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({}, "question.model"),
        ({"model": ""}, "question.model"),
        ({"model": 1}, "question.model"),
        ({"model": "x" * 257}, "question.model"),
        ({"model": "\ud800"}, "question.model"),
        ({"model": "m", "needs": ["magic"]}, "question.needs.0"),
        ({"model": "m", "needs": "tools"}, "question.needs"),
        ({"model": "m", "prompt_tokens": -1}, "question.prompt_tokens"),
        ({"model": "m", "prompt_tokens": "9"}, "question.prompt_tokens"),
        ({"model": "m", "prompt_tokens": 10**400}, "question.prompt_tokens"),
        ({"model": "m", "prompt_tokens": True}, "question.prompt_tokens"),
        ({"model": "m", "max_tokens": 0.5}, "question.max_tokens"),
        ({"model": "m", "choices": 0}, "question.choices"),
        ({"model": "m", "choices": 129}, "question.choices"),
        ({"model": "m", "zone": "secret"}, "question.zone"),
        ({"model": "m", "min_tier": 5}, "question.min_tier"),
        ({"model": "m", "backend": 1}, "question.backend"),
        ({"model": "m", "backend": "x" * 65}, "question.backend"),
        ({"model": "m", "flexible": "true"}, "question.flexible"),
        ({"model": "m", "priority": "low"}, "question.priority"),
        ({"model": "m", "client": []}, "question.client"),
        ({"model": "m", "usable": "a"}, "question.usable"),
        ({"model": "m", "messages": []}, "question.messages"),
        (None, "question"),
        ([], "question"),
    ],
)
def test_an_error_names_the_key(asked: Any, param: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        read_question({"question": asked})

    assert refused.value.param == param
    assert refused.value.message.startswith(f"{param}: ")


def test_what_stands_beside_the_question_is_refused() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        read_question({"question": {"model": "m"}, "stream": True})

    assert refused.value.param == "stream"
