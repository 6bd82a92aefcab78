"""What Gemini gets as parametersJsonSchema and responseJsonSchema."""

from __future__ import annotations

from typing import Any

import pytest

from nexus_core.dialects.schema.gemini import write_answer, write_parameters
from nexus_core.dialects.schema.reading import MAX_DEPTH, read_schema
from nexus_core.dialects.schema.written import CannotSayError
from tests.dialects.schema.rules import check_gemini, check_gemini_parameters

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
PLACE = {"type": "object", "properties": {"city": STRING}}


def answer(schema: Any) -> dict[str, Any]:
    sent = write_answer(read_schema(schema)).schema
    check_gemini(sent)
    return sent


def parameters(schema: Any) -> dict[str, Any]:
    sent = write_parameters(read_schema(schema)).schema
    check_gemini_parameters(sent)
    return sent


@pytest.mark.parametrize("write", [answer, parameters])
def test_nothing_stands_beside_a_reference(write: Any) -> None:
    schema = {
        "type": "object",
        "properties": {
            "home": {
                "$ref": "#/$defs/Place",
                "description": "where they live",
                "examples": [{"city": "Ulm"}],
            }
        },
        "required": ["home"],
        "$defs": {"Place": PLACE},
    }

    sent = write(schema)

    home = sent["properties"]["home"]
    assert home == {**PLACE, "description": 'where they live\n\n{examples: [{"city": "Ulm"}]}'}
    assert sent["required"] == ["home"]
    assert "$defs" not in sent


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        ({"const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"const": 1}, {"type": "integer", "enum": [1]}),
        ({"const": 1.5}, {"type": "number", "enum": [1.5]}),
        ({"const": None}, {"type": "null"}),
        ({"const": True}, {"type": "boolean", "description": "{enum: [true]}"}),
        ({"enum": [True, False]}, {"type": "boolean"}),
        ({"type": "string", "enum": ["a", 1]}, {"type": "string", "enum": ["a"]}),
        ({"enum": ["a", None]}, {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]}),
        (
            {"type": ["string", "null"], "enum": ["a", None], "description": "d"},
            {"description": "d", "anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        ),
        ({"enum": ["", "a"]}, {"type": "string", "description": '{enum: ["", "a"]}'}),
        ({"enum": [{"a": 1}]}, {"type": "object", "description": '{enum: [{"a": 1}]}'}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        # Limits
        (
            {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9},
            {"type": "integer", "minimum": 1, "maximum": 8},
        ),
        (
            {"type": "integer", "minimum": 0, "exclusiveMinimum": True},
            {"type": "integer", "minimum": 1},
        ),
        (
            {"type": "integer", "minimum": 5, "exclusiveMinimum": 0},
            {"type": "integer", "minimum": 5},
        ),
        (
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "number", "minimum": 0, "description": "{exclusiveMinimum: 0}"},
        ),
        (
            {"type": "string", "minLength": 2, "pattern": "^a", "default": "ab"},
            {"type": "string", "description": "{minLength: 2, pattern: ^a, default: ab}"},
        ),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        (
            {"type": "string", "format": "email"},
            {"type": "string", "description": "{format: email}"},
        ),
        # Unions
        ({"oneOf": [STRING, INTEGER]}, {"anyOf": [STRING, INTEGER]}),
        ({"anyOf": [STRING, False]}, STRING),
        ({"anyOf": [STRING, True]}, {}),
        ({"description": "d", "anyOf": [STRING]}, {"type": "string", "description": "d"}),
        (
            {"type": "string", "anyOf": [{"const": "a"}, {"format": "date"}]},
            {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "string", "format": "date"}]},
        ),
        ({"allOf": [STRING, {"description": "d"}]}, {"type": "string", "description": "d"}),
        # Arrays
        ({"type": "array"}, {"type": "array", "items": {}}),
        (
            {"type": "array", "items": [STRING, INTEGER], "additionalItems": False},
            {"type": "array", "prefixItems": [STRING, INTEGER], "maxItems": 2},
        ),
        (
            {"type": "array", "prefixItems": [STRING], "items": INTEGER},
            {"type": "array", "prefixItems": [STRING], "items": INTEGER},
        ),
        ({"type": "array", "items": False}, {"type": "array", "items": {}, "maxItems": 0}),
        (
            {"type": "array", "items": STRING, "maxItems": 100_000},
            {"type": "array", "items": STRING, "description": "{maxItems: 100000}"},
        ),
        # Objects
        (
            {"type": "object", "properties": {"a": STRING}, "required": ["a", "b"]},
            {
                "type": "object",
                "properties": {"a": STRING},
                "required": ["a"],
                "description": '{required: ["a", "b"]}',
            },
        ),
        ({"type": "object", "properties": {"a": STRING, "b": False}},
         {"type": "object", "properties": {"a": STRING}}),
        ({"type": "object", "properties": {}}, {"type": "object"}),
        ({"type": "string", "format": "enum"}, {"type": "string", "description": "{format: enum}"}),
        (
            {"type": "object", "additionalProperties": STRING},
            {"type": "object", "additionalProperties": STRING},
        ),
        (
            {"type": "object", "patternProperties": {"^x": STRING}, "additionalProperties": False},
            {"type": "object", "description": '{patternProperties: {"^x": {"type": "string"}}}'},
        ),
        ({"type": "array", "items": STRING, "uniqueItems": True},
         {"type": "array", "items": STRING, "description": "{uniqueItems: true}"}),
        ({"not": STRING}, {"description": '{not: {"type": "string"}}'}),
        ({"$schema": "x", "$id": "y", "x-order": 1, "deprecated": True, **STRING}, STRING),
        ({}, {}),
    ],
)  # fmt: skip
def test_what_is_sent_of_an_answers_schema(schema: Any, sent: dict[str, Any]) -> None:
    assert answer(schema) == sent


