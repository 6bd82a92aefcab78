"""Backends without sockets: what they say is put into the connection by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from nexus_core.upstream.base import UpstreamRequest
from nexus_core.upstream.http1 import Http1Engine
from nexus_core.upstream.http1.answer import Answer
from nexus_core.upstream.http1.connection import Connection
from nexus_core.upstream.http1.request_head import Origin
from tests.waiting import turns

URL = "http://backend.test/v1/chat/completions"


class FakeTransport(asyncio.Transport):
    """Keeps what is written, and loses the connection as a socket does: a turn later."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__()
        self.protocol = protocol
        self.written: list[bytes] = []
        self.reads = True
        self.buffered = 0  # bytes of what was written that the socket has not taken
        self._is_closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def pause_reading(self) -> None:
        self.reads = False

    def resume_reading(self) -> None:
        self.reads = True

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        self.lose(None)

    def lose(self, error: Exception | None) -> None:
        if not self._is_closing:
            self._is_closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, error)

    def end(self) -> None:
        """The backend hangs up properly."""
        self.protocol.eof_received()
        self.lose(None)


class Backend:
    """Takes connections; `says` is put into each as soon as a request was written."""

    def __init__(self) -> None:
        self.engine = Http1Engine(self.connect)
        self.transports: list[FakeTransport] = []

    async def connect(self, _origin: Origin, make: Callable[[], asyncio.Protocol]) -> None:
        transport = FakeTransport(make())
        self.transports.append(transport)
        transport.protocol.connection_made(transport)

    @property
    def last(self) -> FakeTransport:
        return self.transports[-1]

    @property
    def connection(self) -> Connection:
        return cast("Connection", self.last.protocol)

    def ask(self, body: bytes = b"{}", url: str = URL) -> asyncio.Future[Answer]:
        """Send a request; the answer begins when something is said."""
        request = UpstreamRequest("POST", url, (), body)
        return asyncio.ensure_future(self.engine.send(request, connect_timeout_seconds=5))

    async def say(self, *pieces: bytes) -> None:
        """Let these bytes come in, each as one read of the socket."""
        await turns()
        for piece in pieces:
            if not self.last.is_closing():
                self.last.protocol.data_received(piece)


async def whole(answer: Answer) -> bytes:
    """The whole body."""
    parts: list[bytes] = []
    while piece := await answer.read():
        parts.append(piece)
    return b"".join(parts)
