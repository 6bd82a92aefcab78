"""Type checks for untrusted JSON values; JSON objects inside strings."""

from __future__ import annotations

import json
import math

from nexus_core.dialects.parsing import parse_finite_json
from nexus_core.types import JsonObject, JsonValue


def read_object(text: str) -> JsonObject | None:
    """Parse a text as a JSON object; None if it is anything else.

    Numbers beyond a float's range (1e999) make it None too: read as infinity, they could not be
    sent on.
    """
    value = read_value(text)
    return value if isinstance(value, dict) else None


def read_value(text: str) -> JsonValue:
    """Parse a text as any JSON value; None for null too."""
    try:
        return parse_finite_json(text)
    except ValueError:
        return None


def write_object(value: object) -> str:
    """Write a JSON value as text, as OpenAI's models write tool arguments.

    Raises:
        ValueError: nested too deep, or a number that JSON can't hold.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def as_object(value: JsonValue, what: str) -> JsonObject:
    """A value that must be an object, or may be absent.

    Raises:
        ValueError: it is something else.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{what} is no object")
    return value


def as_list(value: JsonValue, what: str) -> list[JsonValue]:
    """A value that must be a list, or may be absent.

    Raises:
        ValueError: it is something else.
    """
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{what} is no list")
    return value


def as_text(value: object, what: str) -> str:
    """A value that must be a string.

    Raises:
        ValueError: it is something else.
    """
    if not isinstance(value, str):
        raise ValueError(f"{what} is no text")
    return value


def as_number(value: object, what: str) -> float:
    """A value that must be a number.

    Raises:
        ValueError: it is something else, or beyond a float's range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{what} is no number")
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError(f"{what} is out of range") from error
    if not math.isfinite(number):
        raise ValueError(f"{what} is out of range")
    return number
