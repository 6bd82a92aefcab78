"""What is remembered of schemas is bounded by its size, not by its number."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.dialects.schema import anthropic_strict, gemini
from nexus_core.dialects.schema.kept import MAX_CHARS_OF_ONE, Kept
from nexus_core.dialects.schema.reading import Document, read_schema
from nexus_core.dialects.schema.written import CannotSayError, Written
from nexus_core.dialects.tool_calls.tools import write_cached


def written(chars: int) -> Written:
    return Written({"description": "x" * chars})


def fanned_out(title: str) -> dict[str, Any]:
    """Six kilobytes that become a hundred, since nothing may stand beside Gemini's references."""
    wide = {"type": "object", "properties": {f"p{i}": {"type": "string"} for i in range(90)}}
    properties = {f"x{i}": {"$ref": "#/$defs/wide", "title": "s"} for i in range(80)}
    return {"type": "object", "title": title, "properties": properties, "$defs": {"wide": wide}}


def test_the_latest_are_kept_within_the_bound() -> None:
    kept = Kept(max_chars=1_000)

    for number in range(100):
        kept.keep(f"{number}", gemini.write_answer, written(100))

    assert kept.chars <= 1_000
    assert kept.find("99", gemini.write_answer) is not None
    assert kept.find("1", gemini.write_answer) is None


def test_what_is_used_again_is_kept() -> None:
    kept = Kept(max_chars=1_000)

    for number in range(100):
        kept.keep(f"{number}", gemini.write_answer, written(100))
        assert kept.find("0", gemini.write_answer) is not None


def test_each_dialect_has_its_own() -> None:
    kept = Kept()
    kept.keep("{}", gemini.write_answer, written(1))

    assert kept.find("{}", gemini.write_parameters) is None


def test_the_same_twice_counts_once() -> None:
    kept = Kept()
    for _ in range(2):
        kept.keep("{}", gemini.write_answer, written(100))

    assert kept.chars < 200


def test_what_becomes_too_long_is_not_kept() -> None:
    kept = Kept()
    text = json.dumps(fanned_out("t"))
    made = gemini.write_answer(read_schema(json.loads(text)))

    kept.keep(text, gemini.write_answer, made)
    assert kept.chars > 10 * len(text)  # by what was made of it, not by what was given
    kept.keep("{}", gemini.write_answer, written(MAX_CHARS_OF_ONE))

    assert kept.find("{}", gemini.write_answer) is None


def test_what_is_without_end_is_not_kept() -> None:
    kept = Kept()
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"items": deep}

    kept.keep("{}", gemini.write_answer, Written(deep))

    assert kept.find("{}", gemini.write_answer) is None


@pytest.mark.parametrize("size", [10, 2_000], ids=["short", "long"])
def test_a_schema_is_written_once(size: int) -> None:
    calls = []

    def writer(document: Document) -> Written:
        calls.append(document)
        return Written({})

    schema = {"properties": {f"property_{i}": {"type": "string"} for i in range(size)}}
    made = [write_cached(schema, writer) for _ in range(3)]

    assert made[0] is made[2]
    assert len(calls) == 1


def test_what_can_not_be_said_is_found_out_once() -> None:
    calls = []

    def writer(document: Document) -> Written:
        calls.append(document)
        return anthropic_strict.write_answer(document)

    for _ in range(3):
        with pytest.raises(CannotSayError) as caught:
            write_cached({"type": "object", "properties": {"a": {"not": {}}}}, writer)
        assert caught.value.place == "properties.a"

    assert len(calls) == 1
