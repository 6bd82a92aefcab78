"""Messages about faults in nexus.toml: unknown keys, invalid values, suggestions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any, NamedTuple

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nexus_core.config.schema import COMPUTED, Config, KeyPath
from nexus_core.config.sections.base import HOST_PATTERN, NAME_PATTERN, may_be_a_key
from nexus_core.near_names import near_names
from nexus_core.types import JsonObject

A_DATE = [["a date or time"]]  # stands for one: of the wrong type wherever the file has it

_SECRET_NAME = re.compile(
    r"(?:api[-_]?keys?|token|secret|password|authorization|^key|admin_key)$", re.IGNORECASE
)
_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "tuple_type": "a list",
}

_PATTERNS = {
    HOST_PATTERN: "an address or a host name",
    NAME_PATTERN: "1 to 64 letters, digits, dots, underscores or hyphens",
}


class Fault(NamedTuple):
    """A problem of a value, as a message for the user."""

    path: KeyPath
    text: str
    is_key: bool  # it is about the key itself and not about its value


def faults_of(error: ValidationError) -> list[Fault]:
    """Turn validation errors into messages with their places."""
    return [
        Fault(*_in_words(one), one["type"] == "extra_forbidden" or "[key]" in one["loc"])
        for one in error.errors(include_url=False)
    ]


def shown(value: object) -> str:
    """Format a config value for messages: one line, no control characters, no secret."""
    if isinstance(value, str):
        if len(value) > 80 or may_be_a_key(value):
            return "this value"
        return f'"{written_out(value)}"'
    if isinstance(value, int | float):
        return str(value) if len(str(value)) < 30 else "this number"
    return "this value"


def shown_path(path: KeyPath) -> str:
    """Format a config path such as backends[1].zone; keys are quoted where needed."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z0-9_-]+", part) and not may_be_a_key(part):
            text += f".{part}"
        else:
            text += f".{shown(part)}"
    return text.removeprefix(".")


def unknown_key(path: KeyPath) -> str:
    """Message about an unknown key; never repeats its value."""
    name = str(path[-1])
    if _SECRET_NAME.search(name):
        variable = "api_keys_env or admin_key_env" if path[0] == "auth" else "api_key_env"
        return (
            f"keys must not be in the file; set {variable} to the name of an environment variable"
        )
    parents = tuple(part for part in path[:-1] if isinstance(part, str))
    properties = _schema_at(path[:-1]).get("properties", {})
    allowed = [key for key in properties if (*parents, key) not in COMPUTED]
    if meant := did_you_mean(name, allowed):
        return f"unknown key{meant}"
    return f"unknown key; allowed here: {', '.join(allowed)}"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """Suggestion to append to a message; empty without a similar name."""
    near = near_names(word, choices, limit=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def written_out(text: str) -> str:
    """Escape control characters in a text."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def _in_words(details: ErrorDetails) -> tuple[KeyPath, str]:
    path = tuple(part for part in details["loc"] if part != "[key]")
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return path, unknown_key(path)
    if kind == "missing":
        return path, "is missing"
    if kind == "value_error":
        return path, str(context["error"])
    if kind in ("enum", "literal_error"):
        choices = re.findall(r"'([^']*)'|(True|False)", context["expected"])
        return path, _not_one_of(value, [word or truth.lower() for word, truth in choices])
    if kind in _EXPECTED:
        hint = ", so write [[backends]]" if path == ("backends",) else ""
        return path, f"must be {_EXPECTED[kind]}{hint}, not {_kind(value)}"
    if kind == "string_too_short":
        return path, "must not be empty"
    if kind == "string_too_long":
        return path, f"must have {context['max_length']} characters at most"
    if kind == "string_pattern_mismatch":
        return path, f"{shown(value)} is not {_PATTERNS[context['pattern']]}"
    if kind.startswith(("greater_than", "less_than")):
        return path, f"{shown(value)} is not {_bounds(_schema_at(path))}"
    return path, details["msg"]


def _not_one_of(value: object, choices: list[str]) -> str:
    meant = did_you_mean(value, choices) if isinstance(value, str) else ""
    return f"{shown(value)} is not one of {', '.join(choices)}{meant}"


def _kind(value: object) -> str:
    if value == A_DATE:
        return "a date or time"
    for kind, words in (
        (bool, "true or false"),
        (str, "a string"),
        (int, "a number"),
        (float, "a number with a fraction"),
        (list, "a list"),
        (dict, "a table"),
    ):
        if isinstance(value, kind):
            return words
    return "that"


def _bounds(schema: dict[str, Any]) -> str:
    low, high, above = (schema.get(key) for key in ("minimum", "maximum", "exclusiveMinimum"))
    if low is not None and high is not None:
        return f"between {low:g} and {high:g}"
    if above is not None and high is not None:
        return f"above {above:g} and at most {high:g}"
    if above is not None:
        return f"above {above:g}"
    return f"{low:g} or more" if high is None else f"{high:g} or less"


@cache
def _schema() -> dict[str, Any]:
    return Config.model_json_schema()


def _schema_at(path: KeyPath) -> dict[str, Any]:
    """The JSON schema of one place of the file; empty where there is none."""
    node = _resolved(_schema())
    for part in path:
        if isinstance(part, int):
            node = _resolved(node.get("items", {}))
        else:
            other: JsonObject = node.get("additionalProperties") or {}
            node = _resolved(node.get("properties", {}).get(part, other))
    return node


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in node:  # X | None
        node = node["anyOf"][0]
    if "$ref" in node:
        found: dict[str, Any] = _schema()["$defs"][node["$ref"].rpartition("/")[2]]
        return found
    return node
