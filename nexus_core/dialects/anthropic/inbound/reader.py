"""Read a stream of Anthropic's events that passes as it came: its beginning, usage, errors, end."""

from __future__ import annotations

from collections.abc import Callable

from nexus_core.dialects.anthropic.inbound.native import text_length, tier_of
from nexus_core.dialects.anthropic.response import ERROR_STATUSES, read_usage
from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.error_report import read_report
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.opening import StreamOpening, Weight
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.reading.streams import EVENT_ENDS, TextSize, telling_lines
from nexus_core.dialects.usage import read_count
from nexus_core.observe.events import TokenUsage
from nexus_core.types import JsonObject, is_object

# Of an event that says more than a piece of text: types, and the beginning of some.
_TELLING = (b'"message_', b'"error"')
_DELTA = b"content_block_delta"
_COUNTS = (
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
)


def weigh_event(event: str, data: str) -> Weight | ErrorReport:
    """Classify one event before content: ping, preface, content, end or error."""
    data = data.strip()
    if not data:
        return Weight.NOTHING
    try:
        fields = parse_json(data)
    except ValueError:
        return Weight.CONTENT  # not ours to read: the client may
    kind = fields.get("type", event) if is_object(fields) else event
    if kind == "error" or event == "error":
        return _report(fields)
    match kind:
        case "ping":
            return Weight.NOTHING
        case "message_start":
            return Weight.CHOICE  # an answer that ends without content is one, too
        case "message_stop":
            return Weight.END
        case _:
            return Weight.CONTENT


def _report(fields: object) -> ErrorReport:
    report = read_report(fields, is_error=True) or ErrorReport()
    if report.status is None:
        known = (ERROR_STATUSES[word] for word in report.code.split() if word in ERROR_STATUSES)
        report = ErrorReport(report.words, report.code, next(known, None))
    return report


class MessageStreamReader:
    """Reader of one stream; sees every byte once, and keeps numbers, no text."""

    run: TextRun | None = None

    def __init__(self, clean: Callable[[str], str] = str) -> None:
        """`clean` removes the backend's key from error texts."""
        self.opening = StreamOpening(weigh_event, clean)
        self.service_tier: str | None = None
        self.report: ErrorReport | None = None  # in mid-stream
        self.is_ended = False  # message_stop came
        self._is_stopped = False  # a stop reason came
        self._counts: JsonObject = {}
        self._text = TextSize(text_length)
        self._last = b""

    @property
    def usage(self) -> TokenUsage | None:
        """The usage reported so far; None before the first report."""
        return read_usage(self._counts) if self._counts else None

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete: `message_stop`, or the reason for its end."""
        return self.is_ended or self._is_stopped

    @property
    def is_between_events(self) -> bool:
        """Whether the last line read was the blank line that ends an event."""
        return self._last.endswith(EVENT_ENDS)

    @property
    def unreported_bytes(self) -> int:
        """Bytes of the model's text, until the usage that covers them came with its end."""
        return 0 if self._is_reported else self._text.bytes

    def read(self, lines: bytes) -> bytes:
        """Read whole lines, already without the key; they pass as they are."""
        self._last = lines[-3:] if len(lines) > 2 else (self._last + lines)[-3:]
        for line in telling_lines(_TELLING, lines, _DELTA):
            if line.startswith(b"data:"):
                self._take(line[5:])
        if self._is_reported:
            self._text.clear()
        else:
            self._text.add(lines)
        return lines

    @property
    def _is_reported(self) -> bool:
        """Whether a usage came with the answer's end, or before it."""
        return self._is_stopped and self.usage is not None

    def _take(self, data: bytes) -> None:
        try:
            fields = parse_json(data)
        except ValueError:
            return
        if not is_object(fields):
            return
        match fields.get("type"):
            case "message_start":
                message = fields.get("message")
                self._count(message.get("usage") if is_object(message) else None)
            case "message_delta":
                delta = fields.get("delta")
                if is_object(delta) and delta.get("stop_reason"):
                    self._is_stopped = True
                self._count(fields.get("usage"))
            case "message_stop":
                self.is_ended = True
            case "error":
                self.report = self.report or _report(fields)
            case _:
                pass

    def _count(self, usage: object) -> None:
        """Update the cumulative counts: they only grow, and a missing one keeps its value."""
        if not is_object(usage):
            return
        self.service_tier = tier_of(usage) or self.service_tier
        for name in _COUNTS:
            count = read_count(usage.get(name))
            if count is not None:
                self._counts[name] = max(count, self._counts.get(name, 0))
        for name in ("output_tokens_details", "cache_creation"):
            if is_object(usage.get(name)):
                self._counts[name] = usage[name]
