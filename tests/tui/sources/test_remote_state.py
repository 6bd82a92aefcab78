"""A state from elsewhere may say anything."""

from __future__ import annotations

import json
from copy import deepcopy
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.observe.event_json import UnreadableError
from nexus_tui.sources.remote_state import parse, read_state
from tests.tui.sources.test_remote import STATE, make_gateway, received


def test_what_a_newer_nexus_tells_besides_is_left_out() -> None:
    newer = json.loads(json.dumps(STATE))
    newer["mood"] = "good"
    newer["config"]["routing"]["mood"] = {"of": "the moon"}
    newer["config"]["weather"] = 1
    newer["backends"][0]["mood"] = "bad"
    newer["counts"]["mood"] = {}

    state = read_state(newer)

    assert state.config.routing == make_gateway().config.routing
    assert list(state.backends) == ["a", "b"]


def test_what_is_unsaved_is_told_and_an_older_nexus_tells_none() -> None:
    told = json.loads(json.dumps(STATE))
    told["unsaved"] = [{"id": "a.tier", "backend": "a", "key": "tier", "now": 2, "file": None}]
    older = {key: value for key, value in told.items() if key != "unsaved"}

    assert [one.text for one in read_state(told).unsaved] == ["a: tier 2, none in the file"]
    assert read_state(older).unsaved == ()


def test_an_older_nexus_counts_for_no_window() -> None:
    told = json.loads(json.dumps(STATE))
    older = {key: value for key, value in told.items() if key != "windows"}

    assert read_state(told).has_windows
    assert not read_state(older).has_windows


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)


@given(random=st.randoms(use_true_random=False), value=JSON_VALUES, changes=st.integers(1, 3))
def test_no_state_whatever_it_says_does_more_than_be_refused(
    random: Random, value: object, changes: int
) -> None:
    told = json.loads(json.dumps(STATE))
    for _ in range(changes):
        _change(told, random, value)

    try:
        state = read_state(parse(json.dumps(told)))
    except UnreadableError:
        return

    assert all(isinstance(name, str) for name in state.backends)
    state.stats.apply(received(1))


def _change(told: Any, random: Random, value: object) -> None:
    """Put the value somewhere into it."""
    while True:
        keys = list(told) if isinstance(told, dict) else list(range(len(told)))
        if not keys:
            return
        key = random.choice(keys)
        if not isinstance(told[key], dict | list) or random.random() < 0.2:
            told[key] = deepcopy(value)
            return
        told = told[key]


@pytest.mark.parametrize("text", ["1e999", "NaN", "-Infinity", "9" * 17, "1" * 5000, "[" * 10**5])
def test_numbers_that_could_not_be_drawn_are_no_json_of_ours(text: str) -> None:
    with pytest.raises(UnreadableError):
        parse(text)
