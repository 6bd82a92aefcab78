"""Patterns that are compiled when they are first asked."""

from __future__ import annotations

import re

import pytest

from nexus_core.late_pattern import LatePattern


def test_it_finds_what_the_pattern_itself_finds() -> None:
    late = LatePattern(r"b(\d)", re.IGNORECASE)

    found, whole = late.search("aB1c"), late.fullmatch("b2")

    assert found is not None
    assert whole is not None
    assert (found[1], whole[1], late.search("a"), late.fullmatch("b2 ")) == ("1", "2", None, None)


def test_bytes_are_searched_by_a_pattern_of_bytes() -> None:
    assert LatePattern(rb"x+").search(b"axx") is not None


def test_it_is_not_compiled_before() -> None:
    late = LatePattern("(")  # made without a word

    with pytest.raises(re.error):
        late.search("a")
