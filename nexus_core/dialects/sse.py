"""Server-sent events: parse bytes to events, at any chunk borders, and encode them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from nexus_core.types import JsonObject

MEDIA_TYPE = "text/event-stream"
COMMENT = b": waiting\n\n"  # ignored by every client: it keeps the connection
EVENT_END = b"\n\n"

MAX_LINE_BYTES = 1024 * 1024
MAX_EVENT_BYTES = 4 * 1024 * 1024  # all data lines of one event together

DONE = b"data: [DONE]\n\n"

_LINE_END = re.compile(rb"\r\n|\n|\r")


_BOM = b"\xef\xbb\xbf"
_FIELD = re.compile(rb"(?:data|event|id|retry)?[:\r\n]")
_NAMES = (b"data", b"event", b"id", b"retry")
_TELLING_BYTES = 16
_MAX_BLANK_BYTES = 8 * 1024  # of blank lines before anything else


class Shape(Enum):
    """Kind of a body by its first bytes, regardless of its content type."""

    UNKNOWN = auto()  # too little has come
    EVENTS = auto()
    JSON = auto()
    OTHER = auto()


def shape_of(body: bytes | bytearray) -> Shape:
    """Kind of a body by its first bytes; a byte order mark and blanks are passed over."""
    if _BOM.startswith(body[:3]) and len(body) < 3:
        return Shape.UNKNOWN
    head = bytes(body[:_MAX_BLANK_BYTES]).removeprefix(_BOM).lstrip()[:_TELLING_BYTES]
    if not head:
        return Shape.UNKNOWN if len(body) < _MAX_BLANK_BYTES else Shape.OTHER
    if head[:1] in (b"{", b"["):
        return Shape.JSON
    if _FIELD.match(head):
        return Shape.EVENTS
    return Shape.UNKNOWN if any(name.startswith(head) for name in _NAMES) else Shape.OTHER


class SseEvent(NamedTuple):
    """One event with data; comments and empty events are passed over."""

    event: str  # its type; "message" unless the stream names another
    data: str
    id: str = ""  # the last one that the stream gave: where to go on from


class SseParser:
    """Cut a byte stream into events. Holds at most one event and one line.

    https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
    """

    def __init__(self) -> None:
        self._held = bytearray()  # a line that has not ended
        self._searched = 0  # so far there is no line end in it
        self._event = self._id = ""
        self._data: list[bytes] = []
        self._size = 0
        self._after_cr = False  # a line feed that comes next belongs to the line before
        self._is_begun = False

    def feed(self, chunk: bytes) -> Iterator[SseEvent]:
        """The events that are complete with these bytes.

        Raises:
            ValueError: a line or an event is longer than the limits above.
        """
        self._held += chunk
        if not self._is_begun and len(self._held) >= 3:
            self._is_begun = True
            if self._held.startswith(_BOM):
                del self._held[:3]
        return self._events()

    def finish(self) -> Iterator[SseEvent]:
        """The last event of a stream that ended without its blank line or in mid-line.

        The standard drops it; some vendors' own SDKs do not.
        """
        line = bytes(self._held)
        self._held.clear()
        self._searched = 0
        if line:
            self._take(line)
        if (event := self._dispatch()) is not None:
            yield event

    @property
    def pending_bytes(self) -> int:
        """Bytes received of an unfinished event."""
        return len(self._held) + self._size

    def _events(self) -> Iterator[SseEvent]:
        start = 0
        if self._after_cr and self._held:
            start = self._held.startswith(b"\n")
            self._after_cr = False
        while (end := _LINE_END.search(self._held, max(start, self._searched))) is not None:
            line = bytes(self._held[start : end.start()])
            start = self._searched = end.end()
            # A carriage return at the very end may be the first half of a line end.
            self._after_cr = end.group() == b"\r" and start == len(self._held)
            if (event := self._take(line)) is not None:
                yield event
        del self._held[:start]
        self._searched = len(self._held)
        if self._searched > MAX_LINE_BYTES:
            raise ValueError(f"a line of the event stream is over {MAX_LINE_BYTES} bytes")

    def _take(self, line: bytes) -> SseEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
            if self._size > MAX_EVENT_BYTES:
                raise ValueError(f"an event of the stream is over {MAX_EVENT_BYTES} bytes")
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> SseEvent | None:
        event, data = self._event, self._data
        self._event, self._data, self._size = "", [], 0
        if not data:
            return None
        return SseEvent(event or "message", b"\n".join(data).decode("utf-8", "replace"), self._id)


class EventSplitter:
    """Cut a byte stream into the bytes of its events, without the blank lines between them.

    As SseParser does, but without reading them; all lines come out with line feeds. A stream with
    lone carriage returns, or a line that does not end, goes through SseParser.
    """

    def __init__(self) -> None:
        self._held: bytes = b""  # of an event that has not ended
        self._is_begun = False
        self._parser: SseParser | None = None  # of a stream that needs it, from then on
        self.is_between = False  # what comes next begins an event

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that are complete with these bytes; some may be comments.

        Raises:
            ValueError: a line or an event is longer than the limits of SseParser.
        """
        if self._parser is not None:
            return [_as_bytes(event) for event in self._parser.feed(chunk)]
        data = self._held + chunk if self._held else chunk
        if not self._is_begun:
            if len(data) < len(_BOM):
                self._held = data
                return []
            self._is_begun = True
            data = data.removeprefix(_BOM)
        has_returns = b"\r" in data
        if has_returns:
            # Events of one line each, as Google writes them, have no line ends but these.
            events = data.split(b"\r\n\r\n")
            lines = b"".join(events)
            if not (b"\n" in lines or b"\r" in lines or len(self._held) > MAX_LINE_BYTES):
                self._held = events.pop()
                self.is_between = not self._held
                return events
            data = data.replace(b"\r\n", b"\n")
        # A carriage return at the very end may be the first half of a line end.
        if (has_returns and data.find(b"\r", 0, -1) >= 0) or len(self._held) > MAX_LINE_BYTES:
            self._held, self._parser, self.is_between = b"", SseParser(), False
            return [_as_bytes(event) for event in self._parser.feed(data)]
        events = data.split(b"\n\n")
        self._held = events.pop()
        self.is_between = not self._held
        return events

    @property
    def pending_bytes(self) -> int:
        """Bytes received of an unfinished event."""
        return len(self._held) if self._parser is None else self._parser.pending_bytes

    def feed_one(self, data: bytes, at: int) -> tuple[list[bytes], int]:
        """Feed the data from there on up to the end of an event; all of it where none ends.

        Gives what `feed` gives, nearly always that one event, and where it ends.

        Raises:
            ValueError: a line or an event is longer than the limits of SseParser.
        """
        line_end = data.find(b"\n", at)
        while line_end >= 0:
            if data.startswith(b"\n", line_end + 1):
                event, end = data[at:line_end], line_end + 2
                if self.is_between and b"\r" not in event:
                    return [event], end
                return self.feed(data[at:end]), end
            if data.startswith(b"\r\n", line_end + 1):
                end = line_end + 3
                return self.feed(data[at:end]), end
            line_end = data.find(b"\n", line_end + 1)
        return self.feed(data[at:]), len(data)

    def finish(self) -> list[bytes]:
        """What is left of a stream that ended without its blank line."""
        if self._parser is not None:
            return [_as_bytes(event) for event in self._parser.finish()]
        held, self._held = self._held, b""
        if held.endswith(b"\r"):
            self._parser = SseParser()
            return [*map(_as_bytes, self._parser.feed(held)), *self.finish()]
        return [held] if held else []


