"""Parse untrusted JSON: bodies, stream events, tool arguments."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import isfinite
from typing import Any

import msgspec

from nexus_core.types import JsonValue

_decode: Callable[[str | bytes], JsonValue] = msgspec.json.Decoder(Any).decode


def parse_json(text: str | bytes, *, allows_nan: bool = False) -> JsonValue:
    """Parse untrusted JSON.

    Args:
        allows_nan: accept NaN and infinities, as servers and clients written in Python send them.

    Raises:
        ValueError: not JSON, NaN or an infinity, nested too deep, or an absurdly long number.
    """
    try:
        return _decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass  # `json` reads more, and says what is wrong
    try:
        value: JsonValue = json.loads(text, parse_constant=None if allows_nan else refuse_constant)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return value


def parse_finite_json(text: str | bytes) -> JsonValue:
    """Parse untrusted JSON that is written again, refusing numbers that would become infinity.

    Raises:
        ValueError: as `parse_json`, or a number is beyond what a float holds.
    """
    try:
        return _decode(text)  # accepts no other numbers
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        pass
    try:
        value: JsonValue = json.loads(text, parse_constant=refuse_constant, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return value


def _finite(text: str) -> float:
    value = float(text)
    if not isfinite(value):
        raise ValueError("a number is out of range")
    return value


def refuse_constant(name: str) -> object:
    """For `parse_constant`: NaN and infinities are no JSON."""
    raise ValueError(f"{name} is not JSON")
