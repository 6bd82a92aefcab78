"""Relay a stream as it comes, and find out how it begins and ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from nexus_core.dialects.base.stream import Opening, OpeningState
from nexus_core.observe.events import TokenUsage
from nexus_core.providers import Response
from nexus_core.providers.base import AnswerStream, KeyCutter
from nexus_core.proxy.deadlines import NEVER, Deadlines
from nexus_core.proxy.judge.fault import Fault, judge_report
from nexus_core.upstream.base import UpstreamError, UpstreamProtocolError
from nexus_core.upstream.decoding import GZIP, Inflated

# A chunk that only tells a role is no content, and another backend may still take over. It says
# that somebody is there, though, and clients show that: it waits for company no longer than this.
PREFACE_SECONDS = 0.5
_MAX_HELD_BYTES = 1024 * 1024  # before there is content
_AFTER_DONE_SECONDS = 1.0  # for the rest of the last event
_NO_EVENT = b":\n\r"  # how comments and blank lines begin, in any format


class Sink(Protocol):
    """Where a stream is sent: a reply, or what collects it."""

    def send(self, data: bytes) -> None: ...
    async def drain(self) -> None: ...


class StreamFaultError(Exception):
    """The stream reported an error in its middle, already passed to the client."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.words)
        self.fault = fault


class StreamRelay:
    """Relay of one streamed answer: reads it, and writes what its `stream` makes of each read."""

    def __init__(
        self,
        response: Response,
        stream: AnswerStream,
        keys: KeyCutter,
        deadlines: Deadlines,
        *,
        model: str = "",
        max_inflated_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        """
        Args:
            model: by the backend's own name.
            max_inflated_bytes: of a stream that is compressed although nobody asked for that.
        """
        self.opening: Opening = stream.opening
        self._stream = stream
        self._read: Callable[[], Awaitable[bytes]] = response.read
        self._keys = keys
        self._deadlines = deadlines
        self._model = model
        self._max_inflated = max_inflated_bytes

    async def begin(self) -> OpeningState:
        """Read until it is known what the answer is, or a preface has waited long enough.

        Raises:
            UpstreamError: it ended before its first content, or with an error.
            TimeoutError: `deadlines.wait_at` came first.
        """
        opening, deadlines = self.opening, self._deadlines
        loop = asyncio.get_running_loop()
        is_first, latest, released = True, deadlines.wait_at, NEVER
        while (state := opening.state) is OpeningState.WAITING or state is OpeningState.PREFACE:
            if state is OpeningState.PREFACE and released == NEVER:
                released = loop.time() + PREFACE_SECONDS
                deadlines.wait_at = min(latest, released)
            try:
                chunk = await self._read()
            except asyncio.CancelledError:
                if latest < released or not deadlines.wait_ran_out():
                    raise
                if latest <= loop.time():
                    raise TimeoutError from None
                break  # it is late: what is here goes out
            if not chunk:
                if opening.end() in (OpeningState.WAITING, OpeningState.PREFACE):
                    raise UpstreamProtocolError(_ended_empty(opening))
                break
            if is_first and GZIP.startswith(chunk[:2]):
                self._read = Inflated(chunk, self._read, "gzip", self._max_inflated).read
            else:
                state = opening.feed(chunk)
            is_first = False
            if len(opening.held) > _MAX_HELD_BYTES and state is OpeningState.WAITING:
                raise UpstreamProtocolError("no content within the first MiB of its stream")
        deadlines.wait_at = latest  # of what else is asked before the answer begins
        return opening.state

    async def rest(self, max_bytes: int) -> bytes | None:
        """What comes behind `opening.held`, of an answer that is no stream.

        None: it is longer than `max_bytes`.
        """
        parts: list[bytes] = []
        while chunk := await self._read():
            parts.append(chunk)
            max_bytes -= len(chunk)
            if max_bytes < 0:
                return None
        return b"".join(parts)

    async def pass_on(self, reply: Sink, idle_timeout_seconds: float) -> None:
        """Send everything to the client, beginning with what was read up to the first content.

        Raises:
            UpstreamError: the stream broke off.
            TimeoutError: nothing came for `idle_timeout_seconds`.
            StreamFaultError: all is passed on, and an error event was among it.
        """
        stream = self._stream
        try:
            await self._pass_all(reply, idle_timeout_seconds)
        except asyncio.CancelledError:
            if not self._deadlines.wait_ran_out():
                raise
            if not self._has_all:
                raise TimeoutError from None
        except UpstreamError:
            if not self._has_all:
                raise
        finally:
            self._deadlines.wait_at = NEVER
        if last := stream.finish():
            reply.send(last)
        if stream.failure is not None:
            raise stream.failure
        if stream.report is not None:
            raise StreamFaultError(judge_report(stream.report, None, self._model))
        if not stream.is_complete:
            raise UpstreamProtocolError("the stream ended without its end marker")

    @property
    def _has_all(self) -> bool:
        """Everything is here, whatever becomes of the connection."""
        return self._stream.is_ended or self._stream.report is not None

    async def _pass_all(self, reply: Sink, idle_timeout_seconds: float) -> None:
        """Until the end of the event that is the end mark, or of the stream."""
        stream, deadlines, read = self._stream, self._deadlines, self._read
        loop = asyncio.get_running_loop()
        shown = stream.begin()
        is_alive, ends, began = True, 0.0, 0.0
        while True:
            if shown:
                reply.send(shown)
            is_ended = stream.is_ended
            if is_ended and stream.is_over:
                return  # what ends the answer is written with it
            if shown:
                await reply.drain()  # the client may read as slowly as it likes
            if stream.failure is not None:
                raise stream.failure
            if is_alive:
                ends = loop.time() + idle_timeout_seconds
            else:  # a comment: the time runs on, but for what the client took to read it
                ends += loop.time() - began
            if is_ended:
                ends = loop.time() + _AFTER_DONE_SECONDS
            deadlines.wait_at = ends
            data = await read()
            deadlines.wait_at = NEVER
            if not data:
                return
            begins = stream.unfinished or data
            is_alive = begins[0] not in _NO_EVENT or _has_event(stream.unfinished + data)
            if not is_alive:
                began = loop.time()
            shown = stream.read(data)

    @property
    def is_complete(self) -> bool:
        """The stream said that it is over."""
        return self._stream.is_complete

    @property
    def is_over(self) -> bool:
        """All of it was passed on; the body may still lack its end."""
        return self._stream.is_over

    def cut_text(self, text: str) -> str:
        """The same text without the backend's key."""
        return self._keys.cut_text(text)

    @property
    def usage(self) -> TokenUsage | None:
        """What the stream reported last."""
        return self._stream.usage

    @property
    def service_tier(self) -> str | None:
        """Which tier served it, where the stream says so."""
        return self._stream.service_tier

    @property
    def text_bytes(self) -> int:
        """How long the answer was so far; 0 where the usage that was reported covers it."""
        return self._stream.unreported_bytes


def _has_event(data: bytes) -> bool:
    """More than comments and blank lines."""
    return any(line and not line.startswith(b":") for line in data.splitlines())


def _ended_empty(opening: Opening) -> str:
    if opening.held:
        return "the stream ended before its first content"
    return "the stream ended before its first byte"
