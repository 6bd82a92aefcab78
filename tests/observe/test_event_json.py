"""Every event as JSON and back."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.observe.event_json import UnreadableError, event_as_json, read_event
from nexus_core.observe.events import (
    BackendToggled,
    NexusEvent,
    RequestFinished,
    RouteDecided,
    ZoneToggled,
)
from nexus_core.types import PrivacyZone

KINDS: tuple[type[NexusEvent], ...] = get_args(NexusEvent)

# JSON has no others, and no event holds one.
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))


def events(*kinds: type[NexusEvent]) -> st.SearchStrategy[NexusEvent]:
    return st.one_of([st.builds(kind) for kind in kinds])


def through_json(event: NexusEvent) -> Any:
    return json.loads(json.dumps(event_as_json(event), allow_nan=False))


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_comes_back_as_it_was(kind: type[NexusEvent]) -> None:
    @given(events(kind))
    def comes_back(event: NexusEvent) -> None:
        told = through_json(event)

        assert told["type"] == kind.__name__
        assert read_event(told) == event

    comes_back()


@given(events(RouteDecided, RequestFinished))
def test_what_a_newer_nexus_adds_is_left_out(event: NexusEvent) -> None:
    told = through_json(event)

    assert read_event({**told, "mood": {"of": ["the", "moon"]}}) == event
    assert read_event({**told, "type": "MoonRisen"}) is None


TOGGLED = event_as_json(BackendToggled(at=1.5, backend="a", enabled=True))


@pytest.mark.parametrize(
    "told",
    [
        None,
        [],
        "BackendToggled",
        {**TOGGLED, "enabled": 1},
        {**TOGGLED, "enabled": "true"},
        {**TOGGLED, "backend": 7},
        {**TOGGLED, "at": "1.5"},
        {**TOGGLED, "at": float("nan")},
        {**TOGGLED, "at": None},
        {name: value for name, value in TOGGLED.items() if name != "backend"},
    ],
)
def test_what_is_no_event_is_refused(told: object) -> None:
    with pytest.raises(UnreadableError):
        read_event(told)


def test_a_refusal_does_not_repeat_the_value() -> None:
    with pytest.raises(UnreadableError) as refused:
        read_event({**TOGGLED, "enabled": "sk-0123456789"})

    assert "BackendToggled.enabled" in str(refused.value)
    assert "sk-" not in str(refused.value)


ZONE_TOGGLED = event_as_json(ZoneToggled(at=1.5, zone=PrivacyZone.OPEN, enabled=True, ended=0))


@pytest.mark.parametrize("secret", ["sk-0123456789", "sk-01 - at `$.sk-2`"])
def test_nor_does_a_refusal_of_a_word_that_is_no_choice(secret: str) -> None:
    with pytest.raises(UnreadableError) as refused:
        read_event({**ZONE_TOGGLED, "zone": secret})

    assert str(refused.value) == "ZoneToggled.zone: not one of its values"
