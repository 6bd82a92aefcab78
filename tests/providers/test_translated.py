from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.errors import InvalidRequestError
from nexus_core.providers.translated import dump_body


def deep(levels: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(levels):
        inner = {"a": inner}
    return inner


@pytest.mark.parametrize(
    ("body", "why"),
    [({"a": float("inf")}, "out of range"), ({"a": [float("nan")]}, "out of range")],
)
def test_what_json_can_not_hold_is_the_clients_fault(body: dict[str, Any], why: str) -> None:
    with pytest.raises(InvalidRequestError, match=why):
        dump_body(body)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    # Lone surrogates, too: half of a character that a client cut.
    | st.text(st.characters(blacklist_categories=[])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES))
def test_a_body_is_written_as_it_is(body: dict[str, Any]) -> None:
    assert json.loads(dump_body(body)) == body


def test_a_body_without_end_is_the_clients_fault() -> None:
    with pytest.raises(InvalidRequestError, match="too deep"):
        dump_body(deep(100_000))
