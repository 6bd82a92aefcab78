from __future__ import annotations

from typing import Any

import pytest
from anthropic import transform_schema
from pydantic import BaseModel, Field

from nexus_core.dialects.schema.anthropic_strict import write_answer
from nexus_core.dialects.schema.reading import MAX_DEPTH, read_schema
from nexus_core.dialects.schema.written import CannotSayError
from tests.dialects.schema.rules import check_strict

STRING = {"type": "string"}
CLOSED = {"type": "object", "properties": {}, "additionalProperties": False}


def enforceable(schema: Any) -> dict[str, Any]:
    sent = write_answer(read_schema(schema)).schema
    check_strict(sent)
    return sent


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        (
            {"type": "object", "properties": {"a": STRING}, "additionalProperties": True},
            {"type": "object", "properties": {"a": STRING}, "additionalProperties": False},
        ),
        ({"type": "object"}, {"type": "object", "properties": {}, "additionalProperties": False}),
        (
            {"properties": {"a": STRING}, "required": ["a"]},
            {
                "type": "object",
                "properties": {"a": STRING},
                "additionalProperties": False,
                "required": ["a"],
            },
        ),
        (
            {"type": "integer", "minimum": 1, "description": "n"},
            {"type": "integer", "description": "n\n\n{minimum: 1}"},
        ),
        ({**STRING, "format": "uuid"}, {**STRING, "format": "uuid"}),
        ({**STRING, "format": "regex"}, {**STRING, "description": "{format: regex}"}),
        (
            {"type": "array", "items": {"type": "object"}, "minItems": 1},
            {
                "type": "array",
                "items": {"type": "object", "properties": {}, "additionalProperties": False},
                "minItems": 1,
            },
        ),
        (
            {"type": "array", "items": STRING, "minItems": 2},
            {"type": "array", "items": STRING, "description": "{minItems: 2}"},
        ),
        ({"oneOf": [STRING]}, {"anyOf": [STRING]}),
        ({"allOf": [{"type": "object"}]}, CLOSED),
        (
            {"allOf": [{"properties": {"a": STRING}}, {"properties": {"b": STRING}}]},
            {
                "type": "object",
                "properties": {"a": STRING, "b": STRING},
                "additionalProperties": False,
            },
        ),
        ({**STRING, "enum": ["a", "b"]}, {"enum": ["a", "b"]}),
        ({"const": 1}, {"const": 1}),
        (
            {"$schema": "x", "$defs": {"a": {"type": "object"}}, "$ref": "#/$defs/a"},
            {"$ref": "#/$defs/a", "$defs": {"a": CLOSED}},
        ),
        # Nothing may stand beside a reference: its definition is put in its place.
        (
            {"$ref": "#/definitions/a", "title": "x", "definitions": {"a": {"type": "object"}}},
            {**CLOSED, "title": "x"},
        ),
        # As OpenAI's strict schemas say "or null".
        (
            {"type": ["string", "null"], "description": "n"},
            {"description": "n", "anyOf": [STRING, {"type": "null"}]},
        ),
        (
            {"type": ["object", "null"], "properties": {"a": STRING}, "required": ["a"]},
            {
                "anyOf": [
                    {
                        "type": "object",
                        "properties": {"a": STRING},
                        "additionalProperties": False,
                        "required": ["a"],
                    },
                    {"type": "null"},
                ]
            },
        ),
        ({"type": ["string", "null"], "enum": ["a", None]}, {"enum": ["a", None]}),
    ],
)
def test_a_schema_is_brought_into_what_can_be_enforced(
    schema: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert enforceable(schema) == sent


class Leaf(BaseModel):
    name: str = Field(min_length=1)
    size: int | None = None


class Tree(BaseModel):
    """A tree."""

    leaves: list[Leaf]
    kind: str = Field(pattern="^a")


def test_a_schema_ends_up_like_the_sdks_own() -> None:
    schema = Tree.model_json_schema()

    ours, theirs = enforceable(schema), transform_schema(schema)

    assert without_descriptions(ours) == without_descriptions(theirs)


def without_descriptions(value: Any) -> Any:
    """Where words go is a matter of taste, and so is the place of defaults."""
    if isinstance(value, list):
        return [without_descriptions(item) for item in value]
    if isinstance(value, dict):
        return {
            key: without_descriptions(item)
            for key, item in value.items()
            if key not in {"description", "default"}
        }
    return value


def test_a_union_stands_alone_and_its_branches_are_whole() -> None:
    schema = {
        "description": "d",
        "type": "object",
        "properties": {"a": STRING},
        "oneOf": [{"properties": {"b": STRING}, "required": ["b"]}, {"properties": {"c": STRING}}],
    }

    sent = enforceable(schema)

    assert sent["description"] == "d"
    assert [branch["properties"] for branch in sent["anyOf"]] == [
        {"a": STRING, "b": STRING},
        {"a": STRING, "c": STRING},
    ]


def test_a_union_of_conditions_is_told_in_words() -> None:
    schema = {
        "type": "object",
        "properties": {"a": STRING, "b": STRING},
        "anyOf": [{"required": ["a"]}, {"required": ["b"]}],
    }

    sent = enforceable(schema)

    assert sent["properties"] == {"a": STRING, "b": STRING}
    assert sent["description"] == '{anyOf: [{"required": ["a"]}, {"required": ["b"]}]}'


def test_a_tuple_is_a_list_of_its_kinds() -> None:
    schema = {"type": "array", "prefixItems": [STRING, {"type": "integer"}], "items": False}

    sent = enforceable(schema)

    assert sent["items"] == {"anyOf": [STRING, {"type": "integer"}]}
    assert "prefixItems" in sent["description"]


NODE = {
    "type": "object",
    "properties": {"value": STRING, "children": {"type": "array", "items": {"$ref": "#"}}},
}
DEEP: dict[str, Any] = {"type": "object"}
for _ in range(MAX_DEPTH * 2):
    DEEP = {"type": "array", "items": DEEP}


@pytest.mark.parametrize(
    ("schema", "place"),
    [
        (True, ""),
        (False, ""),
        ({}, ""),
        ({"title": "anything"}, ""),
        ({"type": "object", "properties": {"a": {}}}, "properties.a"),
        ({"type": "object", "properties": {"a": STRING}, "required": ["b"]}, ""),
        (NODE, "properties.children.items"),
        (
            {"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"$ref": "#/$defs/n"}}},
            "properties.a",
        ),
        ({"properties": {"a": {"$ref": "https://e.org/s.json"}}}, "properties.a"),
        ({"properties": {"a": {"anyOf": [STRING, True]}}}, "properties.a.anyOf[1]"),
    ],
)
def test_what_no_grammar_holds_is_named_by_its_place(schema: Any, place: str) -> None:
    with pytest.raises(CannotSayError) as error:
        enforceable(schema)

    assert error.value.place == place


def test_a_schema_without_end_is_refused() -> None:
    with pytest.raises(CannotSayError):
        enforceable(DEEP)


def test_an_object_that_was_open_is_closed_and_the_report_tells() -> None:
    schema = {"properties": {"a": STRING}, "additionalProperties": STRING}

    written = write_answer(read_schema(schema))

    assert written.schema["additionalProperties"] is False
    assert any("closed" in note for note in written.notes)
