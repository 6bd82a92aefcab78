"""Write errors in Anthropic's envelope: bodies and events, by the status they come with.

https://platform.claude.com/docs/en/api/errors
"""

from __future__ import annotations

import json
from dataclasses import asdict

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.error_report import read_error_body
from nexus_core.dialects.parsing import parse_json
from nexus_core.errors import NexusError, ServiceUnavailableError, UnsupportedFieldsError
from nexus_core.types import JsonObject, is_object

_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# The client's names of fields that another format's translation can't do.
_FIELDS = {
    "response_format": "output_config.format",
    "response_format.json_schema": "output_config.format",
    "reasoning_effort": "output_config.effort",
    "stop": "stop_sequences",
    "max_completion_tokens": "max_tokens",
}
_KINDS = frozenset(_TYPES.values()) | {"api_error"}


def type_of(status: int) -> str:
    """Anthropic's error type for an HTTP status."""
    if (known := _TYPES.get(status)) is not None:
        return known
    return "invalid_request_error" if 400 <= status < 500 else "api_error"


def _kind_of(error: NexusError) -> str:
    """The type of one of Nexus's own errors.

    Claude Code asks ten more times after an overloaded_error, whatever x-should-retry says: what
    will not pass is none.
    """
    return type_of(error.status if error.may_pass or error.status != 503 else 500)


def envelope(words: str, kind: str, request_id: str = "") -> JsonObject:
    """An error body of Anthropic's API."""
    return {
        "type": "error",
        "error": {"type": kind, "message": words},
        "request_id": request_id or None,
    }


def error_body(error: NexusError, request_id: str = "") -> bytes:
    """One of Nexus's own errors; its code, and a 503's context, stand beside Anthropic's fields."""
    error = _in_own_words(error)
    body = envelope(error.message, _kind_of(error), request_id)
    inner = body["error"]
    inner |= {"code": error.code, "param": error.param}
    if isinstance(error, ServiceUnavailableError):
        inner["context"] = asdict(error.context)
    return json.dumps(body).encode()


def error_event(error: NexusError, request_id: str = "") -> bytes:
    """One of Nexus's own errors as an event, for a stream that has begun."""
    error = _in_own_words(error)
    return event_of(envelope(error.message, _kind_of(error), request_id))


def _in_own_words(error: NexusError) -> NexusError:
    return error.called(_FIELDS) if isinstance(error, UnsupportedFieldsError) else error


def event_of(body: JsonObject) -> bytes:
    """An error as an event of a stream."""
    return b"event: error\ndata: " + json.dumps(body).encode() + b"\n\n"


def as_error(body: bytes, words: str, status: int) -> bytes:
    """Body of an error that came with a 2xx status; unchanged where it is Anthropic's own."""
    if _is_own(body):
        return body
    return json.dumps(envelope(words, type_of(status))).encode()


def write_error(words: str, kind: str) -> bytes:
    """A provider's error; `kind` is its own type, which stays where Anthropic has it too."""
    known = kind if kind in _KINDS else "api_error"
    return json.dumps(envelope(words, known)).encode()


def translate_error(body: bytes, status: int, request_id: str) -> bytes:
    """An error answer of another format, by its words and its status."""
    if _is_own(body):
        return body
    report = read_error_body(body)
    words = report.words or f"the backend answered {status} and did not say why"
    return json.dumps(envelope(words, type_of(status), request_id)).encode()


def report_event(report: ErrorReport, request_id: str = "") -> bytes:
    """An error that a backend of another format reported in the middle of its stream."""
    kind = next((word for word in report.code.split() if word in _KINDS), None)
    words = report.words or "the backend ended its answer with an error"
    return event_of(envelope(words, kind or type_of(report.status or 500), request_id))


def _is_own(body: bytes) -> bool:
    try:
        fields = parse_json(body)
    except ValueError:
        return False
    if not is_object(fields) or fields.get("type") != "error":
        return False
    error = fields.get("error")
    return is_object(error) and isinstance(error.get("type"), str)
