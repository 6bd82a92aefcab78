"""A reply written to the client's connection as HTTP/1.1."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from nexus_core.api.inference.arrival import Arrival
from nexus_core.api.inference.reply import ClientReply
from nexus_core.observe.record import HeaderLines

_JOINED_BYTES = 64 * 1024  # up to here a part of a body is copied behind what is held


class Connection(Protocol):
    """The client's connection, as far as a reply needs it."""

    @property
    def transport(self) -> asyncio.Transport:
        """What is written to."""
        ...

    @property
    def flow(self) -> FlowControl:
        """Whether the client reads."""
        ...

    @property
    def on_response_complete(self) -> Callable[[], None]:
        """To be called when the answer is whole."""
        ...


class WireReply(ClientReply):
    """Reply to a client, written when the answer is drained or finished.

    What is sent until then is one write: a short answer and its head, the end of a stream and the
    mark behind it.

    uvicorn knows a request by its "cycle": `keep_alive`, `disconnected` and `response_*` are names
    of that.
    """

    __slots__ = (
        "_common_lines",
        "_connection",
        "_held",
        "_is_chunked",
        "_transport",
        "disconnected",
        "keep_alive",
        "response_complete",
    )

    def __init__(
        self, arrival: Arrival, connection: Connection, common_lines: bytes, *, keep_alive: bool
    ) -> None:
        """
        Args:
            common_lines: the headers that every answer has.
        """
        super().__init__(arrival)
        self._connection = connection
        self._transport = connection.transport
        self._common_lines = common_lines
        self._held = b""  # of the head and the body, not written yet
        self._is_chunked = False
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    @property
    def response_started(self) -> bool:
        """Whether the client may have seen a part of the answer."""
        return self.has_begun

    def _begin(self, status: int, head: HeaderLines, *, is_endless: bool) -> None:
        self._is_chunked = is_endless
        self._held = b"".join(
            (
                STATUS_LINE[status],
                self._common_lines,
                head,
                b"\r\n" if self.keep_alive else b"\r\nconnection: close\r\n",
                b"transfer-encoding: chunked\r\n\r\n" if is_endless else b"\r\n",
            )
        )

    def send(self, data: bytes) -> None:
        """Take a part of the body; `drain` or `finish` writes it."""
        if not data:
            return  # an empty chunk would be the last one
        if self._is_chunked:
            if not self._first and b"data:" in data:
                self._first = data
            self._last = data
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if len(data) > _JOINED_BYTES:
            self._write()
        self._held = self._held + data if self._held else data

    def _can_write(self) -> bool:
        return not (self.disconnected or self._connection.flow.write_paused)

    def _write_now(self) -> None:
        self._write()

    async def drain(self) -> None:
        """Write what is held; returns when the client has read most of what was written."""
        if self._held:
            self._write()
        if self._connection.flow.write_paused and not self.disconnected:
            await self._connection.flow.drain()

    def finish(self) -> None:
        """End the answer, and the connection where it is not kept."""
        if self._is_chunked:
            self._held += b"0\r\n\r\n"
        self._write()
        self._first = self._last = b""  # an idle connection keeps its last reply
        self.response_complete = True
        if not self.keep_alive:
            self._transport.close()
        self._connection.on_response_complete()

    def _write(self) -> None:
        if self._held and not self.disconnected:
            held, self._held, self.has_begun = self._held, b"", True
            self._transport.write(held)
