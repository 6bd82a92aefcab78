from __future__ import annotations

from typing import Any

import pytest

from nexus_core.dialects.schema.reading import MAX_DEPTH, read_schema

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
DRAFT_4 = "http://json-schema.org/draft-04/schema#"
DRAFT_7 = "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize(
    ("schema", "canonical"),
    [
        # Draft 04
        ({"minimum": 0, "exclusiveMinimum": True}, {"exclusiveMinimum": 0}),
        ({"maximum": 9, "exclusiveMaximum": True}, {"exclusiveMaximum": 9}),
        ({"minimum": 0, "exclusiveMinimum": False}, {"minimum": 0}),
        ({"exclusiveMinimum": True}, {}),
        ({"exclusiveMinimum": 0, "minimum": 1}, {"exclusiveMinimum": 0, "minimum": 1}),
        # Up to 2019-09
        ({"items": [STRING, INTEGER]}, {"prefixItems": [STRING, INTEGER]}),
        (
            {"items": [STRING], "additionalItems": False},
            {"prefixItems": [STRING], "items": False},
        ),
        ({"items": [], "additionalItems": STRING}, {"items": STRING}),
        ({"items": STRING, "additionalItems": False}, {"items": STRING}),
        ({"prefixItems": [STRING], "items": INTEGER}, {"prefixItems": [STRING], "items": INTEGER}),
        # Up to 7
        (
            {"dependencies": {"a": ["b"], "c": STRING}},
            {"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": STRING}},
        ),
        # OpenAPI and Gemini
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": "string", "nullable": False}, STRING),
        (
            {"type": "string", "nullable": True, "enum": ["a"]},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {"nullable": True, "allOf": [STRING], "description": "d"},
            {"description": "d", "anyOf": [{"allOf": [STRING]}, {"type": "null"}]},
        ),
        ({"type": "OBJECT"}, {"type": "object"}),
        ({"type": "STRING", "example": "a"}, {"type": "string", "examples": ["a"]}),
        # What makes no sense, or none in 2020-12
        ({"type": "any"}, {}),
        ({"type": ["string", "any"]}, {}),
        ({"type": ["string", "string"]}, STRING),
        ({"type": ["string", "file"]}, STRING),
        ({"type": []}, {}),
        ({"type": 5}, {}),
        ({"required": True}, {}),
        ({"required": None, "properties": None, "enum": None}, {}),
        ({"items": None, "additionalProperties": None}, {"additionalProperties": True}),
        ({"required": ["a", "b", "a", 1]}, {"required": ["a", "b"]}),
        ({"enum": ["a", "a", 1, True]}, {"enum": ["a", 1, True]}),
        ({"enum": []}, {}),
        ({"anyOf": []}, {}),
        ({"properties": []}, {}),
        ({"properties": {"a": "string"}}, {"properties": {"a": True}}),
        ({"minLength": "2", "maxLength": -1, "minItems": 2.0}, {"minItems": 2}),
        ({"multipleOf": 0}, {}),
        ({"uniqueItems": 1, "pattern": 5, "description": None}, {}),
        ({"minimum": float("inf")}, {}),
        ({"$comment": "c", "$schema": DRAFT_7, "$vocabulary": {}, "x-y": 1}, {"x-y": 1}),
        (None, True),
        ([], True),
        (True, True),
        (False, False),
        ({}, {}),
    ],
)
def test_every_draft_becomes_2020_12(schema: Any, canonical: Any) -> None:
    assert read_schema(schema).root == canonical


A = {"type": "object", "properties": {"x": STRING}}


