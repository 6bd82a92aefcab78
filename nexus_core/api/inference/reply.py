"""Replies to clients: their headers, and how a failure is told before and inside an answer."""

from __future__ import annotations

from abc import ABC, abstractmethod

from nexus_core.api.errors import JSON_TYPE, error_headers
from nexus_core.api.headers import STREAM_HEADERS, answer_head, passed_headers
from nexus_core.api.inference.arrival import Arrival
from nexus_core.dialects.base.dialect import NumbersEvents
from nexus_core.errors import NexusError
from nexus_core.observe.record import HeaderLines
from nexus_core.proxy.reply import SelectedRoute
from nexus_core.upstream.base import Headers

_NAMES = b"event:"  # how an event's name begins


class ClientReply(ABC):
    """Reply to the client of one request; each transport has its own way to send it."""

    __slots__ = (
        "_dialect",
        "_first",
        "_is_stream",
        "_last",
        "_request_id",
        "has_begun",
        "is_early",
        "is_finished",
    )

    def __init__(self, arrival: Arrival) -> None:
        self._dialect = arrival.asked.dialect
        self._request_id = arrival.request_id
        self._is_stream = False
        self._first = b""  # of a stream, what was sent first
        self._last = b"\n\n"  # and what was sent last
        self.has_begun = False  # the client may have seen a part of it
        self.is_early = False  # begun by a sign of life
        self.is_finished = False

    def start(
        self, status: int, upstream: Headers, selected: SelectedRoute, *, length: int | None
    ) -> HeaderLines:
        """Begin an answer of `length` bytes (None: a stream); the headers as they are sent."""
        passed = passed_headers(upstream)
        first = list(passed.items())
        self._is_stream = length is None
        if length is not None:
            first.append((b"content-length", b"%d" % length))
        own_id = self._dialect.request_id_header
        if own_id is not None and own_id not in passed:
            first.append((own_id, self._request_id.encode()))
        if passed.get(b"content-type", b"").startswith(self._dialect.stream_type.encode()):
            first += STREAM_HEADERS
        head = answer_head(first, self._request_id, selected, selected.overhead_ms)
        if self.is_early:
            self._is_stream = True
            self._send_beside(_as_comments(head))
        else:
            self._begin(status, head, is_endless=length is None)
        return head

    def ping(self, sign: bytes) -> bool:
        """Write a sign of life at once, beginning a stream if none has begun."""
        if not (self._is_stream or self.is_early):
            return self._begin_early(sign)
        if self._border() or not self._can_write():
            return False
        self._send_beside(sign)
        self._write_now()
        return True

    def _send_beside(self, data: bytes) -> None:
        """Send what is no part of the answer: what was sent of that first and last stays."""
        first, last = self._first, self._last
        self.send(data)
        self._first, self._last = first, last

    def _begin_early(self, sign: bytes) -> bool:
        if self.has_begun or not self._can_write():
            return False
        first = [(b"content-type", self._dialect.stream_type.encode()), *STREAM_HEADERS]
        if (own_id := self._dialect.request_id_header) is not None:
            first.append((own_id, self._request_id.encode()))
        self.is_early = self._is_stream = True
        self._begin(200, answer_head(first, self._request_id, None), is_endless=True)
        self._send_beside(sign)
        self._write_now()
        return True

    def send_error_event(self, error: NexusError) -> None:
        """Tell of a failure inside a stream that has begun, and end it without [DONE].

        Nothing fits behind a whole answer, which has been handed over by then.
        """
        if self._is_stream:
            dialect, border = self._dialect, self._border()
            if isinstance(dialect, NumbersEvents):
                told = dialect.error_event_after(error, self._request_id, self._first, self._last)
            else:
                told = dialect.error_event(error, self._request_id)
            if told.startswith(_NAMES) and _is_only_named(self._last):
                border = b""  # our name takes the place of the other: that event has no data
            self.send(border + told)
        self.finish()

    def refuse(self, error: NexusError, selected: SelectedRoute | None) -> HeaderLines:
        """Answer with an error instead; `selected` is the backend that caused it."""
        if self.is_early:
            head = answer_head([], self._request_id, selected)
            self._send_beside(_as_comments(head))
            self.send_error_event(error)
            return head
        body = self._dialect.error(error, self._request_id)
        headers = error_headers(error)
        if (own_id := self._dialect.request_id_header) is not None:
            headers.append((own_id, self._request_id.encode()))
        told = answer_head(headers, self._request_id, selected)
        head = b"%b\r\ncontent-length: %d" % (told, len(body))
        self._begin(error.status, head, is_endless=False)
        self.send(body)
        self.finish()
        return told

    def tell(self, body: bytes) -> None:
        """Answer with JSON of Nexus's own: no backend was asked."""
        size = (b"content-length", b"%d" % len(body))
        head = answer_head([JSON_TYPE, size], self._request_id, None)
        self._begin(200, head, is_endless=False)
        self.send(body)
        self.finish()

    @abstractmethod
    def _begin(self, status: int, head: HeaderLines, *, is_endless: bool) -> None:
        """Begin an answer; an endless one tells its end itself."""

    @abstractmethod
    def _can_write(self) -> bool:
        """Whether something can be written at once: the client is there, and reads."""

    @abstractmethod
    def _write_now(self) -> None:
        """Write what was sent, without waiting."""

    @abstractmethod
    def send(self, data: bytes) -> None:
        """Pass on a part of the body."""

    @abstractmethod
    async def drain(self) -> None:
        """Return when more may be sent."""

    @abstractmethod
    def finish(self) -> None:
        """End the answer."""

    def _border(self) -> bytes:
        """What ends the event that is under way, so that ours stands alone."""
        end = self._dialect.event_end
        if self._last.endswith((end, b"\r\n\r\n")):
            return b""
        if len(end) == 1:
            return end
        return b"\n" if self._last.endswith(b"\n") else b"\n\n"


def _is_only_named(last: bytes) -> bool:
    """Whether an event was broken off behind its name; to its clients it would be no JSON."""
    lines = last.splitlines(keepends=True)
    return (
        bool(lines)
        and lines[-1].startswith(_NAMES)
        and lines[-1].endswith(b"\n")
        and (len(lines) == 1 or not lines[-2].strip())
    )


def _as_comments(head: HeaderLines) -> bytes:
    """Nexus's headers as comments of a stream that began before they were known."""
    lines = [b": %b\n" % line for line in head.split(b"\r\n") if line.startswith(b"x-nexus-")]
    return b"".join(lines) + b"\n"
