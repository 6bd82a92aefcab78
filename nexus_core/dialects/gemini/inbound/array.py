"""Streams as one JSON array, which Google sends where a client does not ask for events."""

from __future__ import annotations

import json

from nexus_core.dialects.base.bridge import StreamWriter
from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.gemini.inbound.errors import report_body
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.sse import EventSplitter, read_event
from nexus_core.observe.events import TokenUsage

ARRAY_TYPE = "application/json"


class ArrayStreamWriter:
    """Writer of one stream of events as an array: each event's data is an element.

    What comes is Gemini's events: the backend's own, or those that `inner` writes.
    """

    def __init__(self, inner: StreamWriter | None = None) -> None:
        """`inner`: writes the events of what comes in the hub's format."""
        self._inner = inner
        self._events = EventSplitter()
        self._has_begun = False

    def write(self, lines: bytes, run: TextRun | None = None) -> bytes:
        """The elements that are whole with these lines.

        Raises:
            ValueError: an event is too long.
        """
        events = lines if self._inner is None else self._inner.write(lines, run)
        made = self._elements(self._events.feed(events))
        if not self._has_begun:  # so that an error can follow as an element, whenever it comes
            self._has_begun = True
            return b"[{}"
        return made

    def end(self, usage: TokenUsage | None) -> bytes:
        """The end of a complete answer."""
        last = b"" if self._inner is None else self._inner.end(usage)
        made = self._elements([*self._events.feed(last), *self._events.finish()])
        if self._has_begun:
            return made + b"]"
        return b"[]"

    def fail(self, report: ErrorReport) -> bytes:
        """The error that the backend reported in the middle of its stream."""
        if self._inner is None:  # it has passed as an element
            return b"]"
        return b"," + report_body(report) + b"]"

    def _elements(self, events: list[bytes]) -> bytes:
        made: list[bytes] = []
        for data in events:
            event = read_event(data)
            if event is None:
                continue
            text = event.data.strip()
            if text.startswith("["):  # how Google's errors come at times
                text = _unwrapped(text)
            made.append(b",\r\n" if self._has_begun else b"[")
            made.append(text.encode("utf-8", "replace"))
            self._has_begun = True
        return b"".join(made)


def _unwrapped(text: str) -> str:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if isinstance(found, list) and len(found) == 1:  # pyright: ignore[reportUnknownArgumentType]
        return json.dumps(found[0])
    return text


class ArrayWriter:
    """Writer of a passing answer as an array; whole answers and errors pass as they came."""

    stream_type = ARRAY_TYPE

    def whole(self, body: bytes, usage: TokenUsage | None) -> bytes:
        """A whole answer."""
        return body

    def error(self, body: bytes, status: int, retry_after: str | None = None) -> bytes:
        """An error answer."""
        return body

    def stream(self) -> StreamWriter:
        """Create the writer of a stream."""
        return ArrayStreamWriter()
