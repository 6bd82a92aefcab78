"""What all formats share of whole answers."""

from __future__ import annotations

import re

import pytest

from nexus_core.dialects.reading.answers import length_of_texts, parse_answer

TEXT = re.compile(rb'"text":"([^"]*)"')


def test_an_answer_is_any_json() -> None:
    assert parse_answer(b'{"a": [1]}') == {"a": [1]}
    assert repr(parse_answer(b"NaN")) == "nan"
    with pytest.raises(ValueError, match="not JSON"):
        parse_answer(b"<html>")


@pytest.mark.parametrize(("data", "length"), [("abc", 3), ("é", 2), ("\\u00e9", 3), ("", 0)])
def test_an_escaped_character_counts_as_one(data: str, length: int) -> None:
    assert length_of_texts(TEXT, f'{{"text":"{data}"}}'.encode()) == length
