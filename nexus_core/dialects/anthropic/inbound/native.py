"""Read answers that pass as they came, because the backend speaks the client's format."""

from __future__ import annotations

from nexus_core.dialects.anthropic.inbound.events import as_events
from nexus_core.dialects.anthropic.response import read_usage
from nexus_core.dialects.base.report import AnswerReading, ErrorReport
from nexus_core.dialects.error_report import read_report
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.reading.answers import length_of_named_texts, parse_answer
from nexus_core.dialects.request import Request
from nexus_core.types import JsonObject, is_list, is_object

_MAX_SPLIT_BYTES = 1024 * 1024  # of a whole answer that is turned into a stream

# What a model said: the texts of blocks and deltas.
_TEXTS = (b'"text"', b'"thinking"', b'"partial_json"')


def text_length(data: bytes) -> int:
    """Bytes of the model's text in a whole answer, or in whole lines of a stream."""
    length = 0
    for name in _TEXTS:
        if name in data:
            length += length_of_named_texts(name, data)
    return length


def read_answer(request: Request, body: bytes, *, wants_usage: bool = True) -> AnswerReading:
    """Read a whole answer that came with a 2xx status.

    Raises:
        ValueError: the body is not a JSON object; the message is for people.
    """
    fields = parse_answer(body)
    if not is_object(fields):
        raise ValueError("answered with JSON that is not an object")
    if fields.get("type") == "message" and is_list(fields.get("content")):
        usage = fields.get("usage")
        return AnswerReading(None, read_usage(usage) if wants_usage else None, tier_of(usage))
    report = read_report(fields, is_error=fields.get("type") == "error")
    if report is not None and (report.words or report.code or report.status):
        return AnswerReading(report)
    return AnswerReading(ErrorReport("answered without content", status=502))


def tier_of(usage: object) -> str | None:
    """The service tier that a usage names."""
    tier = usage.get("service_tier") if is_object(usage) else None
    return tier if isinstance(tier, str) else None


def as_stream(request: Request, body: bytes) -> bytes:
    """Turn a whole answer into the stream the client requested.

    Raises:
        ValueError: the body is too long, or not a message.
    """
    fields = parse_json(body) if len(body) <= _MAX_SPLIT_BYTES else None
    if not is_object(fields) or fields.get("type") != "message":
        raise ValueError("not a message that can be split into events")
    return as_events(_message(fields))


def _message(fields: JsonObject) -> JsonObject:
    return {"stop_reason": "end_turn", "stop_sequence": None, **fields}
