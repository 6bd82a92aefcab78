"""HTTP/1 details: declined upgrades, HTTP/1.0, absolute targets, invalid requests."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nexus_core.dialects.inbound import DEFAULT
from nexus_core.errors import InvalidRequestError

if TYPE_CHECKING:
    from uvicorn._types import ASGI3Application
    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

_ABSOLUTE = re.compile(rb"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)")  # RFC 9112 section 3.2.2


class Http1Protocol(HttpToolsProtocol):
    """HTTP/1 protocol of uvicorn, completed."""

    _running: RequestResponseCycle | None = None  # the last one that ASGI was given

    def feed(self, data: bytes) -> None:
        """Have the parser take in bytes.

        A request that offers another protocol (Java's HttpClient offers h2c with every first
        request) is served as the HTTP/1.1 that it is: RFC 9110 section 7.8. The parser stops at
        its head and would take the body for the other protocol, so a new one reads the head again
        without the offer, and goes on with what came after it
        (https://github.com/Kludex/uvicorn/issues/2722).
        """
        rest: bytes | memoryview = data
        try:
            while True:
                try:
                    self.parser.feed_data(rest)
                except httptools.HttpParserUpgrade as offer:
                    rest = memoryview(rest)[offer.args[0] :]
                    head = self._head_without_offer()
                    self.parser = httptools.HttpRequestParser(self)
                    self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                    self.parser.feed_data(head)
                else:
                    return
        except httptools.HttpParserError:
            self.send_400_response("invalid HTTP request")

    def is_served(self) -> bool:
        """Whether the head that is in is to be served; else it is read again.

        Raises:
            HttpParserInvalidMethodError: its method is CONNECT.
        """
        if self.parser.get_method() == b"CONNECT":
            raise httptools.HttpParserInvalidMethodError("CONNECT is not supported")
        if self.parser.should_upgrade():
            return False
        if not self.url.startswith(b"/"):
            self._take_host_of_target()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: tell the request that is served; uvicorn tells the last to come."""
        running = self._running
        if running is not None and not running.response_complete:
            running.disconnected = True
            running.message_event.set()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what can't be parsed, in the envelope of every other error, and hang up."""
        body = DEFAULT.error(InvalidRequestError(msg))
        head = b"".join([b"%b: %b\r\n" % pair for pair in self.server_state.default_headers])
        head += b"content-type: application/json\r\ncontent-length: %d\r\n" % len(body)
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\n" + head + b"connection: close\r\n\r\n" + body
        )
        self.transport.close()

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        lines += [b"%b: %b" % pair for pair in self.headers if pair[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])

    def _take_host_of_target(self) -> None:
        """An absolute target's host counts, not the Host header; two of them stay a fault."""
        found = _ABSOLUTE.match(self.url)
        if found is None or sum(name == b"host" for name, _ in self.headers) > 1:
            return
        self.headers[:] = [pair for pair in self.headers if pair[0] != b"host"]
        self.headers.append((b"host", found[1]))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        if cycle.scope["http_version"] < "1.1":
            cycle.waiting_for_100_continue = False  # RFC 9110 section 10.1.1: 1.0 knows it not
            super()._start_asgi_task(cycle, _CloseDelimited(cycle, app))
        else:
            super()._start_asgi_task(cycle, app)


class _CloseDelimited:
    """An app whose streams end with the connection: before HTTP/1.1 there were no chunks."""

    def __init__(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._cycle = cycle
        self._app = app
        self._is_endless = False

    async def __call__(self, scope: Any, receive: Any, _: Any) -> None:
        await self._app(scope, receive, self._send)

    async def _send(self, message: Any) -> None:
        cycle = self._cycle
        if message["type"] == "http.response.start":
            names = [name for name, _ in message["headers"]]
            self._is_endless = b"content-length" not in names
            if self._is_endless:  # uvicorn chunks what it can't tell the length of
                cycle.chunked_encoding = False
                cycle.expected_content_length = sys.maxsize
        elif self._is_endless and not message.get("more_body", False):
            cycle.expected_content_length = len(message.get("body", b""))
        await cycle.send(message)
