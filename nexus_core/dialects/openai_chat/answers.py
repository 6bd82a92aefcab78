"""Read OpenAI's whole answers with their usage and errors; turn them into streams or errors."""

from __future__ import annotations

import json
import re

from nexus_core.dialects.base.report import AnswerReading, ErrorReport
from nexus_core.dialects.error_report import read_report
from nexus_core.dialects.hub.answer import error_envelope
from nexus_core.dialects.openai_chat.chunks import as_chunks
from nexus_core.dialects.openai_chat.plain_answer import read_plain_answer
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.reading.answers import length_of_texts, parse_answer
from nexus_core.dialects.request import Request
from nexus_core.dialects.usage import find_usage, read_usage
from nexus_core.types import JsonObject, JsonValue, Operation, is_object

ENDED = ErrorReport(words="the model ended with an error", status=502)  # of a choice

_MAX_PARSED_BYTES = 1024 * 1024  # in a longer answer only its ends are searched for the usage

# What a model said: the texts of deltas, as JSON writes them.
TEXT = re.compile(
    rb'"(?:content|reasoning(?:_content)?|refusal|arguments|text)"\s*:\s*'
    rb'"([^"\\]*(?:\\.[^"\\]*)*)"'
)


def text_length(data: bytes) -> int:
    """Bytes of the model's text in a whole answer, or in whole lines of a stream."""
    return length_of_texts(TEXT, data)


def read_answer(request: Request, body: bytes, *, wants_usage: bool = True) -> AnswerReading:
    """Read a whole answer that came with a 2xx status.

    Raises:
        ValueError: the body is not a JSON object; the message is for people.
    """
    if len(body) > _MAX_PARSED_BYTES:
        if not (body.lstrip().startswith(b"{") and body.rstrip().endswith(b"}")):
            raise ValueError("answered with a body that is not JSON")
        return AnswerReading(usage=find_usage(body) if wants_usage else None)
    plain = read_plain_answer(request.operation, body, wants_usage=wants_usage)
    return plain or _read_carefully(request, body, wants_usage=wants_usage)


def _read_carefully(request: Request, body: bytes, *, wants_usage: bool) -> AnswerReading:
    """As `read_answer`, of an answer in any form."""
    fields = parse_answer(body)
    if isinstance(fields, list) and read_report(fields) is not None:
        fields = fields[0]  # how Google's errors come at times
    if not isinstance(fields, dict):
        raise ValueError("answered with JSON that is not an object")
    report = read_failure(fields, request.operation, request.parsed)
    if report is not None:
        return AnswerReading(report)
    usage = read_usage(fields) if wants_usage else None
    tier: JsonValue = fields.get("service_tier")
    return AnswerReading(None, usage, tier if isinstance(tier, str) else None)


def read_failure(
    fields: JsonObject, operation: Operation, asked: JsonObject | None = None
) -> ErrorReport | None:
    """The error in a body that came with a 2xx status; None for a real answer.

    An answer has at least one choice (embeddings: one entry of data, unless nothing was to be
    embedded), and the model did not end it with an error.

    Args:
        asked: the request's fields.
    """
    wanted = "data" if operation is Operation.EMBEDDINGS else "choices"
    held: JsonValue = fields.get(wanted)
    if isinstance(held, list):
        if (ended := failed_choice(held)) is not None:
            return read_report(ended) or read_report(fields) or ENDED
        if any(held) or (asked is not None and asked.get("input") == []):
            return None
    # What stands around choices that are there is no error by its form alone.
    report = read_report(fields, is_error=not isinstance(held, list))
    if report is not None and (report.words or report.code or report.status):
        return report
    return ErrorReport(f"answered without {wanted}", status=502)


def failed_choice(choices: list[JsonValue]) -> JsonObject | None:
    """The choice that OpenRouter ends with finish_reason "error"."""
    for choice in choices:
        if isinstance(choice, dict) and choice.get("finish_reason") == "error":
            return choice
    return None


def as_stream(request: Request, body: bytes) -> bytes:
    """Turn a whole answer into the stream the client requested.

    Raises:
        ValueError: the body is too long, or not a JSON object.
    """
    fields = parse_json(body, allows_nan=True) if len(body) <= _MAX_PARSED_BYTES else None
    if not is_object(fields):
        raise ValueError("not a JSON object that can be split into chunks")
    return as_chunks(fields, include_usage=request.demand.wants_usage)


def as_error(body: bytes, words: str, status: int) -> bytes:
    """Body of an error answer for an error that came with a 2xx status.

    Unchanged where clients find the error in it, else in OpenAI's envelope.
    """
    try:
        fields = parse_json(body)
    except ValueError:
        fields = None
    error = fields.get("error") if is_object(fields) else None
    if error and isinstance(error, dict | str):
        return body
    return json.dumps(error_envelope(words, "upstream_error", code=status)).encode()


def write_error(words: str, kind: str) -> bytes:
    """Write a provider's error in OpenAI's envelope; `kind` is its own error type, or ""."""
    return json.dumps(error_envelope(words, kind or "api_error")).encode()
