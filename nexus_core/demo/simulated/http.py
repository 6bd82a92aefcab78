"""A small HTTP/1.1 server on loopback, which can also break off and stall as servers do."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import httptools

from nexus_core.types import JsonObject

log = logging.getLogger(__name__)

_SHUTDOWN_SECONDS = 0.1  # that answers under way have when the server stops
_MAX_BODY_BYTES = 64 * 1024 * 1024
_REASONS = {200: "OK", 404: "Not Found", 413: "Content Too Large", 500: "Internal Server Error"}


class Headers(Mapping[str, str]):
    """Headers of a request, whose names are found in any case."""

    def __init__(self, pairs: tuple[tuple[str, str], ...]) -> None:
        self._values = {name.lower(): value for name, value in reversed(pairs)}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpRequest:
    """A request, and the way back for its answer."""

    method: str
    target: str  # as it came
    path: str  # without the query, still escaped
    query: Mapping[str, str]
    pairs: tuple[tuple[str, str], ...]  # the headers as they came
    headers: Headers
    body: bytes
    reply: Reply


Handler = Callable[[HttpRequest], Awaitable[None]]


class Reply:
    """The way back to one client."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.has_begun = False

    def json(self, body: JsonObject, status: int = 200, headers: Mapping[str, str] = {}) -> None:
        """Send a whole answer."""
        data = json.dumps(body).encode()
        kind = {"Content-Type": "application/json; charset=utf-8"}
        length = {"Content-Length": str(len(data))}
        self._transport.write(self._head(status, kind | dict(headers) | length) + data)

    def begin_stream(self) -> None:
        """Send the head of a stream of events."""
        kind = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        self._transport.write(self._head(200, kind | {"Transfer-Encoding": "chunked"}))

    def write(self, event: bytes) -> None:
        """Send an event, if it is one: an empty chunk would end the stream."""
        if event:
            self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))

    def end_stream(self) -> None:
        """End a stream as it should end."""
        self._transport.write(b"0\r\n\r\n")

    def break_off(self) -> None:
        """Break the connection."""
        self._transport.abort()

    def _head(self, status: int, headers: Mapping[str, str]) -> bytes:
        self.has_begun = True
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Simulated')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join((*lines, "", "")).encode()


class HttpServer:
    """Serves while the context lasts. A client that leaves cancels its handler."""

    def __init__(self, handler: Handler) -> None:
        self.url = ""  # http://127.0.0.1:PORT once it serves
        self.handler = handler
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        """Listen on loopback."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Let answers under way end for a moment, then end them and every connection."""
        if self._server is not None:
            self._server.close()
        tasks = [each.task for each in self.connections if each.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=_SHUTDOWN_SECONDS)
        for connection in list(self.connections):
            connection.end()
        if tasks:
            await asyncio.wait(tasks)


class _Connection(asyncio.Protocol):
    """A client's connection: one request after the other. Its methods `on_…` are httptools'."""

    def __init__(self, server: HttpServer) -> None:
        self.task: asyncio.Future[None] | None = None  # answers the request that is under way
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._pairs: list[tuple[str, str]] = []
        self._body = bytearray()

    def end(self) -> None:
        """End it, and the answer that is under way."""
        if self._transport is not None:
            self._transport.abort()
        if self.task is not None:
            self.task.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self.task is not None:
            self.task.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.end()
            return
        if len(self._body) > _MAX_BODY_BYTES and self._transport is not None:
            Reply(self._transport).json({"error": "the body is too large"}, 413)
            self._transport.close()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._pairs.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        if self._transport is None or self.task is not None:  # nobody sends the next one before
            self.end()
            return
        target, pairs = self._target.decode("latin-1"), tuple(self._pairs)
        parts = urlsplit(target)
        request = HttpRequest(
            method=self._parser.get_method().decode("latin-1"),
            target=target,
            path=parts.path,
            query=dict(parse_qsl(parts.query)),
            pairs=pairs,
            headers=Headers(pairs),
            body=bytes(self._body),
            reply=Reply(self._transport),
        )
        self._target = b""
        self._pairs.clear()
        self._body.clear()
        is_kept = self._parser.should_keep_alive()
        self.task = asyncio.ensure_future(self._answer(request, is_kept=is_kept))

    async def _answer(self, request: HttpRequest, *, is_kept: bool) -> None:
        try:
            await self._server.handler(request)
        except Exception:
            log.exception("the simulated server failed")
            if not request.reply.has_begun:
                request.reply.json({"error": "internal error"}, 500)
        self.task = None
        if not is_kept and self._transport is not None:
            self._transport.close()
