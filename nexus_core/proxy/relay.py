"""Relay a stream line by line, and detect its beginning and end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nexus_core.dialects.base import Opening, OpeningState, StreamReader
from nexus_core.observe.events import TokenUsage
from nexus_core.providers import Response
from nexus_core.providers.base import KeyCutter
from nexus_core.proxy.judge.fault import Fault, judge_report
from nexus_core.proxy.reply import Reply
from nexus_core.upstream.base import UpstreamError, UpstreamProtocolError
from nexus_core.upstream.decoding import GZIP, Inflated

# A chunk that only tells a role is no content, and another backend may still take over. It says
# that somebody is there, though, and clients show that: it waits for company no longer than this.
PREFACE_SECONDS = 0.5
_MAX_HELD_BYTES = 1024 * 1024  # before there is content
_MAX_LINE_BYTES = 64 * 1024  # of a line that has not ended; a longer one passes in parts
_AFTER_DONE_SECONDS = 1.0  # for the rest of the last event
_NO_EVENT = frozenset((b":", b"\n", b"\r"))  # how comments and blank lines begin, in any format


class StreamFaultError(Exception):
    """The stream reported an error in its middle, already passed to the client."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.words)
        self.fault = fault


class StreamRelay:
    """Relay of a server-sent stream, which detects how it ended.

    Only whole lines are passed on, so that a stream that breaks can be ended with an event of our
    own that the client is able to read.
    """

    def __init__(
        self,
        response: Response,
        keys: KeyCutter,
        reader: StreamReader,
        *,
        model: str = "",
        max_inflated_bytes: int = 32 * 1024 * 1024,
    ) -> None:
        """
        Args:
            reader: of the format that the stream is in.
            model: by the backend's own name.
            max_inflated_bytes: of a stream that is compressed although nobody asked for that.
        """
        self.opening: Opening = reader.opening
        self._reader = reader
        self._response = response
        self._read: Callable[[], Awaitable[bytes | None]] = response.read
        self._keys = keys
        self._model = model
        self._max_inflated = max_inflated_bytes
        self._held = b""
        self._line_end = b"\n"
        self._told: TokenUsage | None = None  # the usage as it was last told
        self._is_told_on = False  # it is told again as the answer grows

    async def begin(self) -> OpeningState:
        """Read until it is known what the answer is; what was read stands in `opening.held`.

        Raises:
            UpstreamProtocolError: it ended before its first content.
        """
        opening, released = self.opening, None
        loop = asyncio.get_running_loop()
        while opening.state in (OpeningState.WAITING, OpeningState.PREFACE):
            if opening.state is OpeningState.PREFACE and released is None:
                released = loop.time() + PREFACE_SECONDS
            try:
                async with asyncio.timeout_at(released):
                    chunk = await self._read()
            except TimeoutError:
                break  # it is late: what is here goes out
            if chunk is None:
                continue
            if not chunk:
                if opening.end() in (OpeningState.WAITING, OpeningState.PREFACE):
                    raise UpstreamProtocolError(_ended_empty(opening))
                break
            if not opening.held and GZIP.startswith(chunk[:2]):
                self._read = Inflated(chunk, self._read, "gzip", self._max_inflated).read
                continue
            opening.feed(chunk)
            if len(opening.held) > _MAX_HELD_BYTES and opening.state is OpeningState.WAITING:
                raise UpstreamProtocolError("no content within the first MiB of its stream")
        if b"\n" not in opening.held and b"\r" in opening.held:
            self._line_end = b"\r"
        return opening.state

    async def rest(self, max_bytes: int) -> bytes | None:
        """What comes behind `opening.held`, of an answer that is no stream.

        None: it is longer than `max_bytes`.
        """
        parts: list[bytes] = []
        while (chunk := await self._read()) != b"":
            parts.append(chunk or b"")
            max_bytes -= len(parts[-1])
            if max_bytes < 0:
                return None
        return b"".join(parts)

    async def pass_on(self, first: bytes, reply: Reply, idle_timeout_seconds: float) -> None:
        """Send everything to the client, beginning with `first`.

        Raises:
            UpstreamError: the stream broke off.
            TimeoutError: nothing came for `idle_timeout_seconds`.
            StreamFaultError: all is passed on, and an error event was among it.
        """
        try:
            await self._pass_all(first, reply, idle_timeout_seconds)
        except (UpstreamError, TimeoutError):
            if not self._reader.is_ended and self._reader.report is None:
                raise  # else all is here, whatever becomes of the connection
        if self._held:
            await self._send_now(self._held, reply)
            self._held = b""
        if self._reader.report is not None:
            raise StreamFaultError(judge_report(self._reader.report, None, self._model))
        if not self.is_complete:
            raise UpstreamProtocolError("the stream ended without its end marker")

    async def _pass_all(self, first: bytes, reply: Reply, idle_timeout_seconds: float) -> None:
        """Until the end of the event that is the end mark, or of the stream."""
        await self._send(first, reply)
        loop, reader = asyncio.get_running_loop(), self._reader
        ends = loop.time() + idle_timeout_seconds
        async with asyncio.timeout_at(ends) as idle:
            while not (reader.is_ended and reader.is_between_events):
                chunk = await self._read()
                if chunk is None:  # nothing for the client
                    ends = loop.time() + idle_timeout_seconds
                    idle.reschedule(ends)
                    continue
                if not chunk:
                    return
                idle.reschedule(None)  # the client may read as slowly as it likes
                begins = self._held or chunk
                is_alive = begins[:1] not in _NO_EVENT or _has_event(self._held + chunk)
                began = 0.0 if is_alive else loop.time()
                await self._send(chunk, reply)
                if reader.is_ended:
                    ends = loop.time() + _AFTER_DONE_SECONDS
                elif is_alive:
                    ends = loop.time() + idle_timeout_seconds
                else:  # a comment: the time runs on, but for what the client took to read it
                    ends += loop.time() - began
                idle.reschedule(ends)

    @property
    def is_complete(self) -> bool:
        """The stream said that it is over."""
        return self._reader.is_complete

    def cut_text(self, text: str) -> str:
        """The same text without the backend's key."""
        return self._keys.cut_text(text)

    @property
    def usage(self) -> TokenUsage | None:
        """What is known of it beside the stream, else what the stream told last."""
        return self._response.usage or self._reader.usage

    @property
    def service_tier(self) -> str | None:
        """Which tier served it, where the stream says so."""
        return self._reader.service_tier

    @property
    def text_bytes(self) -> int:
        """How long the answer was so far; 0 where the usage that was told covers it."""
        is_covered = self._is_told_on or (self._told is not None and self.is_complete)
        return 0 if is_covered else self._reader.text_bytes

    async def _send(self, chunk: bytes, reply: Reply) -> None:
        data = self._held + chunk if self._held else chunk
        line_end = self._line_end
        end = len(data) if data.endswith(line_end) else data.rfind(line_end) + 1
        if not end and len(data) > _MAX_LINE_BYTES:
            end = len(data) - self._keys.longest  # in which a key may have begun
        self._held = data[end:]
        if end:
            await self._send_now(data[:end], reply)

    async def _send_now(self, data: bytes, reply: Reply) -> None:
        shown = self._reader.read(self._keys.cut(data) if self._keys.has_key else data)
        usage = self._response.usage or self._reader.usage
        if usage is not self._told and usage != self._told:
            self._is_told_on = self._told is not None
            self._told = usage
        if shown:
            reply.send(shown)
            await reply.drain()


def _has_event(data: bytes) -> bool:
    """More than comments and blank lines."""
    return any(line and not line.startswith(b":") for line in data.splitlines())


def _ended_empty(opening: Opening) -> str:
    if opening.held:
        return "the stream ended before its first content"
    return "the stream ended before its first byte"
