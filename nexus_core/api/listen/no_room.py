"""The answer on connections over the limit: a 503, except for /health and the control API."""

from __future__ import annotations

import socket
from contextlib import suppress

from nexus_core.api.asgi.messages import (
    Application,
    Incoming,
    Message,
    Receive,
    Scope,
    Send,
    send_early,
)
from nexus_core.api.errors import error_headers
from nexus_core.dialects.inbound import DEFAULT
from nexus_core.errors import OutOfDescriptorsError

_NO_ROOM = OutOfDescriptorsError(
    "the connection limit of Nexus is reached and no connection is idle; try again in a moment"
)
_NO_ROOM_BODY = DEFAULT.error(_NO_ROOM)
_CLOSE = (b"connection", b"close")
_NO_ROOM_STATUS = b"HTTP/1.1 503 Service Unavailable\r\n"
_NO_ROOM_REST = b"".join(
    (
        *(name + b": " + value + b"\r\n" for name, value in (*error_headers(_NO_ROOM), _CLOSE)),
        b"content-length: %d\r\n\r\n" % len(_NO_ROOM_BODY),
        _NO_ROOM_BODY,
    )
)


class NoRoom:
    """ASGI application over the connection limit: /health, /nexus/*, a 503 for the rest."""

    def __init__(self, app: Application) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path == "/health" or path.startswith("/nexus/"):
            await self._app(scope, receive, _closing(send))
        else:
            headers = [*error_headers(_NO_ROOM)]
            await send_early(
                Incoming(receive), _closing(send), _NO_ROOM.status, headers, _NO_ROOM_BODY
            )


def _closing(send: Send) -> Send:
    """The connection ends with the answer."""

    async def closing(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [pair for pair in message["headers"] if pair[0] != _CLOSE[0]]
            message = {**message, "headers": [*headers, _CLOSE]}
        await send(message)

    return closing


def turn_away(connection: socket.socket, common_lines: bytes) -> None:
    """Send the 503 at once and close; received bytes are read first to avoid a reset.

    Args:
        common_lines: the headers that every answer has.
    """
    with suppress(OSError):
        connection.recv(64 * 1024)
    with suppress(OSError):
        connection.send(_NO_ROOM_STATUS + common_lines + _NO_ROOM_REST)
        connection.shutdown(socket.SHUT_WR)
    connection.close()
