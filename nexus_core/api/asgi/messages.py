"""ASGI types and shared steps of the ASGI protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

Message: TypeAlias = MutableMapping[str, Any]
Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]
RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

RECEIPT_TIMEOUT_SECONDS = 30  # a whole request, from its first byte on
RECEIVE_BY = "nexus.receive_by"  # a scope's: when that is over, if the head took some of it
KEY = "nexus.key"  # a scope's: the created key (HeldKey); None of others
CALLER = "nexus.caller"  # a scope's: the name of the key; None where none is needed
LINGER_SECONDS = 2  # for reading on after an early answer


class ClientLeftError(Exception):
    """The client closed its connection."""


def header(scope: Scope, name: bytes) -> str | None:
    """The first header with this name (lower case)."""
    return next((v.decode("latin-1") for n, v in scope["headers"] if n == name), None)


def header_values(scope: Scope, name: bytes) -> list[str]:
    """All headers with this name (lower case), in order."""
    return [v.decode("latin-1") for n, v in scope["headers"] if n == name]


class Incoming:
    """ASGI receive that knows whether the request body is complete."""

    def __init__(self, receive: Receive) -> None:
        self.receive = receive  # as it is
        self.is_whole = False

    async def __call__(self) -> Message:
        """The next message."""
        message = await self.receive()
        if message["type"] == "http.request" and not message.get("more_body", False):
            self.is_whole = True
        return message


class Outgoing:
    """ASGI send that knows whether an answer has begun."""

    def __init__(self, send: Send) -> None:
        self.send = send  # as it is
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        """Send a message."""
        if message["type"] == "http.response.start":
            self.has_begun = True
        await self.send(message)


async def send_whole(send: Send, status: int, headers: RawHeaders, body: bytes) -> None:
    """Send a complete answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def send_early(
    incoming: Incoming, send: Send, status: int, headers: RawHeaders, body: bytes
) -> None:
    """Send an answer while the client may still be sending, so that it can read the answer.

    Closing a connection with unread bytes resets it, and the reset may overtake the answer: what
    still comes is read and thrown away for a moment.
    """
    if incoming.is_whole:
        await send_whole(send, status, headers, body)
        return
    framing = [(b"content-length", str(len(body)).encode()), (b"connection", b"close")]
    start = {"type": "http.response.start", "status": status, "headers": [*headers, *framing]}
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": True})
    try:
        async with asyncio.timeout(LINGER_SECONDS):
            while not incoming.is_whole:
                if (await incoming())["type"] == "http.disconnect":
                    return
    except TimeoutError:
        pass  # it goes on sending: enough courtesy
    await send({"type": "http.response.body", "body": b""})
