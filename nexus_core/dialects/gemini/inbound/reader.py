"""Read a stream of Gemini's events that passes as it came: its beginning, usage, errors, end."""

from __future__ import annotations

from collections.abc import Callable

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.error_report import read_report
from nexus_core.dialects.gemini.inbound.native import text_length
from nexus_core.dialects.gemini.usage import USAGE_FIELDS, read_usage
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.opening import StreamOpening, Weight
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.reading.streams import EVENT_ENDS, lines_with
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_list, is_object

_USAGE, _DIGITS = b'"usageMetadata"', b"0123456789"
# Of an event that says more than a piece of an answer and its counts so far.
_TELLING = (b'"error"', b'Reason"')  # finishReason, blockReason


def weigh_event(event: str, data: str) -> Weight | ErrorReport:
    """Classify one event before content: nothing, preface, content or error."""
    data = data.strip()
    if not data:
        return Weight.NOTHING
    try:
        fields = parse_json(data)
    except ValueError:
        return Weight.CONTENT  # not ours to read: the client may
    if is_list(fields) and len(fields) == 1:
        fields = fields[0]
    if not is_object(fields):
        return Weight.CONTENT
    if "error" in fields:
        return _report(fields)
    candidates = fields.get("candidates")
    if not candidates:
        return Weight.CONTENT if is_object(fields.get("promptFeedback")) else Weight.PREFACE
    return Weight.CONTENT if any(map(_says, candidates)) else Weight.CHOICE


def _says(candidate: object) -> bool:
    """Whether a candidate has ended, or has a part with anything in it."""
    if not is_object(candidate) or candidate.get("finishReason"):
        return True
    content = candidate.get("content")
    parts = content.get("parts") if is_object(content) else None
    return any(part != {"text": ""} for part in parts) if is_list(parts) else False


def _report(fields: object) -> ErrorReport:
    return read_report(fields, is_error=True) or ErrorReport()


class GeminiStreamReader:
    """Reader of one stream; sees every byte once, and keeps numbers and the last counts."""

    service_tier: str | None = None
    run: TextRun | None = None
    is_ended = False  # Google's streams have no end mark

    def __init__(self, clean: Callable[[str], str] = str) -> None:
        """`clean` removes the backend's key from error texts."""
        self.opening = StreamOpening(weigh_event, clean)
        self.report: ErrorReport | None = None  # in mid-stream
        self.is_complete = False  # a candidate has the reason for its end, or the prompt is blocked
        self._counted = b""  # the last line with counts, not read yet,
        self._names: bytes = b""  # and what stands in it from there on but for numbers
        self._counts: JsonObject = {}
        self._text_bytes = 0  # behind the last counts
        self._last = b""

    @property
    def usage(self) -> TokenUsage | None:
        """The usage reported so far; None before the first report."""
        line, self._counted = self._counted, b""
        if line:
            usage = _parsed(line).get("usageMetadata")
            if is_object(usage):  # the counts are cumulative; a missing one keeps its value
                self._counts |= {k: v for k, v in usage.items() if k in USAGE_FIELDS}
        return read_usage({"usageMetadata": self._counts})

    @property
    def is_between_events(self) -> bool:
        """Whether the last line read was the blank line that ends an event."""
        return self._last.endswith(EVENT_ENDS)

    @property
    def unreported_bytes(self) -> int:
        """Bytes of the model's text since the last counts."""
        return self._text_bytes

    def read(self, lines: bytes) -> bytes:
        """Read whole lines, already without the key; they pass as they are."""
        self._last = lines[-3:] if len(lines) > 2 else (self._last + lines)[-3:]
        at = lines.rfind(_USAGE)
        if at < 0:
            self._text_bytes += text_length(lines)
        else:
            start = max(lines.rfind(b"\n", 0, at), lines.rfind(b"\r", 0, at)) + 1
            end = lines.find(b"\n", at)
            end = len(lines) if end < 0 else end
            names: bytes = lines[at:end].translate(None, _DIGITS)
            if names != self._names and self._counted:
                _ = self.usage  # it may have told what this one leaves out
            self._counted, self._names = lines[start:end], names
            self._text_bytes = 0
        for line in lines_with(_TELLING, lines):
            if line.startswith(b"data:"):
                self._take(_parsed(line))
        return lines

    def _take(self, fields: JsonObject) -> None:
        if "error" in fields:
            self.report = self.report or _report(fields)
        candidates = fields.get("candidates")
        for candidate in candidates if is_list(candidates) else ():
            if is_object(candidate) and candidate.get("finishReason"):
                self.is_complete = True
        feedback = fields.get("promptFeedback")
        if is_object(feedback) and feedback.get("blockReason"):
            self.is_complete = True


def _parsed(line: bytes) -> JsonObject:
    """The object of a line of data; empty where there is none."""
    try:
        fields = parse_json(line.removeprefix(b"data:"))
    except ValueError:
        return {}
    if is_list(fields) and len(fields) == 1:
        fields = fields[0]
    return fields if is_object(fields) else {}
