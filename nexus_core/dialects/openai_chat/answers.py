"""Read OpenAI's whole answers with their usage and errors; turn them into streams or errors."""

from __future__ import annotations

import json
import re

from nexus_core.dialects.base import AnswerReading
from nexus_core.dialects.error_report import read_report
from nexus_core.dialects.hub.answer import error_envelope
from nexus_core.dialects.openai_chat.chunks import as_chunks
from nexus_core.dialects.openai_chat.failures import read_failure
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.reported_cost import read_service_tier
from nexus_core.dialects.request import Request
from nexus_core.dialects.usage import find_usage, read_usage
from nexus_core.types import is_list, is_object

_MAX_PARSED_BYTES = 1024 * 1024  # in a longer answer only its ends are searched for the usage

# What a model said: the texts of deltas, as JSON writes them.
_TEXT = re.compile(
    rb'"(?:content|reasoning_content|reasoning|refusal|arguments|text)"\s*:\s*'
    rb'"((?:[^"\\]|\\.)*)"'
)


def text_length(data: bytes) -> int:
    """Bytes of the model's text in a whole answer, or in whole lines of a stream."""
    length = sum(found.end(1) - found.start(1) for found in _TEXT.finditer(data))
    # Some servers write "é" as six bytes; in UTF-8 it would be two or three.
    return max(0, length - 3 * data.count(b"\\u"))


def read_answer(request: Request, body: bytes, *, wants_usage: bool = True) -> AnswerReading:
    """Read a whole answer that came with a 2xx status.

    Raises:
        ValueError: the body is not a JSON object; the message is for people.
    """
    if len(body) > _MAX_PARSED_BYTES:
        if not (body.lstrip().startswith(b"{") and body.rstrip().endswith(b"}")):
            raise ValueError("answered with a body that is not JSON")
        return AnswerReading(usage=find_usage(body) if wants_usage else None)
    try:
        fields = parse_json(body, allows_nan=True)
    except ValueError as error:
        raise ValueError("answered with a body that is not JSON") from error
    if is_list(fields) and read_report(fields) is not None:
        fields = fields[0]  # how Google's errors come at times
    if not is_object(fields):
        raise ValueError("answered with JSON that is not an object")
    report = read_failure(fields, request.operation, request.parsed)
    if report is not None:
        return AnswerReading(report)
    usage = read_usage(fields) if wants_usage else None
    return AnswerReading(None, usage, read_service_tier(fields))


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
