"""What all formats share of whole answers."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.dialects.reading.answers import (
    length_of_named_texts,
    length_of_texts,
    parse_answer,
)

TEXT = re.compile(rb'"text"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"')


def test_an_answer_is_any_json() -> None:
    assert parse_answer(b'{"a": [1]}') == {"a": [1]}
    assert repr(parse_answer(b"NaN")) == "nan"
    with pytest.raises(ValueError, match="not JSON"):
        parse_answer(b"<html>")


@pytest.mark.parametrize(("data", "length"), [("abc", 3), ("é", 2), ("\\u00e9", 3), ("", 0)])
def test_an_escaped_character_counts_as_one(data: str, length: int) -> None:
    assert length_of_texts(TEXT, f'{{"text":"{data}"}}'.encode()) == length


@given(st.lists(st.tuples(st.text(max_size=6), st.booleans(), st.booleans()), max_size=6))
def test_texts_by_their_name_are_those_of_the_pattern(said: list[tuple[str, bool, bool]]) -> None:
    data = b"".join(
        b"data: "
        + json.dumps(
            {"type": "text", "n": {"text": text, "texts": [text]}},
            ensure_ascii=is_ascii,
            separators=(",", ":") if is_dense else None,
        ).encode("utf-8", "replace")
        + b"\n\n"
        for text, is_ascii, is_dense in said
    )

    assert length_of_named_texts(b'"text"', data) == length_of_texts(TEXT, data)
