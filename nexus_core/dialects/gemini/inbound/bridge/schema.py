"""Schemas of the Gemini API as JSON Schema.

Google's Schema is OpenAPI's of 3.0: types in upper case, `nullable`, numbers as strings, an order
of properties. Its clients put such types into what they call JSON Schema, too.
https://ai.google.dev/api/caching#Schema
"""

from __future__ import annotations

from nexus_core.dialects.gemini.inbound.names import camel_name
from nexus_core.types import JsonObject, is_list, is_object

_TYPES = frozenset({"STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"})
_LEFT_OUT = frozenset({"nullable", "propertyOrdering", "example"})
_BY_NAME = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_ONE = frozenset(
    {
        *("items", "additionalProperties", "not", "contains", "propertyNames"),
        *("if", "then", "else", "unevaluatedProperties", "unevaluatedItems"),
    }
)
_SEVERAL = frozenset({"anyOf", "oneOf", "allOf", "prefixItems"})
_WHOLE = frozenset(
    {
        *("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"),
    }
)


def json_schema(schema: object) -> object:
    """A schema as JSON Schema; what is none stays as it is."""
    if not is_object(schema):
        return schema
    found: JsonObject = {}
    for key, value in schema.items():
        name = key if key.startswith("$") else camel_name(key)
        if name in _LEFT_OUT:
            continue
        if name == "type":
            _read_type(value, found)
        elif name in _BY_NAME and is_object(value):
            found[name] = {inner: json_schema(one) for inner, one in value.items()}
        elif name in _ONE:
            found[name] = json_schema(value)
        elif name in _SEVERAL and is_list(value):
            found[name] = [json_schema(one) for one in value]
        elif name in _WHOLE:
            found[name] = _as_number(value)
        else:
            found[name] = value
    if schema.get("nullable") is True:
        return _nullable(found)
    return found


def _read_type(value: object, found: JsonObject) -> None:
    if isinstance(value, str):
        if value.upper() in _TYPES:
            found["type"] = value.lower()
        elif value != "TYPE_UNSPECIFIED":
            found["type"] = value
    else:
        found["type"] = [_lower(one) for one in value] if is_list(value) else value


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) and value.upper() in _TYPES else value


def _as_number(value: object) -> object:
    """Protobuf writes 64-bit numbers as strings."""
    is_text = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20
    return int(value) if is_text and isinstance(value, str) else value


def _nullable(schema: JsonObject) -> JsonObject:
    kind, choices = schema.get("type"), schema.get("enum")
    if is_list(choices) and None not in choices:
        schema["enum"] = [*choices, None]
    if isinstance(kind, str) and kind != "null":
        schema["type"] = [kind, "null"]
    elif is_list(kind) and "null" not in kind:
        schema["type"] = [*kind, "null"]
    elif is_list(any_of := schema.get("anyOf")) and {"type": "null"} not in any_of:
        schema["anyOf"] = [*any_of, {"type": "null"}]
    return schema
