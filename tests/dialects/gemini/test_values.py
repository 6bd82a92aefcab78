from __future__ import annotations

from typing import Any

import pytest

from nexus_core.dialects.gemini.values import (
    as_list,
    as_number,
    as_object,
    as_text,
    read_object,
    read_value,
    write_object,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [('{"a": 1}', {"a": 1}), ("[1]", None), ("null", None), ("{", None), ('{"a": 1e999}', None)],
)
def test_only_an_object_is_read_as_one(text: str, expected: Any) -> None:
    assert read_object(text) == expected


def test_any_value_can_be_read() -> None:
    assert [read_value(text) for text in ("[1]", '"a"', "1e999", "")] == [[1], "a", None, None]


def test_an_object_is_written_without_blanks_and_as_it_reads() -> None:
    assert write_object({"a": [1, "ü"]}) == '{"a":[1,"ü"]}'


@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_what_json_can_not_hold_is_not_written(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_object({"a": number})


def test_what_is_absent_is_empty() -> None:
    assert (as_object(None, "it"), as_list(None, "it")) == ({}, [])


@pytest.mark.parametrize(
    ("read", "value", "words"),
    [
        (as_object, [], "it is no object"),
        (as_list, {}, "it is no list"),
        (as_text, None, "it is no text"),
        (as_number, True, "it is no number"),
        (as_number, "1", "it is no number"),
        (as_number, 10**400, "it is out of range"),
        (as_number, float("inf"), "it is out of range"),
    ],
)
def test_what_is_something_else_is_told(read: Any, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(value, "it")
