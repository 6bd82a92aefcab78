"""A captured request as a JSON document to edit, and what was edited as a request."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, cast

from nexus_core.config.wording import did_you_mean
from nexus_core.control.commands import EDITABLE, SendRequest
from nexus_core.dialects.inbound import inbound_of
from nexus_core.errors import NexusError
from nexus_core.observe.record import Headers
from nexus_core.types import PrivacyZone

_ALLOWED: dict[str, tuple[str, ...]] = {
    "x-nexus-privacy-zone": tuple(PrivacyZone),
    "x-nexus-min-tier": ("0", "1", "2", "3", "4"),
    "x-nexus-flexible": ("true", "false"),
    "x-nexus-priority": ("high", "normal"),
}
_KEYS = ("headers", "body")
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class NoObjectError(Exception):
    """The body of a request is not a JSON object."""


class EditFaultError(Exception):
    """The document is no request; the message is for people, and begins with the line."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(f"line {line}: {problem}")


def as_document(headers: Headers, body: bytes) -> str:
    """The hints of a request and its body, as JSON.

    Raises:
        NoObjectError: the body is not a JSON object.
    """
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise NoObjectError from error
    if not isinstance(parsed, dict):
        raise NoObjectError
    hints = {EDITABLE[name.lower()]: value for name, value in headers if name.lower() in EDITABLE}
    return _written({"headers": hints, "body": cast("object", parsed)}, indent=2) + "\n"


def from_document(text: str, endpoint: str) -> SendRequest:
    """The request that a document describes.

    Raises:
        EditFaultError: it is no JSON, or the endpoint would refuse it.
    """
    document = _parsed(text)
    for key in document:
        if key not in _KEYS:
            told = f'"{key}" is not one of {", ".join(_KEYS)}{did_you_mean(key, _KEYS)}'
            raise EditFaultError(_line_of(text, key), told)
    body = document.get("body")
    if not isinstance(body, dict):
        raise EditFaultError(_line_of(text, "body"), '"body" must be an object')
    hints = _hints(text, document.get("headers", {}))
    tier = hints.get("x-nexus-min-tier")
    sent = _written(cast("object", body)).encode()
    _check(text, sent, endpoint)
    return SendRequest(
        body=sent,
        endpoint=endpoint,
        zone=PrivacyZone(hints.get("x-nexus-privacy-zone", PrivacyZone.OPEN)),
        min_tier=None if tier is None else int(tier),
        flexible=hints.get("x-nexus-flexible") == "true",
        priority="high" if hints.get("x-nexus-priority") == "high" else "normal",
    )


def _written(value: object, indent: int | None = None) -> str:
    """JSON that UTF-8 can hold: half of a surrogate pair stays an escape."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    return (
        text if text.isascii() or not _SURROGATE.search(text) else json.dumps(value, indent=indent)
    )


def _parsed(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except json.JSONDecodeError as error:
        raise EditFaultError(error.lineno, f"{error.msg}, column {error.colno}") from error
    except ValueError as error:  # more digits than Python reads
        raise EditFaultError(1, "a number is too long") from error
    except RecursionError as error:
        raise EditFaultError(1, "nested too deeply") from error
    if not isinstance(document, dict):
        raise EditFaultError(1, "must be an object with headers and body")
    return cast("dict[str, Any]", document)


def _hints(text: str, headers: object) -> Mapping[str, str]:
    if not isinstance(headers, dict):
        raise EditFaultError(_line_of(text, "headers"), '"headers" must be an object')
    hints: dict[str, str] = {}
    for name, value in cast("dict[str, object]", headers).items():
        allowed = _ALLOWED.get(name.lower())
        if allowed is None:
            meant = did_you_mean(name, EDITABLE.values())
            told = f"{name} can't be set here{meant}; {', '.join(EDITABLE.values())} can"
            raise EditFaultError(_line_of(text, name), told)
        if str(value) not in allowed or isinstance(value, bool):
            told = f"{name} must be one of {', '.join(allowed)}"
            raise EditFaultError(_line_of(text, name), told)
        hints[name.lower()] = str(value)
    return hints


def _check(text: str, body: bytes, endpoint: str) -> None:
    """As the endpoint would check it."""
    inbound = inbound_of(endpoint)
    if inbound is None:
        return
    dialect, operation = inbound
    try:
        dialect.read_request(operation, body)
    except NexusError as error:
        named = getattr(error, "param", None) or "body"
        key = re.split(r"[.\[]", str(named))[0]
        raise EditFaultError(_line_of(text, key), error.message) from error


def _line_of(text: str, key: str) -> int:
    """The line where a key stands; the first where none does."""
    at = text.find(f'"{key}"')
    return text.count("\n", 0, max(0, at)) + 1
