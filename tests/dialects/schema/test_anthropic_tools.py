"""What Anthropic gets as a tool's input_schema. The cases are from public reports."""

from __future__ import annotations

import time
from typing import Any

import pytest

from nexus_core.dialects.schema.anthropic_tools import write_input
from nexus_core.dialects.schema.reading import read_schema
from nexus_core.dialects.schema.written import Written
from tests.dialects.schema.rules import check_anthropic_input

STRING, INTEGER = {"type": "string"}, {"type": "integer"}
EMPTY = {"type": "object", "properties": {}}


def written(schema: Any) -> Written:
    made = write_input(read_schema(schema))
    check_anthropic_input(made.schema)
    return made


def test_a_union_of_conditions_at_the_root_is_told_in_words() -> None:
    properties = {"route": STRING, "file": STRING}
    schema = {
        "type": "object",
        "description": "d",
        "properties": properties,
        "anyOf": [{"required": ["route"]}, {"required": ["file"]}],
    }

    made = written(schema)

    assert made.schema == {
        "type": "object",
        "description": 'd\n\n{anyOf: [{"required": ["route"]}, {"required": ["file"]}]}',
        "properties": properties,
    }
    assert made.notes == (": in descriptions only: anyOf",)


KIND_A: dict[str, Any] = {"type": "object", "properties": {"kind": {"const": "a"}, "x": INTEGER}}
KIND_A |= {"required": ["kind", "x"], "additionalProperties": False}
KIND_B: dict[str, Any] = {"type": "object", "properties": {"kind": {"const": "b"}, "y": STRING}}
KIND_B |= {"required": ["kind"], "additionalProperties": False}


@pytest.mark.parametrize("union", ["anyOf", "oneOf"])
def test_a_union_of_objects_at_the_root_is_one_object(union: str) -> None:
    schema = written({union: [KIND_A, KIND_B]}).schema

    assert schema["properties"] == {
        "kind": {"anyOf": [{"const": "a"}, {"const": "b"}]},
        "x": INTEGER,
        "y": STRING,
    }
    assert schema["required"] == ["kind"]
    assert schema["additionalProperties"] is False
    assert '"x"' in schema["description"]


@pytest.mark.parametrize(
    ("schema", "sent"),
    [
        ({}, EMPTY),
        (None, EMPTY),
        ([], EMPTY),  # as PHP writes an empty object
        (True, EMPTY),
        (False, EMPTY),
        ({"type": "object"}, EMPTY),
        ({"type": "object", "properties": None}, EMPTY),
        ({"type": "object", "properties": []}, EMPTY),
        ({"type": ["object", "null"], "properties": {"a": STRING}},
         {"type": "object", "properties": {"a": STRING}}),
        ({"properties": {"a": STRING}}, {"type": "object", "properties": {"a": STRING}}),
        # References at the root
        ({"$ref": "#/$defs/A", "$defs": {"A": {"properties": {"a": STRING}}}},
         {"type": "object", "properties": {"a": STRING}}),
        ({"$ref": "#"}, EMPTY),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}}, EMPTY),
        # allOf at the root
        ({"allOf": [{"properties": {"a": STRING}, "required": ["a"]},
                    {"properties": {"b": STRING}, "required": ["b", "a"]}]},
         {"type": "object", "properties": {"a": STRING, "b": STRING}, "required": ["a", "b"]}),
        ({"allOf": [{"properties": {"a": STRING}}, {"properties": {"a": {"maxLength": 2}}}]},
         {"type": "object", "properties": {"a": {"allOf": [STRING, {"maxLength": 2}]}}}),
        # A union with one branch that can be meant
        ({"anyOf": [{"type": "null"}, {"type": "object", "properties": {"a": STRING}}]},
         {"type": "object", "properties": {"a": STRING}}),
        # Below the root unions stay
        ({"properties": {"a": {"oneOf": [STRING, INTEGER]}}},
         {"type": "object", "properties": {"a": {"oneOf": [STRING, INTEGER]}}}),
        # Drafts before 2020-12
        ({"properties": {"n": {"type": "integer", "minimum": 0, "exclusiveMinimum": True}}},
         {"type": "object", "properties": {"n": {"type": "integer", "exclusiveMinimum": 0}}}),
        ({"properties": {"p": {"type": "array", "items": [STRING, INTEGER]}}},
         {"type": "object",
          "properties": {"p": {"type": "array", "prefixItems": [STRING, INTEGER]}}}),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "properties": {"a": STRING},
          "required": ["a", "a"]},
         {"type": "object", "properties": {"a": STRING}, "required": ["a"]}),
        ({"properties": {"a": {"$ref": "#/definitions/A"}}, "definitions": {"A": STRING, "B": {}}},
         {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": STRING}}),
        # Python knows no \p{L}
        ({"properties": {"a": {"type": "string", "pattern": "^\\p{L}+$"}}},
         {"type": "object",
          "properties": {"a": {"type": "string", "description": "{pattern: ^\\p{L}+$}"}}}),
        ({"properties": {"a": {"$ref": "https://e.org/a.json"}}},
         {"type": "object",
          "properties": {"a": {"description": "{$ref: https://e.org/a.json}"}}}),
    ],
)  # fmt: skip
def test_what_is_sent(schema: Any, sent: dict[str, Any]) -> None:
    assert written(schema).schema == sent


def test_a_tree_stays_one() -> None:
    node = {"type": "object", "properties": {"c": {"type": "array", "items": {"$ref": "#"}}}}

    schema = written(node).schema

    child = {"type": "array", "items": {"$ref": "#/$defs/root"}}
    assert schema["properties"] == {"c": child}
    assert schema["$defs"]["root"]["properties"] == {"c": child}


def test_keys_are_renamed_in_step_with_all_that_names_them() -> None:
    schema = {
        "properties": {
            "$top": INTEGER,
            "filter[id]": True,
            "deep": {"type": "object", "properties": {"a b": STRING}, "required": ["a b"]},
        },
        "required": ["$top", "deep"],
        "dependentRequired": {"$top": ["filter[id]"]},
        "dependentSchemas": {"$top": {"required": ["filter[id]"]}},
        "default": {"$top": 1, "deep": {"a b": ""}},
    }

    made = written(schema)

    assert made.arguments is not None
    top, item, inner = (made.arguments.sent[key] for key in ("$top", "filter[id]", "a b"))
    sent = made.schema
    assert sent["properties"][top] == {"type": "integer", "description": "{name: $top}"}
    assert sent["properties"][item] == {"description": "{name: filter[id]}"}
    assert sent["properties"]["deep"]["required"] == [inner]
    assert sent["required"] == [top, "deep"]
    assert sent["dependentRequired"] == {top: [item]}
    assert sent["dependentSchemas"] == {top: {"required": [item]}}
    assert sent["default"] == {top: 1, "deep": {inner: ""}}
    assert made.notes == (": keys renamed, and restored in calls: $top, filter[id], a b",)


@pytest.mark.parametrize("key", ["$top", "filter[id]", "@odata.type", "ключ", "a" * 65, "a b", ""])
def test_what_speaks_of_keys_by_pattern_is_told_where_a_key_is_renamed(key: str) -> None:
    schema = {
        "properties": {key: STRING},
        "patternProperties": {"^x-": STRING},
        "propertyNames": {"maxLength": 3},
        "additionalProperties": False,
    }

    sent = written(schema).schema

    assert {"patternProperties", "propertyNames", "additionalProperties"}.isdisjoint(sent)
    assert "^x-" in sent["description"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string"},
        {"type": ["array", "null"]},
        {"enum": ["a", "b"]},
        {"const": 5},
        {"anyOf": [STRING, {"type": "array", "items": INTEGER}]},
        {"$ref": "#/$defs/A", "$defs": {"A": STRING}},
        {"allOf": [STRING]},
    ],
)
def test_arguments_that_are_no_object_are_put_into_one(schema: Any) -> None:
    made = written(schema)

    assert made.schema["required"] == ["value"]
    assert made.arguments is not None
    assert made.arguments.is_wrapped


def test_a_hundred_branches_that_refer_to_each_other_end() -> None:
    definitions = {
        f"d{level}": {"allOf": [{"$ref": f"#/$defs/d{level + 1}"}] * 3} for level in range(100)
    }
    schema = {"$ref": "#/$defs/d0", "$defs": {**definitions, "d100": {"properties": {"a": STRING}}}}

    assert any("left out" in note for note in written(schema).notes)


def test_a_property_of_many_parts_is_one_list_of_them() -> None:
    schema = {"allOf": [{"properties": {"a": {"maxLength": size}}} for size in range(2_000)]}

    assert len(written(schema).schema["properties"]["a"]["allOf"]) == 2_000


def test_a_property_of_too_many_kinds_is_any() -> None:
    schema = {"anyOf": [{"properties": {"a": {"const": size}}} for size in range(2_000)]}

    assert written(schema).schema["properties"] == {"a": True}


def test_a_root_of_many_branches_keeps_all_of_their_properties() -> None:
    branches = [{"properties": {f"p{index}": STRING}} for index in range(1_000)]

    assert len(written({"anyOf": branches}).schema["properties"]) == 1_000


@pytest.mark.parametrize("keyword", ["allOf", "anyOf", "oneOf"])
def test_references_that_multiply_are_followed_once(keyword: str) -> None:
    definitions: dict[str, Any] = {
        f"a{i}": {keyword: [{"$ref": f"#/$defs/a{i + 1}"}] * 10} for i in range(20)
    }
    definitions["a20"] = {"type": "object", "properties": {"q": {"type": "string"}}}
    schema = {"type": "object", keyword: [{"$ref": "#/$defs/a0"}] * 2, "$defs": definitions}

    made = written(schema)

    assert made.schema["properties"] == {"q": STRING}
    assert made.notes == ()  # nothing was left out


@pytest.mark.parametrize(
    ("pattern", "is_sent"),
    [
        (r"^[\x00-\x7F]*$", True),
        (r"[\u0000-\uffff]", True),
        (r"[\x20-~]", True),
        ("[a-é]", True),
        (r"\\\u00e9", True),
        (r"(?<=a|b)c", True),
        (r"\p{L}", False),
        (r"\u{1F600}", False),
        (r"\N{SNOWMAN}", False),
        (r"\U00ffffff", False),
        (r"(?<name>a)", False),
        ("[é", False),
        ("\\", False),
    ],
)
def test_a_pattern_that_python_has_is_sent(pattern: str, is_sent: bool) -> None:
    sent = written({"properties": {"a": {"pattern": pattern}}}).schema["properties"]["a"]

    assert (sent.get("pattern") == pattern) is is_sent
    assert ("description" in sent) is not is_sent


def test_patterns_of_wide_ranges_take_no_time() -> None:
    # Each took half a second on the loop, at 1.5 KB.
    wide = [f"{number}" + "[\x01-\U0010ffff]" * 300 for number in range(20)]
    schema = {"properties": {f"p{i}": {"pattern": each} for i, each in enumerate(wide)}}
    began = time.process_time()

    write_input(read_schema(schema))

    assert time.process_time() - began < 2
