"""JSON is read as Python's own parser reads it, and refused where it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isfinite

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.parsing import parse_finite_json, parse_json, refuse_constant
from tests.dialects.reading.test_body import BODIES, broken

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
TEXTS = st.builds(
    lambda value, ascii_only: json.dumps(value, ensure_ascii=ascii_only), JSON, st.booleans()
)
WRITTEN = st.one_of(
    TEXTS,
    TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")),
    TEXTS.map(lambda text: text.encode("utf-16", "surrogatepass")),
    BODIES,
    broken(),
)


def finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError(text)
    return value


def told(parse: Callable[[], object]) -> str:
    """The value, with the types of its numbers; "refused" if it raises a ValueError."""
    try:
        return repr(parse())
    except ValueError:
        return "refused"


@given(WRITTEN, st.booleans())
def test_json_is_read_as_by_pythons_parser(text: str | bytes, allows_nan: bool) -> None:
    constant = None if allows_nan else refuse_constant

    read = told(lambda: parse_json(text, allows_nan=allows_nan))

    assert read == told(lambda: json.loads(text, parse_constant=constant))


@given(WRITTEN)
def test_finite_json_holds_no_infinity(text: str | bytes) -> None:
    read = told(lambda: parse_finite_json(text))

    assert read == told(
        lambda: json.loads(text, parse_constant=refuse_constant, parse_float=finite)
    )


def test_what_is_nested_too_deep_is_no_json() -> None:
    with pytest.raises(ValueError, match="nested too deep"):
        parse_json("[" * 100_000)
