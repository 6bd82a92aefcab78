from __future__ import annotations

from typing import Any

import pytest

from nexus_core.dialects.schema.words import described


def test_keywords_stand_behind_the_description() -> None:
    assert described("How many.", {"minimum": 1, "enum": [1, 2]}) == (
        "How many.\n\n{minimum: 1, enum: [1, 2]}"
    )


@pytest.mark.parametrize("description", [None, ""])
def test_without_a_description_they_stand_alone(description: str | None) -> None:
    assert described(description, {"pattern": "^ü$"}) == "{pattern: ^ü$}"


@pytest.mark.parametrize("description", [None, "", "Text."])
def test_without_keywords_nothing_is_added(description: str | None) -> None:
    assert described(description, {}) == description


def test_a_long_value_is_cut() -> None:
    told = described(None, {"pattern": "x" * 5_000})

    assert told == "{pattern: " + "x" * 1_000 + "…}"


def test_a_value_that_is_nested_too_deep_is_left_out() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]

    assert described(None, {"const": deep}) == "{const: …}"
