"""Classify events of OpenAI's streams: content, errors, or neither. Pure.

Only content begins an answer. A stream may begin with comments, pings and chunks without content.
"""

from __future__ import annotations

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.error_report import read_report
from nexus_core.dialects.openai_chat.answers import ENDED, failed_choice
from nexus_core.dialects.opening import Weight
from nexus_core.dialects.parsing import parse_json
from nexus_core.types import JsonObject, is_list, is_object

_END_MARK = "[DONE]"


def weigh_event(event: str, data: str) -> Weight | ErrorReport:
    """Classify one event of OpenAI's stream before content: ping, preface, content, end or error.

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


def is_content(chunk: JsonObject) -> bool:
    """Whether a chunk says something: text, a tool call, an end …"""
    return any(map(_says_something, chunk.get("choices", ())))


# What stands around content, or in place of it: of chunks without choices.
_FRAME = frozenset(
    {
        *("id", "object", "created", "model", "usage", "system_fingerprint", "service_tier"),
        *("choices", "provider", "error", "prompt_filter_results", "obfuscation", "type"),
    }
)
_DELTA_FRAME = frozenset({"role", "obfuscation"})


def _says_something(choice: object) -> bool:
    """Whether a choice has text, a tool call, an image … or its finish_reason."""
    if not is_object(choice):
        return False
    if choice.get("finish_reason") or choice.get("text"):
        return True
    delta = choice.get("delta") or choice.get("message")
    if not is_object(delta):
        return False
    return any(value for key, value in delta.items() if key not in _DELTA_FRAME)


def reported_error(fields: object, event: str) -> ErrorReport | None:
    """The error in a stream event, at its beginning or in its middle; None for any other event."""
    if is_object(fields):
        choices = fields.get("choices")
        if is_list(choices) and (ended := failed_choice(choices)) is not None:
            return read_report(fields) or read_report(ended) or ENDED
        if is_list(choices) and choices and not fields.get("error"):
            return None
    return read_report(fields, is_error=event == "error")
