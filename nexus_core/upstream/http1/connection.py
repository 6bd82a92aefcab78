"""One connection to a backend: writes requests, parses their answers, one after the other."""

from __future__ import annotations

import asyncio
import re
import select
import socket
import struct
from collections.abc import Callable
from typing import cast

import httptools

from nexus_core.upstream import transport_errors as wording
from nexus_core.upstream.base import (
    MAX_HEAD_BYTES,
    MaySend,
    UpstreamError,
    UpstreamProtocolError,
    always,
)
from nexus_core.upstream.http1.answer import Answer
from nexus_core.upstream.http1.request_head import Origin, RequestHead

_AT_ONCE_BYTES = 64 * 1024  # of a request that is written in one go; more of it in such parts
# How every answer begins; the parser itself would take RTSP's, too, and a reason without a space.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}[ \r\n]")
_STATUS_BYTES = 13
_DROP = struct.pack("ii", 1, 0)  # SO_LINGER: what the kernel has not sent is dropped with a close
_BEGINS = b"HTTP/1."
_NO_BODY = frozenset({204, 304})
_MAX_NAMES, _MAX_NAME_BYTES = 1024, 64  # that are kept

_names: dict[bytes, str] = {}  # of headers, in lower case: always the same few


class Connection(asyncio.Protocol):
    """A connection that is never used again once anything on it was not as it should be.

    It is its own parser's protocol as well: the methods that begin with `on_` are httptools'.
    """

    def __init__(
        self,
        origin: Origin,
        when_idle: Callable[[Connection], None],
        when_lost: Callable[[Connection], None],
    ) -> None:
        self.origin = origin
        self.loop = asyncio.get_running_loop()
        self.idle_since = 0.0  # by the loop's clock
        self._when_idle = when_idle
        self._when_lost = when_lost
        self._transport: asyncio.Transport | None = None  # None: not yet, or lost
        self._socket: socket.socket | None = None
        self._poll: select.poll | None = None  # asks whether there is anything to read
        self._answer: Answer | None = None  # that the next bytes belong to
        self._unsent: memoryview | None = None  # of a request's body
        self._may_send: MaySend | None = None  # of a request that takes a while to write
        self._is_write_paused = False
        self._is_read_paused = False
        # Of the answer that is under way
        self._head: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0  # that brought nothing of a body: of the head, or of trailers
        self._begin = b""  # too short to tell what it is
        self._status = 0  # 0: its head has not come
        self._is_for_head = False  # the request's method was HEAD
        self._lasts_until_close = False
        self._is_over = False
        self._may_be_kept = False
        self._has_surplus = False  # bytes behind its end
        self._pieces_to_end = 0  # those after them are of the surplus
        self._refusal: UpstreamProtocolError | None = None
        self._pieces: list[bytes] = []  # of the body, out of one read of the socket
        self.on_body = self._pieces.append
        self._parser = httptools.HttpResponseParser(self)
        # Old and home-made servers write so, and nothing else is meant by it: RFC 9112, sections
        # 2.2 and 7.1.
        self._parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True, lenient_spaces_after_chunk_size=True
        )

    # Its user

    def ask(self, head: RequestHead, body: bytes, may_send: MaySend = always) -> Answer:
        """Write a request; its answer begins later. `may_send` is for `stop_unsent`."""
        transport = self._transport
        self._answer = answer = Answer(self)
        self._status, self._head_bytes = 0, 0
        self._is_over = self._has_surplus = self._lasts_until_close = False
        self._is_for_head = head.is_head
        if transport is None:
            answer.fail(UpstreamProtocolError(wording.NO_ANSWER))
        elif not body:
            transport.write(head.without_body)
        else:
            begin = b"%b%d\r\n\r\n" % (head.before_length, len(body))
            if len(body) <= _AT_ONCE_BYTES:
                transport.write(begin + body)
            else:
                self._unsent, self._may_send = memoryview(body), may_send
                transport.write(begin)
                self._write_on()
        return answer

    def is_usable(self) -> bool:
        """Whether an idle connection may take a request: nothing came on it, nor its end.

        The socket itself is asked: what came while the loop was busy is not known here yet. A POST
        that fails on a closed connection can't be sent again: nobody knows if the first was read.
        Also right behind an answer: some servers close after so many of them without saying so.
        """
        transport, poll = self._transport, self._poll
        if transport is None or transport.is_closing():
            return False
        return poll is None or not poll.poll(0)

    def stop_unsent(self) -> None:
        """End a request of which something is still to be sent, if it may not be sent any more."""
        if self._may_send is not None and self._is_writing and not self._may_send():
            self.fail(wording.not_sent())

    @property
    def _is_writing(self) -> bool:
        transport = self._transport
        is_left = self._unsent is not None
        return is_left or (transport is not None and transport.get_write_buffer_size() > 0)

    def abort(self) -> None:
        """Close it now, whatever is under way; what has not left does not leave any more."""
        if self._transport is not None:
            if self._is_writing and self._socket is not None:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
            self._transport.abort()
        self._unsent = None

    def fail(self, failure: UpstreamError) -> None:
        """Close it, and say why to whoever waits for an answer."""
        answer, self._answer = self._answer, None
        self.abort()
        if answer is not None:
            answer.fail(failure)

    def pause_reading(self) -> None:
        """Hold the backend up."""
        if self._transport is not None and not self._is_read_paused:
            self._is_read_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Let it go on."""
        if self._transport is not None and self._is_read_paused:
            self._is_read_paused = False
            self._transport.resume_reading()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._socket = transport.get_extra_info("socket")
        if self._socket is not None:  # else it is no real one
            self._poll = select.poll()
            self._poll.register(self._socket.fileno(), select.POLLIN)

    def data_received(self, data: bytes) -> None:
        answer = self._answer
        if answer is None:  # nobody asked
            self.abort()
            return
        if not self._status and not self._head_bytes:
            data = self._begin + data
            self._begin = b""
            if _STATUS_LINE.match(data) is None:
                self._wait_or_refuse(data)
                return
        is_in_head = not self._status
        self._head_bytes += len(data)
        error = None
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as caught:
            error = caught
        if is_in_head:
            if self._status:
                self._tell_head(answer)
            if self._refusal is not None:
                self.fail(self._refusal)
                return
        if self._pieces:
            self._tell_body(answer)
        if self._is_over:
            self._has_surplus |= error is not None
            self._end(answer)
        elif error is not None or self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(error)

    def eof_received(self) -> None:
        if self._lasts_until_close and self._answer is not None and self._status:
            answer, self._answer = self._answer, None
            answer.end()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = self._poll = self._socket = self._unsent = self._may_send = None
        del self._parser  # which holds this object, too
        self.fail(UpstreamProtocolError(wording.ENDED_EARLY if self._status else wording.NO_ANSWER))
        self._when_lost(self)

    def pause_writing(self) -> None:
        self._is_write_paused = True

    def resume_writing(self) -> None:
        self._is_write_paused = False
        self._write_on()

    # httptools

    def on_message_begin(self) -> None:
        if self._is_over:
            self._has_surplus = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._status:  # else it is a trailer, or of what nobody asked for
            self._head.append((name, value))

    def on_headers_complete(self) -> None:
        if self._status:
            return
        status = self._parser.get_status_code()
        if status >= 200:
            self._status = status
            self._may_be_kept = self._parser.should_keep_alive()
            return
        if status == 101:
            self._refusal = UpstreamProtocolError(wording.SWITCHED)
        elif status < 100:
            self._refusal = wording.not_http("invalid status code")
        elif any(_is_framing(name, value) for name, value in self._head):
            self._refusal = wording.not_http("an interim answer with a body")
        self._head.clear()

    def on_message_complete(self) -> None:
        if self._status and not self._is_over:
            self._is_over = True
            self._pieces_to_end = len(self._pieces)

    # Its own

    def _wait_or_refuse(self, begin: bytes) -> None:
        """Take in bytes that are no status line, or not all of one yet."""
        if len(begin) < _STATUS_BYTES and begin[: len(_BEGINS)] == _BEGINS[: len(begin)]:
            self._begin = begin
        else:
            self.fail(wording.not_http("no status line of HTTP/1"))

    def _tell_head(self, answer: Answer) -> None:
        """Pass on the head, which is whole; where it is not to be taken, `_refusal` says why."""
        headers: list[tuple[str, str]] = []
        size = 0
        is_framed, is_chunked = self._status in _NO_BODY, False
        for raw, value in self._head:
            name = _names.get(raw) or _lower(raw)
            text = value.decode("latin-1").rstrip(" \t")
            headers.append((name, text))
            size += len(raw) + len(value) + 4
            if name == "transfer-encoding":
                if is_chunked or text.lower() != "chunked":
                    self._refusal = wording.not_http("an unknown Transfer-Encoding")
                is_framed = is_chunked = True
            elif name == "content-length":
                is_framed = True
        self._head.clear()
        if size > MAX_HEAD_BYTES:
            self._refusal = UpstreamProtocolError(wording.HEAD_TOO_LONG)
        if self._is_for_head:
            self._is_over, self._may_be_kept = True, False
            self._pieces.clear()
        self._lasts_until_close = not is_framed
        self._head_bytes = 0
        if self._refusal is None:
            answer.begin(self._status, tuple(headers))

    def _tell_body(self, answer: Answer) -> None:
        """Pass on what one read of the socket brought, as one piece."""
        pieces = self._pieces
        if self._has_surplus:
            del pieces[self._pieces_to_end :]
        if pieces:
            answer.feed(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            pieces.clear()
        self._head_bytes = 0

    def _refuse(self, error: Exception | None) -> None:
        """End an answer that is no HTTP, or has no end (None)."""
        if self._status:
            self.fail(UpstreamProtocolError(wording.ENDED_EARLY))
        elif error is None:
            self.fail(UpstreamProtocolError(wording.HEAD_TOO_LONG))
        else:
            self.fail(wording.not_http(str(error)))

    def _end(self, answer: Answer) -> None:
        """An answer is whole: the connection is free, or has had its time."""
        self._answer = self._may_send = None
        transport = self._transport
        is_clean = self._may_be_kept and not self._has_surplus and self._unsent is None
        # What is left of the request in the transport would not be read as one.
        if is_clean and transport is not None and not transport.get_write_buffer_size():
            self.resume_reading()
            self._when_idle(self)
        else:
            self.abort()
        answer.end()

    def _write_on(self) -> None:
        """Write what is left of a large body, as far as the socket takes it."""
        while self._unsent is not None and self._transport is not None:
            if self._is_write_paused:
                return
            part, rest = self._unsent[:_AT_ONCE_BYTES], self._unsent[_AT_ONCE_BYTES:]
            self._unsent = rest or None
            self._transport.write(part)


def _lower(raw: bytes) -> str:
    """The name of a header in lower case; a usual one is kept for the next time."""
    name = raw.decode("latin-1").lower()
    if len(raw) <= _MAX_NAME_BYTES:
        if len(_names) >= _MAX_NAMES:
            _names.clear()
        _names[raw] = name
    return name


def _is_framing(name: bytes, value: bytes) -> bool:
    """Whether a header says that a body follows."""
    name = name.lower()
    return name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0") != b"")
