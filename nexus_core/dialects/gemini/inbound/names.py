"""Keys of the Gemini API: protobuf's JSON takes `system_instruction` for `systemInstruction`."""

from __future__ import annotations

import re

from nexus_core.types import JsonObject, is_list, is_object

_SNAKE = re.compile(r"_([a-z0-9])")
# Whose keys are names of the client's: arguments, results, properties of schemas. Schemas are read
# by a reader of their own.
_FREE = frozenset(
    {
        *("args", "response", "parameters", "responseSchema", "labels"),
        *("parametersJsonSchema", "responseJsonSchema"),
    }
)


def camel(fields: JsonObject) -> JsonObject:
    """The same fields under their names in camel case; what a client names itself stays."""
    found: JsonObject = {}
    for key, value in fields.items():
        name = camel_name(key)
        found[name] = value if name in _FREE else _camel_value(value)
    return found


def camel_name(key: str) -> str:
    """A key in camel case."""
    return _SNAKE.sub(lambda found: found[1].upper(), key) if "_" in key else key


def _camel_value(value: object) -> object:
    if is_object(value):
        return camel(value)
    if is_list(value):
        return [_camel_value(each) for each in value]
    return value
