"""Read answers of Ollama's own format, which pass as they came."""

from __future__ import annotations

import re

from nexus_core.dialects.base.report import AnswerReading, ErrorReport
from nexus_core.dialects.error_report import read_report
from nexus_core.dialects.reading.answers import length_of_texts, parse_answer
from nexus_core.dialects.usage import read_count
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_list, is_object

# What a model said, as JSON writes it.
_TEXT = re.compile(rb'"(?:content|response|thinking)"\s*:\s*"([^"\\]*(?:\\.[^"\\]*)*)"')
_ANSWERS = ("message", "response", "embeddings", "embedding", "done")


def text_length(data: bytes) -> int:
    """Bytes of the model's text in a whole answer, or in whole lines of a stream."""
    return length_of_texts(_TEXT, data)


def read_usage(fields: JsonObject) -> TokenUsage | None:
    """The counts of a whole answer, or of a stream's last line; None where it has none.

    Thinking is among `eval_count`, and not told apart.
    """
    said, asked = read_count(fields.get("eval_count")), read_count(fields.get("prompt_eval_count"))
    if said is None and asked is None:
        return None
    return TokenUsage(prompt_tokens=asked or 0, completion_tokens=said or 0)


def report_in(fields: JsonObject) -> ErrorReport | None:
    """The error that an answer or a line is; None where it is none."""
    if not fields.get("error"):
        return None
    return read_report(fields, is_error=True) or ErrorReport("answered with an error")


def read_answer(body: bytes, *, wants_usage: bool = True) -> AnswerReading:
    """Read a whole answer that came with a 2xx status.

    Raises:
        ValueError: the body is not a JSON object; the message is for people.
    """
    fields = parse_answer(body)
    if not is_object(fields):
        raise ValueError("answered with JSON that is not an object")
    if (report := report_in(fields)) is not None:
        return AnswerReading(report)
    if not any(name in fields for name in _ANSWERS):
        return AnswerReading(ErrorReport("answered without content", status=502))
    return AnswerReading(None, read_usage(fields) if wants_usage else None)


def has_content(fields: JsonObject) -> bool:
    """Whether a line of a stream has something of the answer."""
    message = fields.get("message")
    places = (fields, message) if is_object(message) else (fields,)
    for place in places:
        for name in ("content", "response", "thinking", "tool_calls", "image"):
            value = place.get(name)
            if (isinstance(value, str) or is_list(value)) and value:
                return True
    return False
