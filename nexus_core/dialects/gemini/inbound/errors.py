"""Write errors in Google's envelope, google.rpc.Status: by the HTTP status they come with.

https://ai.google.dev/gemini-api/docs/troubleshooting and https://google.aip.dev/193
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.error_report import read_error_body
from nexus_core.dialects.parsing import parse_json
from nexus_core.errors import (
    ContextLengthError,
    NexusError,
    ServiceUnavailableError,
    UnsupportedFieldsError,
)
from nexus_core.types import JsonObject, is_object

# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    402: "FAILED_PRECONDITION",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    426: "FAILED_PRECONDITION",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    504: "DEADLINE_EXCEEDED",
}
# The client's names of fields that another format's translation can't do.
_FIELDS = {
    "messages": "contents",
    "response_format": "generationConfig.responseMimeType",
    "response_format.json_schema.schema": "generationConfig.responseJsonSchema",
    "max_tokens": "generationConfig.maxOutputTokens",
    "max_completion_tokens": "generationConfig.maxOutputTokens",
    "modalities": "generationConfig.responseModalities",
    "n": "generationConfig.candidateCount",
    "logprobs": "generationConfig.responseLogprobs",
    "top_logprobs": "generationConfig.logprobs",
    "tool_choice": "toolConfig.functionCallingConfig",
    "seed": "generationConfig.seed",
    "stop": "generationConfig.stopSequences",
    "temperature": "generationConfig.temperature",
    "top_p": "generationConfig.topP",
    "top_k": "generationConfig.topK",
    "presence_penalty": "generationConfig.presencePenalty",
    "frequency_penalty": "generationConfig.frequencyPenalty",
    "reasoning_effort": "generationConfig.thinkingConfig",
}
_RPC = "type.googleapis.com/google.rpc."
# Nexus's words for a prompt that is too long: `ContextLengthError.of`.
_TOO_LONG = re.compile(r"prompt is too long: (\d+) tokens > (\d+) maximum;?")


def status_of(status: int) -> str:
    """Google's word for an HTTP status."""
    if (known := _STATUSES.get(status)) is not None:
        return known
    return "INVALID_ARGUMENT" if 400 <= status < 500 else "UNAVAILABLE"


def envelope(words: str, status: int, *details: JsonObject) -> JsonObject:
    """An error body of Google's API; its clients look for `error` as the first key."""
    words = _TOO_LONG.sub(_in_googles_words, words)
    error: JsonObject = {"code": status, "message": words, "status": status_of(status)}
    if details:
        error["details"] = list(details)
    return {"error": error}


def _in_googles_words(found: re.Match[str]) -> str:
    return (
        f"The input token count ({found[1]}) exceeds the maximum number of tokens allowed "
        f"({found[2]})."
    )


def retry_info(seconds: float) -> JsonObject:
    """The wait that Google's clients obey; they do not look at Retry-After."""
    return {"@type": f"{_RPC}RetryInfo", "retryDelay": f"{max(1, math.ceil(seconds))}s"}


def error_body(error: NexusError, request_id: str = "") -> bytes:
    """One of Nexus's own errors; its code is a reason, a 503's context stands beside it."""
    if isinstance(error, UnsupportedFieldsError):
        error = error.called(_FIELDS)
        error.status = 400  # Google has no 422
    metadata = {"param": error.param} if error.param else {}
    if request_id:
        metadata["request_id"] = request_id
    reason = {
        "@type": f"{_RPC}ErrorInfo",
        "reason": error.code.upper(),
        "domain": "nexus",
        "metadata": metadata,
    }
    status = 400 if isinstance(error, ContextLengthError) else error.status
    waits = _wait_of(error)
    body = envelope(error.message, status, reason, *map(retry_info, waits))
    if isinstance(error, ServiceUnavailableError):
        body["error"]["context"] = asdict(error.context)
    return json.dumps(body).encode()


def _wait_of(error: NexusError) -> list[float]:
    if isinstance(error, ServiceUnavailableError) and error.context.eta_seconds is not None:
        return [error.context.eta_seconds]
    return [wait for name, value in error.headers if name == "retry-after" for wait in _wait(value)]


def _wait(value: str | None) -> list[float]:
    try:
        seconds = float(value or "")
    except ValueError:
        return []
    return [seconds] if math.isfinite(seconds) and seconds >= 0 else []


def error_event(error: NexusError, request_id: str = "") -> bytes:
    """One of Nexus's own errors as an event, for a stream that has begun."""
    return event_of(error_body(error, request_id))


def error_element(error: NexusError, request_id: str = "") -> bytes:
    """The same as the last element of a stream that is a JSON array."""
    return b"," + error_body(error, request_id) + b"]"


def event_of(body: bytes) -> bytes:
    """A body as an event of a stream."""
    return b"data: " + body + b"\r\n\r\n"


def as_error(body: bytes, words: str, status: int) -> bytes:
    """Body of an error that came with a 2xx status; unchanged where it is Google's own."""
    return body if _is_own(body) else json.dumps(envelope(words, status)).encode()


def write_error(words: str, kind: str) -> bytes:
    """A provider's error; `kind` is its own type."""
    status = next((code for code, word in _STATUSES.items() if word == kind), 502)
    return json.dumps(envelope(words, status)).encode()


def translate_error(body: bytes, status: int, retry_after: str | None) -> bytes:
    """An error answer of another format, by its words and its status."""
    if _is_own(body):
        return body
    report = read_error_body(body)
    words = report.words or f"the backend answered {status} and did not say why"
    return json.dumps(envelope(words, status, *map(retry_info, _wait(retry_after)))).encode()


def report_body(report: ErrorReport) -> bytes:
    """An error that a backend of another format reported in the middle of its stream."""
    words = report.words or "the backend ended its answer with an error"
    return json.dumps(envelope(words, report.status or 500)).encode()


def _is_own(body: bytes) -> bool:
    try:
        fields = parse_json(body)
    except ValueError:
        return False
    error = fields.get("error") if is_object(fields) else None
    return is_object(error) and error.get("status") in {*_STATUSES.values(), "UNAVAILABLE"}
