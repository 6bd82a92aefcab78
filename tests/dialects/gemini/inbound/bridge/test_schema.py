"""Google's schemas as JSON Schema."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

from nexus_core.dialects.gemini.inbound.bridge.schema import json_schema


@pytest.mark.parametrize(
    ("given", "written"),
    [
        ({"type": "STRING"}, {"type": "string"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "TYPE_UNSPECIFIED", "title": "a"}, {"title": "a"}),
        ({"type": ["STRING", "NULL"]}, {"type": ["string", "null"]}),
        ({"type": "INTEGER", "nullable": True}, {"type": ["integer", "null"]}),
        ({"type": "INTEGER", "nullable": False}, {"type": "integer"}),
        (
            {"type": "STRING", "enum": ["a", "OBJECT"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", "OBJECT", None]},
        ),
        (
            {"anyOf": [{"type": "STRING"}], "nullable": True},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ),
        ({"any_of": [{"type": "BOOLEAN"}]}, {"anyOf": [{"type": "boolean"}]}),
        (
            {"type": "ARRAY", "items": {"type": "NUMBER"}, "minItems": "2", "max_items": 3},
            {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 3},
        ),
        (
            {
                "type": "OBJECT",
                "properties": {"max_items": {"type": "STRING"}, "nullable": {"type": "STRING"}},
                "propertyOrdering": ["nullable", "max_items"],
                "required": ["max_items"],
                "example": {"max_items": "x"},
            },
            {
                "type": "object",
                "properties": {"max_items": {"type": "string"}, "nullable": {"type": "string"}},
                "required": ["max_items"],
            },
        ),
        (
            {"$ref": "#/$defs/a", "$defs": {"a": {"type": "OBJECT"}}},
            {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object"}}},
        ),
        ({"type": "OBJECT", "additionalProperties": False}, None),
        ({"const": "STRING", "default": {"type": "STRING"}}, None),
    ],
)
def test_a_schema_is_written_as_json_schema(given: dict[str, Any], written: Any) -> None:
    found = json_schema(given)

    expected = written if written is not None else given | {"type": given.get("type")}
    if written is None:
        expected = {k: "object" if v == "OBJECT" else v for k, v in given.items()}
    assert found == expected
    assert isinstance(found, dict)
    jsonschema.Draft202012Validator.check_schema(found)


@pytest.mark.parametrize("other", [None, True, "x", 7, []])
def test_what_is_no_schema_stays(other: object) -> None:
    assert json_schema(other) == other
