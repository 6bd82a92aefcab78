"""Read a stream of Responses events that passes as it came: beginning, usage, errors, end."""

from __future__ import annotations

from collections.abc import Callable

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.error_report import read_report
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.openai_responses.native import (
    delta_length,
    failure_in,
    tier_of,
    usage_of,
)
from nexus_core.dialects.opening import StreamOpening, Weight
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.reading.streams import EVENT_ENDS, TextSize, telling_lines
from nexus_core.observe.events import TokenUsage
from nexus_core.types import is_object

_BEGINNINGS = ("response.created", "response.in_progress", "response.queued")
_ENDS = ("response.completed", "response.incomplete", "response.failed")


# Of events that say more than a piece of text. They may stand in a text, too: then the event is
# parsed for nothing.
_TELLING = (
    b'"response.completed"',
    b'"response.incomplete"',
    b'"response.failed"',
    b'"error"',
)
_DELTA = b".delta"  # how the names of those end that are a piece of something


def weigh_event(event: str, data: str) -> Weight | ErrorReport:
    """Classify one event before content: ping, preface, content, end or error."""
    data = data.strip()
    if not data:
        return Weight.NOTHING
    if data.startswith("[DONE]"):
        return Weight.END
    try:
        fields = parse_json(data)
    except ValueError:
        return Weight.CONTENT  # not ours to read: the client may
    kind = fields.get("type", event) if is_object(fields) else event
    if (report := _report(fields, kind)) is not None:
        return report
    if kind in ("keepalive", "ping"):
        return Weight.NOTHING
    return Weight.PREFACE if kind in _BEGINNINGS else Weight.CONTENT


def _report(fields: object, kind: object) -> ErrorReport | None:
    """The error that an event tells; None for any other."""
    if not is_object(fields):
        return None
    if kind == "response.failed":
        response = fields.get("response")
        failed = response if is_object(response) else {}
        return failure_in({**failed, "status": "failed"})
    if kind == "error" or (fields.get("error") and "type" not in fields):
        # Its words stand in the event itself, or, at some servers, in `error`.
        rest = {name: value for name, value in fields.items() if name != "type"}
        return read_report(rest, is_error=True) or ErrorReport()
    return None


class ResponseStreamReader:
    """Reader of one stream; sees every byte once, and keeps numbers, no text."""

    run: TextRun | None = None

    def __init__(self, clean: Callable[[str], str] = str) -> None:
        """`clean` removes the backend's key from error texts."""
        self.opening = StreamOpening(weigh_event, clean)
        self.usage: TokenUsage | None = None
        self.service_tier: str | None = None
        self.report: ErrorReport | None = None  # in mid-stream
        self.is_ended = False  # the event that ends it came
        self._text = TextSize(delta_length)
        self._last = b""

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete: nothing but its last event says so."""
        return self.is_ended

    @property
    def is_between_events(self) -> bool:
        """Whether the last line read was the blank line that ends an event."""
        return self._last.endswith(EVENT_ENDS)

    @property
    def unreported_bytes(self) -> int:
        """Bytes of the model's text, until the usage that covers them came with its end."""
        return 0 if self.usage is not None else self._text.bytes

    def read(self, lines: bytes) -> bytes:
        """Read whole lines, already without the key; they pass as they are."""
        self._last = lines[-3:] if len(lines) > 2 else (self._last + lines)[-3:]
        for line in telling_lines(_TELLING, lines, _DELTA):
            if line.startswith(b"data:"):
                self._take(line[5:])
        if self.usage is None:
            self._text.add(lines)
        else:
            self._text.clear()
        return lines

    def _take(self, data: bytes) -> None:
        try:
            fields = parse_json(data)
        except ValueError:
            return
        if not is_object(fields):
            return
        kind = fields.get("type")
        if (report := _report(fields, kind)) is not None:
            self.report = self.report or report
        if kind in _ENDS:
            self.is_ended = True
            self._learn(fields.get("response"))

    def _learn(self, response: object) -> None:
        if is_object(response):
            self.usage = usage_of(response) or self.usage
            self.service_tier = tier_of(response) or self.service_tier
