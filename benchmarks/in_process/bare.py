"""The bare pair: two HTTP parsers and nothing between them.

What the harness takes off to tell a gateway's own logic: nobody who parses HTTP with httptools and
writes on a transport does it for less. One connection to the backend for each client's.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools

_BACKEND_HEAD = (
    b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n"
)
_JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
_SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class BareServer(asyncio.Protocol):
    """A client's connection; each request goes on as it came."""

    def __init__(self, backend: BareClient) -> None:
        self._backend = backend
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._backend.client = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Looked at by the parser alone."""

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        self._backend.ask(self._url, body)


class BareClient(asyncio.Protocol):
    """A backend's connection; what one read brings is written at once."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._is_chunked = False
        self._has_begun = self._is_over = False
        self.client: asyncio.Transport
        self.transport: asyncio.Transport

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, url: bytes, body: bytes) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._is_chunked = self._has_begun = self._is_over = False
        self.transport.write(_BACKEND_HEAD % (url, len(body)) + body)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)
        if not self._pieces and not self._is_over:
            return
        body = b"".join(self._pieces)
        self._pieces.clear()
        if not self._is_chunked:
            self.client.write(_JSON % len(body) + body)
            return
        out = b"%x\r\n%b\r\n" % (len(body), body)
        if self._is_over:
            out += b"0\r\n\r\n"
        if not self._has_begun:
            self._has_begun = True
            out = _SSE + out
        self.client.write(out)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"transfer-encoding":
            self._is_chunked = True

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._is_over = True
