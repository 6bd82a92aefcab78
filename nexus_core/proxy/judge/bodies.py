"""Judge whether what a backend sends is an answer: whole bodies and events of streams. Pure.

What counts is content. A 200 may hold an error, or nothing; a stream may begin with comments,
pings and chunks that say no more than that somebody is there.
"""

from __future__ import annotations

import re
from enum import Enum, auto

from nexus_core.dialects.parsing import parse_json
from nexus_core.proxy.judge.error_report import ErrorReport, read_report
from nexus_core.proxy.judge.fault import FailureKind, Fault, judge_report
from nexus_core.types import JsonObject, Operation, is_list, is_object

_MAX_SCANNED = 64 * 1024  # bytes of an error's body that are looked at


def judge_whole(
    fields: object, operation: Operation, model: str, asked: JsonObject | None = None
) -> Fault | None:
    """Why a body that came with a good status is no answer; None where it is one.

    An answer has at least one choice (embeddings: one entry of data, unless nothing was to be
    embedded), and the model did not end it with an error.

    Args:
        asked: the request's fields.
    """
    answer = fields if is_object(fields) else {}
    wanted = "data" if operation is Operation.EMBEDDINGS else "choices"
    held = answer.get(wanted)
    if is_list(held):
        if (ended := _failed_choice(held)) is not None:
            return judge_report(read_report(ended) or read_report(answer) or _ENDED, None, model)
        if any(held) or (asked is not None and asked.get("input") == []):
            return None
    # What stands around choices that are there is no error by its form alone.
    report = read_report(fields, is_error=not is_list(held))
    if report is not None and (report.words or report.code or report.status):
        return judge_report(report, None, model)
    if not is_object(fields):
        return Fault(502, FailureKind.FAILED, "answered with JSON that is not an object")
    return Fault(502, FailureKind.FAILED, f"answered without {wanted}")


_ENDED = ErrorReport(words="the model ended with an error", status=502)


def _failed_choice(choices: list[object]) -> JsonObject | None:
    """The choice that OpenRouter ends with finish_reason "error"."""
    for choice in choices:
        if is_object(choice) and choice.get("finish_reason") == "error":
            return choice
    return None


def judge_status(status: int, body: bytes, model: str) -> Fault:
    """What an answer with an error status says."""
    return judge_report(read_error_body(body), status, model)


def read_error_body(body: bytes) -> ErrorReport:
    """The error in a body that an error status announced: JSON, an event, or plain text."""
    text = body[:_MAX_SCANNED]
    if text.lstrip().startswith((b"data:", b"event:")):
        _, _, rest = text.partition(b"data:")
        text = rest.partition(b"\n")[0]
    try:
        parsed = parse_json(text)
    except ValueError:
        words = text.decode("utf-8", "replace").strip()
        return ErrorReport(words="" if words.startswith("<") else words[:500])
    return read_report(parsed, is_error=True) or ErrorReport()


END_MARK = "[DONE]"


class Weight(Enum):
    """What an event of a stream amounts to before there was content."""

    NOTHING = auto()  # a ping, no data
    PREFACE = auto()  # a usage, an empty list of choices: somebody is there
    CHOICE = auto()  # the same with a choice that says nothing yet, a role at most
    CONTENT = auto()  # or an end that a model gave


def judge_event(event: str, data: str, model: str) -> Weight | Fault:
    """Weigh one event of a stream of OpenAI's format.

    Args:
        event: its type; "message" unless the stream names another.
    """
    data = data.strip()
    if not data or data.startswith(END_MARK):
        return Weight.NOTHING
    try:
        fields = parse_json(data)
    except ValueError:
        return Weight.CONTENT  # not ours to read: the client may
    if (fault := reported_fault(fields, event, model)) is not None:
        return fault
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


def reported_fault(fields: object, event: str, model: str) -> Fault | None:
    """The error that an event of a stream is, at its beginning or in its middle."""
    if is_object(fields):
        choices = fields.get("choices")
        if is_list(choices) and (ended := _failed_choice(choices)) is not None:
            return judge_report(read_report(fields) or read_report(ended) or _ENDED, None, model)
        if is_list(choices) and choices and not fields.get("error"):
            return None
    report = read_report(fields, is_error=event == "error")
    return None if report is None else judge_report(report, None, model)


# What Nexus adds to a stream's request for its accounting, as servers that refuse it name it …
_NAMES_ADDITION = re.compile(rb"stream_?options|include_?usage", re.I)
# … and what those say that name no field, or nothing at all.
_REFUSES_SOMETHING = re.compile(
    rb"extra_forbidden|extra (?:inputs?|fields?)|additional ?propert|unexpected (?:keyword|field)"
    rb"|(?:unknown|unrecognized|unrecognised|unsupported|invalid) (?:request )?"
    rb"(?:fields?|arguments?|parameters?|propert(?:y|ies)|keys?|options?)"
    rb"|not permitted",
    re.I,
)
_SAYS_NO_MORE = re.compile(
    r"(?:bad request|invalid request|unprocessable (?:entity|content)|validation (?:error|failed)"
    r"|invalid request body)?\W*",
    re.I,
)


def refuses_addition(status: int, body: bytes) -> bool:
    """Whether an error may be about the usage that Nexus asks streams for.

    A mistake costs one more request, which fails alike: so what may be about it counts as such.

    Args:
        status: of the status line, or as a body under a good one tells it.
    """
    if status < 400 or status in (401, 402, 403, 408, 429):
        return False
    text = body[:_MAX_SCANNED]
    if _NAMES_ADDITION.search(text):
        return True
    if status not in (400, 422):
        return False
    if _REFUSES_SOMETHING.search(text):
        return True
    return not text.lstrip().startswith(b"<") and bool(
        _SAYS_NO_MORE.fullmatch(read_error_body(body).words)
    )
