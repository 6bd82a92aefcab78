"""An answer: the head that came, and the body that is still to be read."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from nexus_core.upstream import transport_errors as wording
from nexus_core.upstream.base import Headers, UpstreamError, UpstreamProtocolError

if TYPE_CHECKING:
    from nexus_core.upstream.http1.connection import Connection

READ_AHEAD_BYTES = 64 * 1024  # held unread before the backend is slowed down
_END_WITHIN_SECONDS = 1.0  # of a body that nobody reads any more


class Answer:
    """The UpstreamResponse of one request; its connection writes into it."""

    __slots__ = (
        "_connection",
        "_end_due",
        "_failure",
        "_held",
        "_is_over",
        "_is_paused",
        "_loop",
        "_waiter",
        "headers",
        "status",
    )
    stream: None = None
    usage: None = None

    def __init__(self, connection: Connection) -> None:
        self.status = 0  # until its head came
        self.headers: Headers = ()
        self._loop = connection.loop
        self._connection: Connection | None = connection  # None: it needs it no more
        self._held = b""  # of the body, unread
        self._is_over = False  # the whole body came
        self._is_paused = False  # the backend is held up, because nobody reads
        self._failure: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None  # of whoever waits for the next bytes
        self._end_due: asyncio.TimerHandle | None = None  # while only the end is waited for

    def more(self) -> asyncio.Future[None]:
        """What is done when something came, or nothing more will.

        Raises:
            UpstreamProtocolError: nothing will: it ended early, or is no HTTP.
            UpstreamNotSentError: nothing will: the rest of the request was held back.
        """
        if self._failure is not None:
            # Another one each time: the traceback of one that was raised would grow.
            raise type(self._failure)(str(self._failure)) from self._failure
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def at_hand(self) -> bytes | None:
        """What is left of the body, if all of it is here; None: it is to be read."""
        if not self._is_over:
            return None
        held, self._held = self._held, b""
        return held

    async def read(self) -> bytes:
        """The next bytes of the body; empty at its end.

        Raises:
            UpstreamProtocolError: it ended early.
        """
        while not self._held:
            if self._is_over:
                return b""
            await self.more()
        held = self._held
        self._held = b""
        if self._is_paused:
            self._is_paused = False
            if self._connection is not None:
                self._connection.resume_reading()
        return held

    async def close(self, *, is_read: bool = False) -> None:
        """End the exchange; an unread answer's connection is not used again.

        Args:
            is_read: nothing but the body's end is to come: the connection is kept if it does soon.
                Servers often write the last chunk of a stream behind its last event.
        """
        connection = self._connection
        if connection is None or self._end_due is not None:
            return
        if is_read and not self._held:
            self._end_due = self._loop.call_later(_END_WITHIN_SECONDS, connection.abort)
            return
        connection.abort()
        self.fail(UpstreamProtocolError(wording.ENDED_EARLY))

    def begin(self, status: int, headers: Headers) -> None:
        """The head came."""
        self.status, self.headers = status, headers
        if self._waiter is not None:
            self._wake()

    def feed(self, data: bytes) -> None:
        """More of the body came."""
        if self._end_due is not None and self._connection is not None:
            self._connection.abort()
            return
        self._held = self._held + data if self._held else data
        if len(self._held) > READ_AHEAD_BYTES and self._connection is not None:
            self._is_paused = True
            self._connection.pause_reading()
        if self._waiter is not None:
            self._wake()

    def end(self) -> None:
        """All of the body came."""
        if self._end_due is not None:
            self._end_due.cancel()
        self._is_over, self._connection = True, None
        if self._waiter is not None:
            self._wake()

    def fail(self, failure: UpstreamError) -> None:
        """Nothing more will come."""
        if self._end_due is not None:
            self._end_due.cancel()
        if not self._is_over and self._failure is None:
            self._failure, self._connection = failure, None
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():  # else it was cancelled
            waiter.set_result(None)
