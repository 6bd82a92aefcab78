"""Tell what is an answer from what is none: whole bodies and events of streams. Pure.

What counts is content. A 200 may hold an error, or nothing; a stream may begin with comments,
pings and chunks that say no more than that somebody is there.
"""

from __future__ import annotations

from nexus_core.dialects.base import ErrorReport
from nexus_core.dialects.error_report import read_report
from nexus_core.dialects.opening import Weight
from nexus_core.dialects.parsing import parse_json
from nexus_core.types import JsonObject, JsonValue, Operation, is_list, is_object


def read_failure(
    fields: JsonObject, operation: Operation, asked: JsonObject | None = None
) -> ErrorReport | None:
    """Why a body that came with a good status is no answer; None where it is one.

    An answer has at least one choice (embeddings: one entry of data, unless nothing was to be
    embedded), and the model did not end it with an error.

    Args:
        asked: the request's fields.
    """
    wanted = "data" if operation is Operation.EMBEDDINGS else "choices"
    held: JsonValue = fields.get(wanted)
    if isinstance(held, list):
        if (ended := _failed_choice(held)) is not None:
            return read_report(ended) or read_report(fields) or _ENDED
        if any(held) or (asked is not None and asked.get("input") == []):
            return None
    # What stands around choices that are there is no error by its form alone.
    report = read_report(fields, is_error=not isinstance(held, list))
    if report is not None and (report.words or report.code or report.status):
        return report
    return ErrorReport(f"answered without {wanted}", status=502)


_ENDED = ErrorReport(words="the model ended with an error", status=502)


def _failed_choice(choices: list[JsonValue]) -> JsonObject | None:
    """The choice that OpenRouter ends with finish_reason "error"."""
    for choice in choices:
        if isinstance(choice, dict) and choice.get("finish_reason") == "error":
            return choice
    return None


_END_MARK = "[DONE]"


def weigh_event(event: str, data: str) -> Weight | ErrorReport:
    """Weigh one event of a stream of OpenAI's format.

    Args:
        event: its type; "message" unless the stream names another.
    """
    data = data.strip()
    if not data:
        return Weight.NOTHING
    if data.startswith(_END_MARK):
        return Weight.END
    try:
        fields = parse_json(data)
    except ValueError:
        return Weight.CONTENT  # not ours to read: the client may
    if (report := reported_error(fields, event)) is not None:
        return report
    if event == "ping" or not fields:
        return Weight.NOTHING
    if not is_object(fields):
        return Weight.CONTENT
    if fields.get("type") == "ping":
        return Weight.NOTHING
    choices = fields.get("choices")
    if not is_list(choices):
        return Weight.CONTENT if fields.keys() - _FRAME else Weight.PREFACE
    if any(map(_says_something, choices)):
        return Weight.CONTENT
    return Weight.CHOICE if any(choices) else Weight.PREFACE


# What stands around content, or in place of it: of chunks without choices.
_FRAME = frozenset(
    {
        *("id", "object", "created", "model", "usage", "system_fingerprint", "service_tier"),
        *("choices", "provider", "error", "prompt_filter_results", "obfuscation", "type"),
    }
)
_DELTA_FRAME = frozenset({"role", "obfuscation"})


def _says_something(choice: object) -> bool:
    """A choice has text, a call, an image … or its finish_reason."""
    if not is_object(choice):
        return False
    if choice.get("finish_reason") or choice.get("text"):
        return True
    delta = choice.get("delta") or choice.get("message")
    if not is_object(delta):
        return False
    return any(value for key, value in delta.items() if key not in _DELTA_FRAME)


def reported_error(fields: object, event: str) -> ErrorReport | None:
    """The error that an event of a stream is, at its beginning or in its middle."""
    if is_object(fields):
        choices = fields.get("choices")
        if is_list(choices) and (ended := _failed_choice(choices)) is not None:
            return read_report(fields) or read_report(ended) or _ENDED
        if is_list(choices) and choices and not fields.get("error"):
            return None
    return read_report(fields, is_error=event == "error")
