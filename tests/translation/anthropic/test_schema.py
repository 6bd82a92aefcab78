from __future__ import annotations

from typing import Any

import pytest
from anthropic import transform_schema
from pydantic import BaseModel, Field

from nexus_core.translation.anthropic.schema import MAX_DEPTH, enforceable

STRING = {"type": "string"}


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
        ({"allOf": [{"type": "object"}]}, {"allOf": [enforceable({"type": "object"})]}),
        ({**STRING, "enum": ["a", "b"]}, {"enum": ["a", "b"]}),
        ({"const": 1}, {"const": 1}),
        ({"$ref": "#/$defs/a", "title": "x"}, {"$ref": "#/$defs/a"}),
        (
            {"$schema": "x", "$defs": {"a": {"type": "object"}}, "$ref": "#/$defs/a"},
            {"$ref": "#/$defs/a", "$defs": {"a": enforceable({"type": "object"})}},
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


def test_a_schema_without_end_is_left_as_it_is() -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(MAX_DEPTH * 2):
        schema = {"type": "array", "items": schema}

    found = enforceable(schema)

    for _ in range(MAX_DEPTH * 2):
        found = found["items"]
    assert found == {"type": "object"}


def test_a_union_stands_alone() -> None:
    schema = {"type": "object", "properties": {"a": STRING}, "anyOf": [STRING], "oneOf": []}

    sent = enforceable(schema)

    assert sent["anyOf"] == [STRING]
    assert set(sent) == {"anyOf", "description"}
    assert "properties" in sent["description"]
