"""Pass a stream on line by line, and know how it ended."""

from __future__ import annotations

import asyncio
import re

from nexus_core.agents import Response
from nexus_core.agents.base import KeyCutter
from nexus_core.events import TokenUsage
from nexus_core.proxy.meter import StreamMeter
from nexus_core.proxy.reply import Reply
from nexus_core.upstream.base import UpstreamError, UpstreamProtocolError

_MAX_HELD_BYTES = 64 * 1024  # of a line that has not ended; a longer one passes in parts
_AFTER_DONE_SECONDS = 1.0  # for the rest of the last event
_DONE = re.compile(rb"^data: ?\[DONE\]\s*$", re.MULTILINE)
_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"')


class StreamRelay:
    """Pass a server-sent stream on as it comes, and know how it ended.

    Only whole lines are passed on, so that a stream that breaks can be ended with an event of our
    own that the client is able to read.
    """

    def __init__(
        self,
        response: Response,
        keys: KeyCutter,
        *,
        hides_usage: bool = False,
        choices: int = 1,
    ) -> None:
        """
        Args:
            hides_usage: the client did not ask for the usage that the stream reports.
            choices: how many it has to finish, where it does not end with [DONE].
        """
        self._response = response
        self._meter = StreamMeter(hides_usage=hides_usage)
        self._chunks = response.chunks()
        self._keys = keys
        self._held = b""
        self._told: TokenUsage | None = None  # the usage as it was last told
        self._is_told_on = False  # it is told again as the answer grows
        self._choices = choices
        self._finished = 0  # choices that told their finish_reason
        self._is_done = False  # [DONE] came
        self._last = b""  # the last bytes that were passed on

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
        try:
            await self._pass_all(first, reply, idle_timeout_seconds)
        except (UpstreamError, TimeoutError):
            if not self._is_done:  # else all is here, whatever becomes of the connection
                raise
        if self._held:
            await self._send_now(self._held, reply)
            self._held = b""
        if not self.is_complete:
            raise UpstreamProtocolError("the stream ended without its end mark")

    async def _pass_all(self, first: bytes, reply: Reply, idle_timeout_seconds: float) -> None:
        """Until the end of the event that says [DONE], or of the stream."""
        await self._send(first, reply)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(idle_timeout_seconds) as idle:
            while not (self._is_done and self._last.endswith((b"\n\n", b"\n\r\n"))):
                chunk = await anext(self._chunks, None)
                if chunk is None:
                    return
                idle.reschedule(None)  # the client may read as slowly as it likes
                await self._send(chunk, reply)
                seconds = _AFTER_DONE_SECONDS if self._is_done else idle_timeout_seconds
                idle.reschedule(loop.time() + seconds)

    async def close(self) -> None:
        """Read no more."""
        await self._chunks.aclose()

    @property
    def is_complete(self) -> bool:
        """The stream said that it is over: `[DONE]`, or a finish_reason of every choice."""
        return self._is_done or self._finished >= self._choices

    def cut_text(self, text: str) -> str:
        """The same text without the backend's key."""
        return self._keys.cut_text(text)

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
        self._last = (self._last + clean[-3:])[-3:]
        self._finished += len(_FINISHED.findall(clean))
        self._is_done = self._is_done or (b"[DONE]" in clean and bool(_DONE.search(clean)))
        shown = self._meter.read(clean)
        if (usage := self.usage) != self._told:
            self._is_told_on = self._told is not None
            self._told = usage
        if shown:
            await reply.send(shown)
