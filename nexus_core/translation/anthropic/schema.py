"""Bring a JSON schema into the subset that Anthropic's structured outputs take.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs: objects are closed,
numbers and strings have no bounds, and there is no oneOf. What can't be enforced goes into the
description, where the model reads it.
"""

from __future__ import annotations

import json

from nexus_core.translation.openai import JsonObject

_FORMATS = (
    "date-time",
    "time",
    "date",
    "duration",
    "email",
    "hostname",
    "uri",
    "ipv4",
    "ipv6",
    "uuid",
)
_TYPES = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
_DEFINITIONS = ("$defs", "definitions")
_INSTEAD = ("enum", "const", "anyOf", "allOf")  # of a type
_KEPT = ("title", "description", "default", "$ref")

# Deeper than any schema that means something, well below Python's own limit.
MAX_DEPTH = 60


def enforceable(schema: JsonObject) -> JsonObject:
    """The schema as Anthropic takes it; a new object. What is no schema is left as it is."""
    return _node(schema, 0)


def _node(schema: JsonObject, depth: int) -> JsonObject:
    if depth > MAX_DEPTH:
        return schema
    rest = dict(schema)
    for ignored in ("$schema", "$id", "additionalProperties"):
        rest.pop(ignored, None)
    node = {key: rest.pop(key) for key in _KEPT if key in rest}
    for key in _DEFINITIONS:
        if isinstance(rest.get(key), dict):
            node[key] = _members(rest.pop(key), depth)
    if "$ref" in node:
        # Nothing may stand beside a reference but the definitions.
        return {key: node[key] for key in ("$ref", *_DEFINITIONS) if key in node}
    _take_literals(node, rest)
    _take_unions(node, rest, depth)
    _take_type(node, rest, depth)
    _describe(node, rest)
    return node


def _members(schemas: JsonObject, depth: int) -> JsonObject:
    return {name: _any(schema, depth) for name, schema in schemas.items()}


def _any(schema: object, depth: int) -> object:
    """A sub-schema; `true` and `false` are schemas too, and other things are left alone."""
    return _node(schema, depth + 1) if isinstance(schema, dict) else schema


def _take_literals(node: JsonObject, rest: JsonObject) -> None:
    enum = rest.get("enum")
    if isinstance(enum, list) and enum and all(_is_primitive(value) for value in enum):
        node["enum"] = rest.pop("enum")
    if "const" in rest and _is_primitive(rest["const"]):
        node["const"] = rest.pop("const")


def _is_primitive(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _take_unions(node: JsonObject, rest: JsonObject, depth: int) -> None:
    """One union: anyOf or allOf as it is, oneOf as anyOf, a list of types as anyOf too."""
    for source, target in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
        if isinstance(rest.get(source), list):
            node[target] = [_any(branch, depth) for branch in rest.pop(source)]
            return
    types = rest.get("type")
    if isinstance(types, list) and "enum" not in node and "const" not in node:
        del rest["type"]
        named = [name for name in types if isinstance(name, str)]
        node["anyOf"] = [_branch(name, rest, depth) for name in named]
        for key in {key for name in named for key in _KEYWORDS.get(name, ())}:
            rest.pop(key, None)


def _branch(name: str, rest: JsonObject, depth: int) -> JsonObject:
    """One type of a list of types, with those of the shared keywords that are about it."""
    keywords = {key: rest[key] for key in _KEYWORDS.get(name, ()) if key in rest}
    return _node({"type": name, **keywords}, depth + 1)


_KEYWORDS = {
    "object": ("properties", "required"),
    "array": ("items", "minItems", "maxItems"),
    "string": ("format", "pattern", "minLength", "maxLength"),
    "integer": ("minimum", "maximum", "multipleOf"),
    "number": ("minimum", "maximum", "multipleOf"),
}


def _take_type(node: JsonObject, rest: JsonObject, depth: int) -> None:
    kind = rest.pop("type", None)
    if kind is None and "properties" in rest:
        kind = "object"
    if not isinstance(kind, str) or kind not in _TYPES or not node.keys().isdisjoint(_INSTEAD):
        return
    node["type"] = kind
    if kind == "object":
        properties = rest.pop("properties", None)
        node["properties"] = _members(properties, depth) if isinstance(properties, dict) else {}
        node["additionalProperties"] = False
        if isinstance(rest.get("required"), list):
            node["required"] = rest.pop("required")
    elif kind == "array" and "items" in rest:
        node["items"] = _any(rest.pop("items"), depth)
        if rest.get("minItems") in (0, 1):
            node["minItems"] = rest.pop("minItems")
    elif kind == "string" and rest.get("format") in _FORMATS:
        node["format"] = rest.pop("format")


def _describe(node: JsonObject, rest: JsonObject) -> None:
    """Tell the model what no grammar holds."""
    if not rest:
        return
    told = ", ".join(f"{key}: {_shown(value)}" for key, value in rest.items())
    described = node.get("description")
    node["description"] = f"{described}\n\n{{{told}}}" if described else f"{{{told}}}"


def _shown(value: object) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except RecursionError:  # what could just be parsed is a few levels too deep for this call
        return "…"
