"""What each provider takes, written down apart from the code that has to keep to it.

Anthropic: the API's own errors, as people report them. Structured outputs: the list on
https://platform.claude.com/docs/en/build-with-claude/structured-outputs. Gemini: the description
of `response_json_schema` in google-genai's types.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator

ANTHROPIC_KEY = re.compile(r"^[a-zA-Z0-9_.-]{1,64}$")
ANTHROPIC_TOOL = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
GEMINI_FUNCTION = re.compile(r"^[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}$")

ONE = (
    "items", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames",
    "unevaluatedProperties", "unevaluatedItems", "contentSchema",
)  # fmt: skip
MANY = ("anyOf", "oneOf", "allOf", "prefixItems")
NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs")

GEMINI_KEYWORDS = {
    "$id", "$defs", "$ref", "$anchor", "type", "format", "title", "description", "enum", "items",
    "prefixItems", "minItems", "maxItems", "minimum", "maximum", "anyOf", "oneOf", "properties",
    "additionalProperties", "required", "propertyOrdering",
}  # fmt: skip

STRICT_KEYWORDS = {
    "$defs", "$ref", "type", "title", "description", "default", "enum", "const", "anyOf", "items",
    "minItems", "properties", "additionalProperties", "required", "format",
}  # fmt: skip
STRICT_FORMATS = {
    "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
}  # fmt: skip


def children(node: dict[str, Any]) -> Iterator[Any]:
    for key in ONE:
        if key in node:
            yield node[key]
    for key in MANY:
        yield from node.get(key, ())
    for key in NAMED:
        yield from node.get(key, {}).values()


def nodes(schema: Any) -> Iterator[dict[str, Any]]:
    pending = [schema]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            yield node
            pending.extend(children(node))


def check_references(schema: dict[str, Any]) -> None:
    for node in nodes(schema):
        if "$ref" in node:
            start, name = node["$ref"].rsplit("/", 1)
            assert start == "#/$defs"
            assert name in schema["$defs"]
    for node in nodes(schema):
        assert node is schema or "$defs" not in node
        assert {key for key in node if key.startswith("$")} <= {"$ref", "$defs"}


def check_anthropic_input(schema: Any) -> None:
    assert isinstance(schema, dict)
    assert schema["type"] == "object"
    assert schema.keys().isdisjoint({"oneOf", "anyOf", "allOf", "$ref"})
    Draft202012Validator.check_schema(schema)
    check_references(schema)
    for node in nodes(schema):
        assert all(ANTHROPIC_KEY.match(key) for key in node.get("properties", {}))


def check_gemini(schema: Any) -> None:
    assert isinstance(schema, dict)
    Draft202012Validator.check_schema(schema)
    check_references(schema)
    for node in nodes(schema):
        assert node.keys() <= GEMINI_KEYWORDS
        assert "$ref" not in node or all(key.startswith("$") for key in node)
        assert all(
            isinstance(value, str | int | float) and not isinstance(value, bool)
            for value in node.get("enum", ())
        )
        assert set(node.get("required", ())) <= node.get("properties", {}).keys()
        assert not isinstance(node.get("items"), bool)
        assert all(isinstance(each, dict) for key in MANY for each in node.get(key, ()))
        assert all(isinstance(each, dict) for each in node.get("properties", {}).values())
        if node.get("type") == "array":
            assert {"items", "prefixItems"} & node.keys()
    assert sum(node.get("maxItems", 0) for node in nodes(schema)) < 960
    check_cycles(schema)


def check_gemini_parameters(schema: Any) -> None:
    check_gemini(schema)
    assert schema["type"] == "object"


def check_cycles(schema: dict[str, Any]) -> None:
    """Without what stands in optional properties, nothing leads back to itself."""
    edges = {
        name: set(_required_references(definition))
        for name, definition in schema.get("$defs", {}).items()
    }
    while edges:
        free = [name for name, needed in edges.items() if not needed & edges.keys()]
        assert free, f"a required cycle among {sorted(edges)}"
        for name in free:
            del edges[name]


def _required_references(node: Any) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    if "$ref" in node:
        yield node["$ref"].rsplit("/", 1)[1]
    for key in ONE:
        yield from _required_references(node.get(key))
    for key in MANY:
        for each in node.get(key, ()):
            yield from _required_references(each)
    for name, each in node.get("properties", {}).items():
        if name in node.get("required", ()):
            yield from _required_references(each)


def check_strict(schema: Any) -> None:
    assert isinstance(schema, dict)
    Draft202012Validator.check_schema(schema)
    check_references(schema)
    for node in nodes(schema):
        assert node.keys() <= STRICT_KEYWORDS
        assert node.keys() & {"type", "anyOf", "enum", "const", "$ref"}
        assert isinstance(node.get("type", ""), str)
        assert "$ref" not in node or node.keys() <= {"$ref", "$defs"}
        if node.get("type") == "object":
            assert node["additionalProperties"] is False
            assert set(node.get("required", ())) <= node["properties"].keys()
        assert node.get("minItems", 0) in (0, 1)
        assert node.get("format", "date") in STRICT_FORMATS
        values = [*node.get("enum", ()), node.get("const")]
        assert not any(isinstance(value, dict | list) for value in values)
    edges = {
        name: {n["$ref"].rsplit("/", 1)[1] for n in nodes(definition) if "$ref" in n}
        for name, definition in schema.get("$defs", {}).items()
    }
    while edges:
        free = [name for name, needed in edges.items() if not needed & edges.keys()]
        assert free, "recursive"
        for name in free:
            del edges[name]


def check_strict_input(schema: Any) -> None:
    check_strict(schema)
    assert schema["type"] == "object"
    for node in nodes(schema):
        assert all(ANTHROPIC_KEY.match(key) for key in node.get("properties", {}))
