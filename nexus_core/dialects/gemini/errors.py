"""Translate Google's errors into OpenAI's envelope."""

from __future__ import annotations

import re

import msgspec

from nexus_core.dialects.hub.answer import error_envelope
from nexus_core.dialects.parsing import parse_json
from nexus_core.types import JsonObject, JsonValue, is_list, is_object

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_UNREADABLE = "the provider gave no readable error"


class GoogleError(msgspec.Struct, frozen=True):
    """A Google API error (google.rpc.Status)."""

    message: str
    type: str  # its status: INVALID_ARGUMENT, RESOURCE_EXHAUSTED, …
    status: int | None  # its HTTP status; None where it names none
    reason: str | None  # of ErrorInfo: API_KEY_INVALID, …
    retry_after_seconds: float | None  # of RetryInfo; Google sends no Retry-After header


def translate_error(status: int, body: bytes) -> tuple[int, JsonObject]:
    """Translate an error into the client's status and body. Google's 400 for a bad key is a 401."""
    error = _parse(body)
    if error is None:
        return status, error_envelope(f"{_UNREADABLE} (status {status})", "api_error")
    if error.reason == "API_KEY_INVALID":
        status = 401
    return status, error_envelope(error.message, error.type, code=error.reason)


def read_retry_after(body: bytes) -> float | None:
    """Seconds to wait before a retry; None if Google states none."""
    error = _parse(body)
    return None if error is None else error.retry_after_seconds


def _parse(body: bytes) -> GoogleError | None:
    try:
        return read_error(parse_json(body))
    except ValueError:
        return None


def read_error(answer: JsonValue) -> GoogleError | None:
    """Read the error in a body or an event, also in a list of one error; None without one."""
    if isinstance(answer, list):
        answer = answer[0] if answer else None
    error = answer.get("error") if isinstance(answer, dict) else None
    if error is None:
        return None
    if not is_object(error):
        words = error if isinstance(error, str) and error else _UNREADABLE
        return GoogleError(words, "api_error", None, None, None)
    message, kind, code = error.get("message"), error.get("status"), error.get("code")
    given = error.get("details")
    details = [each for each in (given if is_list(given) else ()) if is_object(each)]
    return GoogleError(
        message=message if isinstance(message, str) and message else _UNREADABLE,
        type=kind if isinstance(kind, str) and kind else "api_error",
        status=code if type(code) is int and 400 <= code <= 599 else None,
        reason=next((word for detail in details if (word := _reason(detail))), None),
        retry_after_seconds=next(
            (wait for detail in details if (wait := _retry_delay(detail)) is not None), None
        ),
    )


def _reason(detail: JsonObject) -> str | None:
    reason = detail.get("reason")
    return reason if isinstance(reason, str) else None


def _retry_delay(detail: JsonObject) -> float | None:
    """A protobuf duration in JSON: "34.074824224s"."""
    delay = detail.get("retryDelay")
    if not isinstance(delay, str) or not delay.endswith("s"):
        return None
    return float(number) if _NUMBER.fullmatch(number := delay.removesuffix("s")) else None