def test_there_is_no_answer_to_a_schema_that_accepts_nothing() -> None:
    with pytest.raises(CannotSayError):
        answer(False)


TREE = {
    "type": "object",
    "properties": {
        "value": STRING,
        "children": {"type": "array", "items": {"$ref": "#"}},
        "parent": {"$ref": "#", "description": "up"},
    },
    "required": ["value", "children"],
}


def test_a_tree_leads_back_to_itself_only_in_optional_properties() -> None:
    sent = answer(TREE)

    node = sent["$defs"]["root"]
    assert node["properties"]["children"] == {"type": "array", "items": {"$ref": "#/$defs/root"}}
    assert node["required"] == ["value"]
    assert "children" in node["description"]
    assert node["properties"]["parent"] == {
        "description": "up",
        "anyOf": [{"$ref": "#/$defs/root"}],
    }


def test_a_list_of_itself_accepts_anything_and_tells() -> None:
    written = write_answer(read_schema({"type": "array", "items": {"$ref": "#"}}))

    assert written.schema == {"type": "array", "items": {"type": "array", "items": {}}}
    assert "leads back to itself" in written.notes[0]


def test_lists_may_hold_about_a_thousand_items_together() -> None:
    lists = {f"l{i}": {"type": "array", "items": STRING, "maxItems": 400} for i in range(5)}

    sent = parameters({"type": "object", "properties": lists})

    assert sum(each.get("maxItems", 0) for each in sent["properties"].values()) == 800


def test_references_that_multiply_stay_references() -> None:
    definitions: dict[str, Any] = {"d40": STRING}
    for i in range(40):
        deeper = {"$ref": f"#/$defs/d{i + 1}"}
        definitions[f"d{i}"] = {"type": "object", "properties": {"a": deeper, "b": deeper}}

    sent = answer({"$ref": "#/$defs/d0", "$defs": definitions})

    assert len(str(sent)) < 200_000
    assert "$defs" in sent


def test_unions_that_multiply_end() -> None:
    schema: dict[str, Any] = STRING
    for _ in range(MAX_DEPTH // 2):
        schema = {
            "type": "object",
            "properties": {"a": schema},
            "anyOf": [{"properties": {"b": STRING}}, {"properties": {"c": STRING}}],
        }

    assert len(str(answer(schema))) < 10_000_000


@pytest.mark.parametrize("key", ["$top", "filter[id]", "@type", "1st", "a" * 65, "ключ", ""])
def test_keys_of_arguments_are_renamed(key: str) -> None:
    written = write_parameters(read_schema({"properties": {key: STRING}, "required": [key]}))

    assert written.arguments is not None
    sent = written.arguments.sent[key]
    assert written.schema["required"] == [sent]
    assert key not in written.schema["properties"]


def test_keys_of_answers_are_not() -> None:
    assert answer({"type": "object", "properties": {"$top": INTEGER}})["properties"] == {
        "$top": INTEGER
    }


def test_arguments_of_any_kind_are_an_object() -> None:
    assert parameters({"type": "array", "items": STRING})["required"] == ["value"]
    assert parameters({"anyOf": [{"required": ["a"]}], "properties": {"a": STRING}}) == {
        "type": "object",
        "properties": {"a": STRING},
        "required": ["a"],
    }
