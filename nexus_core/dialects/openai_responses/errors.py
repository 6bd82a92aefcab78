"""Write errors for clients of the Responses API: bodies, the events that end streams, statuses.

Codex asks again after every status but 400, 404 with `model_not_found`, and 429 with
`insufficient_quota`: thirty times after a 5xx, unless its code is `server_is_overloaded`. In a
stream it knows `response.failed` only; `error` events it passes over.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.error_report import read_error_body
from nexus_core.dialects.openai_responses.events import Events
from nexus_core.dialects.parsing import parse_json
from nexus_core.errors import (
    BudgetExceededError,
    ContextLengthError,
    EndpointNotServedError,
    NexusError,
    PrivacyConstraintError,
    ServiceUnavailableError,
    UnsupportedFieldsError,
    UpstreamFailedError,
    called,
)
from nexus_core.types import JsonObject, is_object

OVERLOADED = "server_is_overloaded"
_NO_QUOTA = "insufficient_quota"
# The client's names of what chat completions have, and translations of these can't do.
_FIELDS = {
    "messages": "input",
    "response_format": "text.format",
    "response_format.json_schema": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "web_search_options": "tools",
}
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded", 503: OVERLOADED, 529: OVERLOADED}
_TOO_LONG = re.compile(r"context.(?:length|window|size)|prompt is too long", re.IGNORECASE)
# At this code of a failed response Codex stops; every one that it doesn't know it tries again.
_FINAL = "invalid_prompt"
_FINAL_STATUSES = frozenset({400, 403, 404, 413, 422})
_NUMBER = re.compile(rb'"sequence_number":\s*(\d{1,9})')


def status_of(error: NexusError) -> int:
    """HTTP status of one of Nexus's own errors: what is final is a 400, a spent budget a 429."""
    match error:
        case BudgetExceededError():
            return 429
        case PrivacyConstraintError() | UnsupportedFieldsError() | EndpointNotServedError():
            return 400
        case ServiceUnavailableError() if not error.may_pass:
            return 400
        case _:
            return error.status


def envelope(words: str, kind: str, code: object, param: str | None = None) -> JsonObject:
    """An error body of OpenAI's."""
    return {"error": {"message": words, "type": kind, "param": param, "code": code}}


def error_body(error: NexusError) -> bytes:
    """One of Nexus's own errors; a request that nobody can serve tells its `context`, too."""
    error = _in_own_words(error)
    param = called(error.param, _FIELDS) if error.param else None
    kind, status = error.type, status_of(error)
    if isinstance(error, ServiceUnavailableError) and status == 400:
        kind = "invalid_request_error"
    elif isinstance(error, BudgetExceededError):
        kind = _NO_QUOTA
    body = envelope(error.message, kind, _code_of(error), param)
    if isinstance(error, ServiceUnavailableError):
        body["error"]["context"] = asdict(error.context)
    return json.dumps(body).encode()


def _in_own_words(error: NexusError) -> NexusError:
    return error.called(_FIELDS) if isinstance(error, UnsupportedFieldsError) else error


def _code_of(error: NexusError) -> str:
    if isinstance(error, BudgetExceededError):
        return _NO_QUOTA
    return OVERLOADED if status_of(error) == 503 else error.code


# Errors of backends -------------------------------------------------------------------------------


def as_error(body: bytes, words: str, status: int) -> bytes:
    """Body of an error that came with a 2xx status; unchanged where clients find it in there."""
    if _own(body) is not None:
        return body
    return json.dumps(envelope(words, type_of(status), code_at(status))).encode()


def write_error(words: str, kind: str) -> bytes:
    """A provider's error; `kind` is its own type."""
    return json.dumps(envelope(words, kind or "api_error", None)).encode()


def translate_error(body: bytes, status: int) -> bytes:
    """An error answer of another format, by its words and its status."""
    own = _own(body)
    if own is not None:
        mended = {**own}
        if not isinstance(own.get("code"), str):
            mended["code"] = code_at(status)
        if isinstance(param := own.get("param"), str):
            mended["param"] = called(param, _FIELDS)
        return body if mended == own else json.dumps({"error": mended}).encode()
    words = read_error_body(body).words or f"the backend answered {status} and did not say why"
    return json.dumps(envelope(words, type_of(status), code_at(status))).encode()


def type_of(status: int) -> str:
    """The error type for an HTTP status."""
    if (known := _TYPES.get(status)) is not None:
        return known
    return "invalid_request_error" if 400 <= status < 500 else "server_error"


def code_at(status: int) -> str | None:
    """The error code for an HTTP status."""
    return _CODES.get(status)


def _own(body: bytes) -> JsonObject | None:
    """The error in a body of this format."""
    try:
        fields = parse_json(body)
    except ValueError:
        return None
    error = fields.get("error") if is_object(fields) else None
    return error if is_object(error) and isinstance(error.get("message"), str) else None


# In a stream --------------------------------------------------------------------------------------


def failure_of(report: ErrorReport) -> JsonObject:
    """The error of a failed response, of what a backend reported in the middle of its stream."""
    words = report.words or "the backend ended its answer with an error"
    return {"code": _failure_code(report.code, words, report.status), "message": words}


def _failure_code(code: str, words: str, status: int | None) -> str:
    if _TOO_LONG.search(code) or (status in (None, 400, 413) and _TOO_LONG.search(words)):
        return "context_length_exceeded"
    if _NO_QUOTA in code:
        return _NO_QUOTA
    if status == 429 or "rate_limit" in code:
        return "rate_limit_exceeded"
    if status in (503, 529) or "overloaded" in code:
        return OVERLOADED
    return _FINAL if status in _FINAL_STATUSES else "server_error"


def error_event_after(error: NexusError, request_id: str, first: bytes, last: bytes) -> bytes:
    """One of Nexus's own errors as the event that ends a stream which has begun.

    Args:
        first: what was sent of the stream first, which holds the response as it began.
        last: what was sent last, which holds the number of the last event.
    """
    error, events = _in_own_words(error), Events()
    numbers = _NUMBER.findall(last) or _NUMBER.findall(first)
    if numbers:
        events.number = int(numbers[-1])
    told: JsonObject = {"code": _code_in_stream(error), "message": error.message}
    begun = _begun(first) or _unknown(request_id)
    return events.event("response.failed", response={**begun, "status": "failed", "error": told})


def _code_in_stream(error: NexusError) -> str:
    if isinstance(error, ContextLengthError | BudgetExceededError):
        return _code_of(error)
    if isinstance(error, UpstreamFailedError):  # perhaps with a backend's own words and status
        return _failure_code(error.code, error.message, error.status)
    status = status_of(error)
    if status in (429, 503):
        return OVERLOADED if status == 503 else "rate_limit_exceeded"
    return "server_error" if status >= 500 and error.may_pass else _FINAL


def _begun(first: bytes) -> JsonObject | None:
    """The response in the first event of a stream."""
    _, _, data = first.partition(b"data:")
    try:
        fields = parse_json(data.partition(b"\n")[0])
    except ValueError:
        return None
    response = fields.get("response") if is_object(fields) else None
    return response if is_object(response) else None


def _unknown(request_id: str) -> JsonObject:
    return {
        "id": f"resp_{request_id or 'unknown'}",
        "object": "response",
        "created_at": int(time.time()),
        "model": "",
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }
