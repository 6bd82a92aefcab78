"""A raw-socket HTTP upstream for tests: it answers, or misbehaves, exactly as scripted.

    async def handler(reader, writer, request):
        await send(writer, answer_bytes(b"{}"))

    async with RawServer(handler) as upstream:
        ...  # send requests to upstream.url
        assert upstream.requests[0].header("host") == upstream.authority

When the handler returns, the connection is kept for the next request, unless it closed the writer.
Leaving the context cuts every connection and raises what a handler raised (a failed assert, say);
a connection lost under a handler is no failure.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

Pairs = Iterable[tuple[str, str]]

MAX_REQUEST_HEAD_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RawRequest:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]  # in order, names as they were written
    body: bytes  # empty when the server was told not to read bodies
    head: bytes  # request line and headers, with the blank line
    connection: int  # 1 for the first connection that was accepted

    def header(self, name: str) -> str | None:
        """The first value under this name, in any case; None when it was not sent."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def names(self) -> set[str]:
        """The headers' names in lower case."""
        return {key.lower() for key, _ in self.headers}


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter, RawRequest], Awaitable[None]]


class RawServer:
    """Listens on a free loopback port while its context is open."""

    def __init__(self, handler: Handler, *, read_bodies: bool = True) -> None:
        self.handler = handler  # may be replaced while the server runs
        self.requests: list[RawRequest] = []
        self.connections = 0  # accepted so far
        self.port = 0
        self._read_bodies = read_bodies
        self._failures: list[Exception] = []
        self._arrived = asyncio.Condition()
        self._open: dict[asyncio.StreamWriter, asyncio.Task[object]] = {}
        self._server: asyncio.Server | None = None

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.authority}"

    def url_by_name(self) -> str:
        """The same by host name, for what treats names and addresses differently (cookies)."""
        return f"http://localhost:{self.port}"

    async def wait_for_requests(self, count: int, timeout_seconds: float = 5.0) -> None:
        """Return once so many requests have been read."""
        async with asyncio.timeout(timeout_seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", 0, limit=MAX_REQUEST_HEAD_BYTES
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        still_open = dict(self._open)
        for writer, task in still_open.items():
            writer.transport.abort()
            task.cancel()
        await asyncio.gather(*still_open.values(), return_exceptions=True)
        await self._server.wait_closed()
        if self._failures and error is None:
            raise self._failures[0]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._open[writer] = task
        try:
            await self._answer_requests(reader, writer, self.connections)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client hung up: what it makes of that is the test's business
        except asyncio.CancelledError:
            # By __aexit__, which owns the task. Passed on, asyncio would log it as a failure.
            pass
        except Exception as failure:  # noqa: BLE001  shown when the context is left
            self._failures.append(failure)
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()
            del self._open[writer]

    async def _answer_requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int
    ) -> None:
        while not writer.is_closing():
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return
            request = await self._read_request(reader, head, connection)
            async with self._arrived:
                self.requests.append(request)
                self._arrived.notify_all()
            await self.handler(reader, writer, request)

    async def _read_request(
        self, reader: asyncio.StreamReader, head: bytes, connection: int
    ) -> RawRequest:
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _ = first.split(" ", 2)
        headers = tuple(
            (name, value.strip()) for name, _, value in (line.partition(":") for line in lines)
        )
        request = RawRequest(method, target, headers, b"", head, connection)
        if not self._read_bodies:
            return request
        body = await _read_body(reader, request)
        return RawRequest(method, target, headers, body, head, connection)


async def _read_body(reader: asyncio.StreamReader, request: RawRequest) -> bytes:
    if "chunked" in (request.header("transfer-encoding") or "").lower():
        body = bytearray()
        while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readuntil(b"\r\n")
        return bytes(body)
    return await reader.readexactly(int(request.header("content-length") or 0))


# What a handler sends. The functions ending in _bytes only build.


def head_bytes(status: int = 200, headers: Pairs = ()) -> bytes:
    """A status line and exactly these headers."""
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def answer_bytes(body: bytes = b"", *, status: int = 200, headers: Pairs = ()) -> bytes:
    """A whole answer with its Content-Length."""
    return head_bytes(status, [*headers, ("Content-Length", str(len(body)))]) + body


def chunk_bytes(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


LAST_CHUNK = b"0\r\n\r\n"
CHUNKED = ("Transfer-Encoding", "chunked")
EVENT_STREAM = ("Content-Type", "text/event-stream")


async def send(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write and wait until the system has taken it."""
    writer.write(data)
    await writer.drain()


async def send_answer(
    writer: asyncio.StreamWriter, body: bytes = b"", *, status: int = 200, headers: Pairs = ()
) -> None:
    """Send a whole answer."""
    await send(writer, answer_bytes(body, status=status, headers=headers))


async def send_sse(
    writer: asyncio.StreamWriter, events: Iterable[str], *, finish: bool = True
) -> None:
    """Send a chunked event stream, one chunk for the `data:` of each event.

    With finish=False the stream stays open, to go on with `chunk_bytes` or to be broken off.
    """
    await send(writer, head_bytes(200, [EVENT_STREAM, CHUNKED]))
    for event in events:
        await send(writer, chunk_bytes(f"data: {event}\n\n".encode()))
    if finish:
        await send(writer, LAST_CHUNK)


async def send_half(writer: asyncio.StreamWriter, body: bytes, *, headers: Pairs = ()) -> None:
    """Promise the whole body, send the first half, hang up."""
    whole = answer_bytes(body, headers=headers)
    await send(writer, whole[: len(whole) - len(body) + len(body) // 2])
    writer.close()


async def hang(reader: asyncio.StreamReader) -> None:
    """Send nothing more; return when the client hangs up."""
    with suppress(ConnectionError):
        while await reader.read(64 * 1024):
            pass


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off with a TCP reset."""
    writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
    )
    writer.transport.abort()
