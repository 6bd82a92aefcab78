"""A reply as ASGI messages, and the end of a request whose client leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from nexus_core.api.asgi.messages import ClientLeftError, Message, Outgoing, Receive
from nexus_core.api.inference.arrival import Arrival
from nexus_core.api.inference.reply import ClientReply
from nexus_core.observe.record import HeaderLines, header_pairs


class AsgiReply(ClientReply):
    """Reply to a client as ASGI messages, which wait for `drain`: sending them may take time."""

    __slots__ = ("_is_sending", "_messages", "_outgoing")

    def __init__(self, arrival: Arrival, outgoing: Outgoing) -> None:
        super().__init__(arrival)
        self._outgoing = outgoing
        self._messages: list[Message] = []
        self._is_sending = False

    def _begin(self, status: int, head: HeaderLines, *, is_endless: bool) -> None:
        headers = header_pairs(head)
        self._messages = [{"type": "http.response.start", "status": status, "headers": headers}]

    def send(self, data: bytes) -> None:
        """Pass on a part of the body."""
        if not self._first and b"data:" in data:
            self._first = data
        self._last = data
        self._messages.append({"type": "http.response.body", "body": data, "more_body": True})

    async def drain(self) -> None:
        """Send what waits; returns when the client has read most of it."""
        self._is_sending = True
        try:
            while self._messages:
                self.has_begun = True
                await self._outgoing(self._messages[0])
                del self._messages[0]
        finally:
            self._is_sending = False

    def _can_write(self) -> bool:
        return not self._is_sending

    def _write_now(self) -> None:
        """Send what waits as far as the client reads; the rest waits for `drain`."""
        sending = self.drain()
        try:
            sending.send(None)
        except StopIteration:
            pass
        else:
            sending.close()  # the server waits before it writes: nothing is written by halves

    def finish(self) -> None:
        """End the answer."""
        self.is_finished = True
        self._messages.append({"type": "http.response.body", "body": b""})


async def while_connected(receive: Receive, reply: AsgiReply, serving: Awaitable[None]) -> None:
    """Wait until a request is served; it is cancelled when its client leaves before."""
    try:
        async with asyncio.TaskGroup() as tasks:
            watcher = tasks.create_task(_watch(receive, reply), name="client-watch")
            await serving
            watcher.cancel()
    except* ClientLeftError:
        pass  # nobody is there to be answered


async def _watch(receive: Receive, reply: AsgiReply) -> None:
    """Raise when the client leaves, which cancels the exchange beside it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if not reply.is_finished:
        raise ClientLeftError
