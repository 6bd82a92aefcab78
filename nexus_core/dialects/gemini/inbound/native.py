"""Read answers that pass as they came, because the backend speaks the client's format."""

from __future__ import annotations

import json
import re

from nexus_core.dialects.base.report import AnswerReading, ErrorReport
from nexus_core.dialects.error_report import read_report
from nexus_core.dialects.gemini.inbound.errors import event_of
from nexus_core.dialects.gemini.usage import read_usage
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.reading.answers import length_of_texts, parse_answer
from nexus_core.dialects.request import Request
from nexus_core.types import JsonObject, Operation, is_list, is_object

_MAX_SPLIT_BYTES = 4 * 1024 * 1024  # of a whole answer that becomes an event

# What a model said: the texts of parts, as JSON writes them.
_TEXT = re.compile(rb'"text"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"')


def text_length(data: bytes) -> int:
    """Bytes of the model's text in a whole answer, or in whole lines of a stream."""
    return length_of_texts(_TEXT, data)


def read_answer(request: Request, body: bytes, *, wants_usage: bool = True) -> AnswerReading:
    """Read a whole answer that came with a 2xx status.

    Raises:
        ValueError: the body is not a JSON object; the message is for people.
    """
    fields = parse_answer(body)
    if is_list(fields) and len(fields) == 1:  # how Google's errors come at times
        fields = fields[0]
    if not is_object(fields):
        raise ValueError("answered with JSON that is not an object")
    if is_answer(fields, is_embedding=request.operation is Operation.EMBEDDINGS):
        usage = read_usage(fields) if wants_usage else None
        return AnswerReading(None, usage)
    report = read_report(fields, is_error="error" in fields)
    if report is not None and (report.words or report.code or report.status):
        return AnswerReading(report)
    return AnswerReading(ErrorReport("answered without content", status=502))


def is_answer(fields: JsonObject, *, is_embedding: bool = False) -> bool:
    """Whether a body has candidates, the reason why a prompt has none, or embeddings."""
    if is_embedding:
        return "embedding" in fields or "embeddings" in fields
    return bool(fields.get("candidates")) or is_object(fields.get("promptFeedback"))


def as_stream(request: Request, body: bytes) -> bytes:
    """Turn a whole answer into the stream the client requested: one event.

    Raises:
        ValueError: the body is too long, or not an answer.
    """
    fields = parse_json(body) if len(body) <= _MAX_SPLIT_BYTES else None
    if not is_object(fields) or not is_answer(fields):
        raise ValueError("not an answer that can be an event")
    return event_of(json.dumps(fields, separators=(",", ":")).encode())