@pytest.mark.parametrize(
    ("schema", "name"),
    [
        ({"$ref": "#/$defs/A", "$defs": {"A": A}}, "A"),
        ({"$ref": "#/definitions/A", "definitions": {"A": A}}, "A"),
        ({"$ref": "#/components/schemas/A", "components": {"schemas": {"A": A}}}, "A"),
        ({"$ref": "#/$defs/a~1b~0c", "$defs": {"a/b~c": A}}, "a_1b_0c"),
        ({"$ref": "#/$defs/a%20b", "$defs": {"a b": A}}, "a_20b"),
        ({"$ref": "#/properties/p", "properties": {"p": A}}, "p"),
        ({"$ref": "#/anyOf/1", "anyOf": [STRING, A]}, "1"),
        ({"$ref": "#here", "$defs": {"A": {"$anchor": "here", **A}}}, "here"),
        ({"$ref": "#here", "definitions": {"A": {"$id": "#here", **A}}}, "here"),
        (
            {"$schema": DRAFT_4, "$ref": "#here", "definitions": {"A": {"id": "#here", **A}}},
            "here",
        ),
        (
            {
                "$id": "https://e.org/s.json",
                "$ref": "https://e.org/s.json#/$defs/A",
                "$defs": {"A": A},
            },
            "A",
        ),
        (
            {
                "$id": "https://e.org/s.json",
                "$ref": "a.json",
                "$defs": {"A": {"$id": "a.json", **A}},
            },
            "a_json",
        ),
        ({"$dynamicRef": "#n", "$defs": {"A": {"$dynamicAnchor": "n", **A}}}, "n"),
    ],
)
def test_a_reference_inside_the_schema_is_found(schema: dict[str, Any], name: str) -> None:
    document = read_schema(schema)

    assert isinstance(document.root, dict)
    assert document.root["$ref"] == name
    assert document.definitions[name] == A
    assert not document.notes


@pytest.mark.parametrize(
    "reference",
    [
        "https://example.org/schema.json",
        "other.json#/a",
        "#/$defs/missing",
        "#missing",
        "#/$defs/A/type",
        "#/anyOf/99999999999999999999",
        "http://[",
        5,
        None,
    ],
)
def test_a_reference_that_leads_out_accepts_anything_and_is_told(reference: Any) -> None:
    schema = {"properties": {"a": {"$ref": reference, "title": "t"}}, "$defs": {"A": STRING}}

    document = read_schema(schema)

    assert isinstance(document.root, dict)
    sent = document.root["properties"]["a"]
    assert "$ref" not in sent
    assert sent["title"] == "t"
    if reference is not None:
        assert str(reference) in sent["description"]
        assert [place for place, _ in document.notes] == ["properties.a.$ref"]


def test_several_dynamic_anchors_of_one_name_accept_anything() -> None:
    anchored = {"$dynamicAnchor": "n", **A}

    document = read_schema({"$dynamicRef": "#n", "$defs": {"A": anchored, "B": anchored.copy()}})

    assert document.definitions == {}


def test_beside_a_reference_of_draft_7_only_words_count() -> None:
    schema = {
        "$schema": DRAFT_7,
        "$ref": "#/definitions/A",
        "description": "d",
        "maxLength": 1,
        "definitions": {"A": STRING},
    }

    assert read_schema(schema).root == {"description": "d", "$ref": "A"}


def test_what_leads_back_to_itself_is_known() -> None:
    schema = {
        "properties": {"t": {"$ref": "#/$defs/Tree"}, "s": {"$ref": "#/$defs/Leaf"}},
        "$defs": {
            "Tree": {
                "properties": {"b": {"$ref": "#/$defs/Branch"}, "l": {"$ref": "#/$defs/Leaf"}}
            },
            "Branch": {"items": {"$ref": "#/$defs/Tree"}},
            "Leaf": STRING,
            "Unused": {"$ref": "#/$defs/Unused"},
        },
    }

    document = read_schema(schema)

    assert set(document.definitions) == {"Tree", "Branch", "Leaf"}
    assert document.recursive == {"Tree", "Branch"}


def test_definitions_of_one_name_stay_apart() -> None:
    schema = {
        "properties": {
            "a": {"$ref": "#/$defs/x/$defs/N"},
            "b": {"$ref": "#/$defs/y/$defs/N"},
            "c": {"$ref": "#/$defs/x/$defs/N"},
        },
        "$defs": {"x": {"$defs": {"N": STRING}}, "y": {"$defs": {"N": INTEGER}}},
    }

    document = read_schema(schema)

    assert document.definitions == {"N": STRING, "N_2": INTEGER}


def test_a_schema_without_end_is_cut() -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(MAX_DEPTH * 3):
        schema = {"type": "array", "items": schema}

    document = read_schema(schema)

    assert [what for _, what in document.notes] == ["nested too deep; anything is accepted there"]


def test_a_chain_of_references_takes_no_time() -> None:
    many = {f"n{i}": {"$ref": f"#/$defs/n{i + 1}"} for i in range(5_000)}

    document = read_schema({"$ref": "#/$defs/n0", "$defs": {**many, "n5000": STRING}})

    assert len(document.definitions) == 5_001
    assert not document.recursive
