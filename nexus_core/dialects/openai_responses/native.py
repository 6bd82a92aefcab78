"""Read answers that pass as they came, because the backend speaks the client's format."""

from __future__ import annotations

import re

from nexus_core.dialects.base.report import AnswerReading, ErrorReport
from nexus_core.dialects.error_report import read_report
from nexus_core.dialects.openai_responses.events import as_events
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.reading.answers import length_of_named_texts, length_of_texts, parse_answer
from nexus_core.dialects.usage import read_usage
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_list, is_object

_MAX_SPLIT_BYTES = 1024 * 1024  # of a whole answer that is turned into a stream

# What a model said, as JSON writes it: in a whole answer, and in the events of a stream.
_TEXT = re.compile(rb'"(?:text|refusal|arguments|input)"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"')
_PLAIN_DELTA = b'"delta":"'


def text_length(data: bytes) -> int:
    """Bytes of the model's text in a whole answer."""
    return length_of_texts(_TEXT, data)


def delta_length(lines: bytes) -> int:
    """Bytes of the model's text in whole lines of a stream."""
    begin = lines.find(_PLAIN_DELTA) + len(_PLAIN_DELTA)
    # Nearly always one event of one plain text, written without blanks.
    if begin >= len(_PLAIN_DELTA) and b"\\" not in lines and b'"delta"' not in lines[begin:]:
        return lines.find(b'"', begin) - begin
    return length_of_named_texts(b'"delta"', lines)


def read_answer(body: bytes, *, wants_usage: bool = True) -> AnswerReading:
    """Read a whole answer that came with a 2xx status.

    Raises:
        ValueError: the body is not a JSON object; the message is for people.
    """
    fields = parse_answer(body)
    if not is_object(fields):
        raise ValueError("answered with JSON that is not an object")
    if (report := failure_in(fields)) is not None:
        return AnswerReading(report)
    if is_list(fields.get("output")):
        return AnswerReading(None, usage_of(fields) if wants_usage else None, tier_of(fields))
    report = read_report(fields)
    if report is not None and (report.words or report.code or report.status):
        return AnswerReading(report)
    return AnswerReading(ErrorReport("answered without output", status=502))


def failure_in(response: JsonObject) -> ErrorReport | None:
    """Why a response failed; None where it did not."""
    error = response.get("error")
    if response.get("status") != "failed" and not error:
        return None
    return read_report({"error": error}) or ErrorReport("the response failed", status=502)


def usage_of(response: JsonObject) -> TokenUsage | None:
    """The usage that a response reports."""
    return read_usage({"usage": response.get("usage")})


def tier_of(response: JsonObject) -> str | None:
    """The service tier that a response names."""
    tier = response.get("service_tier")
    return tier if isinstance(tier, str) else None


def as_stream(body: bytes) -> bytes:
    """Turn a whole answer into the stream the client requested.

    Raises:
        ValueError: the body is too long, or not a response.
    """
    fields = parse_json(body) if len(body) <= _MAX_SPLIT_BYTES else None
    if not is_object(fields) or not is_list(fields.get("output")):
        raise ValueError("not a response that can be split into events")
    return as_events(fields)