def separator_before(data: bytes, end: int) -> bytes:
    """The blank line of the event that ends there, with the line end before it."""
    return b"\r\n\r\n" if data.endswith(b"\r\n\r\n", 0, end) else b"\n\n"


def _as_bytes(event: SseEvent) -> bytes:
    """An event as it might have come; its data is kept, line by line."""
    lines = "\n".join(f"data: {line}" for line in event.data.split("\n"))
    return f"event: {event.event}\n{lines}".encode()


def read_event(data: bytes) -> SseEvent | None:
    """Read one event of an EventSplitter; None for a comment."""
    name, start = "message", 0
    if data.startswith(b"event: ") and (end := data.find(b"\n")) > 0:
        name, start = data[7:end].decode("utf-8", "replace"), end + 1
    if name and data.startswith(b"data: ", start) and data.find(b"\n", start) < 0:
        return SseEvent(name, data[start + 6 :].decode("utf-8", "replace"))
    # A byte order mark is one at the beginning of a stream only.
    return next(SseParser().feed(b"\n" + data + b"\n\n"), None)


def encode_event(data: JsonObject) -> bytes:
    """Encode one event as OpenAI's streams do."""
    try:
        text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    except UnicodeEncodeError:  # a lone surrogate: half a character that a model took for one
        text = json.dumps(data, separators=(",", ":")).encode()
    return b"data: " + text + b"\n\n"
