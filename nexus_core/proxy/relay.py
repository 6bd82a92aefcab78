"""Pass a stream on line by line, and know how it ended."""

from __future__ import annotations

import asyncio
import re
from collections import deque

from nexus_core.agents import Response
from nexus_core.agents.base import KeyCutter
from nexus_core.events import TokenUsage
from nexus_core.proxy.meter import StreamMeter
from nexus_core.proxy.reply import Reply
from nexus_core.upstream.base import UpstreamProtocolError

_MAX_HELD_BYTES = 64 * 1024  # of a line that has not ended; a longer one passes in parts
_TAIL_PARTS = 16  # holds the last chunk, the usage chunk and [DONE], with room to spare

_TAIL_PART_BYTES = 8 * 1024

_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"')


class StreamRelay:
    """Pass a server-sent stream on as it comes, and know how it ended.

    Only whole lines are passed on, so that a stream that breaks can be ended with an event of our
    own that the client is able to read.
    """

    def __init__(self, response: Response, keys: KeyCutter, *, hides_usage: bool = False) -> None:
        self._response = response
        self._meter = StreamMeter(hides_usage=hides_usage)
        self._chunks = response.chunks()
        self._keys = keys
        self._held = b""
        self._tail: deque[bytes] = deque(maxlen=_TAIL_PARTS)
        self._told: TokenUsage | None = None  # the usage as it was last told
        self._is_told_on = False  # it is told again as the answer grows

    async def first(self) -> bytes:
        """Wait for the first bytes.

        Raises:
            UpstreamProtocolError: the stream ended without any.
        """
        async for chunk in self._chunks:
            if chunk:
                return chunk
        raise UpstreamProtocolError("the stream ended before its first byte")

    async def pass_on(self, first: bytes, reply: Reply, idle_timeout_seconds: float) -> None:
        """Send everything to the client, beginning with `first`.

        Raises:
            UpstreamError: the stream broke off.
            TimeoutError: nothing came for `idle_timeout_seconds`.
        """
        await self._send(first, reply)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(idle_timeout_seconds) as idle:
            async for chunk in self._chunks:
                idle.reschedule(None)  # the client may read as slowly as it likes
                await self._send(chunk, reply)
                idle.reschedule(loop.time() + idle_timeout_seconds)
        if self._held:
            await self._send_now(self._held, reply)
            self._held = b""
        if not self.is_complete:
            raise UpstreamProtocolError("the stream ended without its end mark")

    async def close(self) -> None:
        """Read no more."""
        await self._chunks.aclose()

    @property
    def is_complete(self) -> bool:
        """The stream said that it is over: `[DONE]`, or a finish_reason where there is none."""
        tail = b"".join(self._tail)
        return b"data: [DONE]" in tail or b"data:[DONE]" in tail or bool(_FINISHED.search(tail))

    @property
    def usage(self) -> TokenUsage | None:
        """What is known of it beside the stream, else what the stream told last."""
        return self._response.usage or self._meter.usage

    @property
    def service_tier(self) -> str | None:
        """Which tier served it, where the stream says so."""
        return self._meter.service_tier

    @property
    def text_bytes(self) -> int:
        """How long the answer was so far; 0 where the usage that was told covers it."""
        is_covered = self._is_told_on or (self._told is not None and self.is_complete)
        return 0 if is_covered else self._meter.text_bytes

    async def _send(self, chunk: bytes, reply: Reply) -> None:
        data = self._held + chunk if self._held else chunk
        end = len(data) if data.endswith(b"\n") else data.rfind(b"\n") + 1
        if not end and len(data) > _MAX_HELD_BYTES:
            end = len(data)
        self._held = data[end:]
        if end:
            await self._send_now(data[:end], reply)

    async def _send_now(self, data: bytes, reply: Reply) -> None:
        clean = self._keys.cut(data)
        self._tail.append(clean[-_TAIL_PART_BYTES:])
        shown = self._meter.read(clean)
        if (usage := self.usage) != self._told:
            self._is_told_on = self._told is not None
            self._told = usage
        if shown:
            await reply.send(shown)
