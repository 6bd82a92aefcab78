"""The aiohttp upstream engine: the default, optimised for throughput."""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Awaitable
from functools import partial
from typing import TYPE_CHECKING, cast
from weakref import WeakKeyDictionary

import aiohttp
from aiohttp import hdrs
from yarl import URL

from nexus_core import descriptors
from nexus_core.upstream import transport_errors as wording
from nexus_core.upstream.base import (
    MAX_HEAD_BYTES,
    Headers,
    MaySend,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
    UpstreamRequest,
    always,
)

if TYPE_CHECKING:
    import asyncio

    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

    from nexus_core.config.outbound_proxy import OutboundProxy

READ_AHEAD_BYTES = 64 * 1024  # aiohttp stops reading at twice this

# aiohttp warns of larger `bytes` and asks for a BytesIO, which it writes piece by piece.
_WRITE_AT_ONCE_BYTES = 1024 * 1024

# Added by aiohttp unless named here. Host and Content-Length stay.
_NOT_ADDED = (hdrs.USER_AGENT, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING, hdrs.CONTENT_TYPE)


class _Watch:
    """Ends the body that is under way when its connection is lost.

    aiohttp does so itself, except after a malformed chunk: there its reader would wait for ever.
    """

    __slots__ = ("content",)

    def __init__(self) -> None:
        self.content: aiohttp.StreamReader | None = None

    def __call__(self, closed: asyncio.Future[None]) -> None:
        if not closed.cancelled():
            closed.exception()  # seen, so that asyncio does not complain that nobody looked
        self.end()

    def end(self) -> None:
        # Let go of the body as well: it holds the connection that the connector's map keeps weakly.
        content, self.content = self.content, None
        if content is not None and not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("malformed"))


class _NoTunnelError(aiohttp.ClientError):
    """The proxy gave no answer to CONNECT, or one that is no HTTP."""


class _Request(aiohttp.ClientRequest):
    """A request that knows whether it may still be written."""

    may_send: MaySend = staticmethod(always)


def _with_switch(
    may_send: MaySend, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> Awaitable[aiohttp.ClientResponse]:
    """aiohttp's way to hand something to one request: a middleware around its sending."""
    cast("_Request", request).may_send = may_send
    return handler(request)


class _Connector(aiohttp.TCPConnector):
    """A pool that gives out no spoilt connection and leaves none behind."""

    def __init__(self) -> None:
        super().__init__(  # pyright: ignore[reportUnknownMemberType]  a bare `tuple` in its types
            limit=0,
            keepalive_timeout=wording.KEEP_ALIVE_SECONDS,
            resolver=aiohttp.ThreadedResolver(),
        )
        self._watches: WeakKeyDictionary[ResponseHandler, _Watch] = WeakKeyDictionary()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  aiohttp's own signature
    ) -> Connection:
        """A connection on which the next bytes to come are this request's answer.

        aiohttp reuses one on which surplus bytes lie, parsed or not, and would take them for the
        answer; and one that the backend has closed while the loop was busy. A POST that fails on
        it cannot be sent again, since nobody knows whether the first was read. So look first.
        """
        while True:
            if req.proxy is None:
                connection = await super().connect(req, traces, timeout)
            else:
                connection = await self._connect_by_proxy(req, traces, timeout)
            if not cast("_Request", req).may_send():
                connection.close()
                raise wording.not_sent()
            protocol = connection.protocol
            if protocol is None or protocol not in self._watches:
                return self._watched(connection)
            if not protocol.should_close and not _has_unread_bytes(connection):
                return connection
            connection.close()

    async def _connect_by_proxy(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  as above
    ) -> Connection:
        """A connection through the request's proxy, whose failures are no backend's answer."""
        try:
            return await super().connect(req, traces, timeout)
        except (aiohttp.ClientConnectorError, aiohttp.ClientHttpProxyError):
            raise
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientResponseError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            raise _NoTunnelError from error

    def _watched(self, connection: Connection) -> Connection:
        protocol = connection.protocol
        if protocol is not None and protocol.closed is not None:
            self._watches[protocol] = watch = _Watch()
            protocol.closed.add_done_callback(watch)
        return connection

    def watch(self, answer: _Answer) -> None:
        """Follow the body of an answer whose head has just come."""
        protocol = answer.wire
        if protocol is None or (watch := self._watches.get(protocol)) is None:
            return
        watch.content = answer.content
        if protocol.transport is None:  # lost already: nobody calls the watch again
            watch.end()

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close every connection now, without waiting for what a backend does not read."""
        for protocol in list(self._watches):
            if protocol.transport is not None:
                protocol.transport.abort()
        await super().close(abort_ssl=abort_ssl)


class _Answer(aiohttp.ClientResponse):
    """An answer that keeps sight of its connection and cuts it when nobody waits any more."""

    wire: ResponseHandler | None = None

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        self.wire = connection.protocol
        try:
            return await super().start(connection)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        # close() would first wait until the backend has read what is left of the request.
        connection = self.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        self.close()

    def check_complete(self) -> None:
        """Raise when a body that lasts until the connection's end was cut by a reset.

        aiohttp ends such a body quietly, however the connection was lost.
        """
        if hdrs.CONTENT_LENGTH in self.headers or hdrs.TRANSFER_ENCODING in self.headers:
            return
        lost = self.wire.exception() if self.wire is not None else None
        if lost is not None and not isinstance(lost, aiohttp.ServerDisconnectedError):
            raise UpstreamProtocolError(wording.ENDED_EARLY) from lost


class AiohttpEngine:
    """The UpstreamEngine on aiohttp, over HTTP/1.1.

    One session for its life, made by the first `send` inside the running loop.
    aiohttp itself sends a GET once more when a reused connection breaks, and never a POST.
    """

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._closed = False

    async def send(
        self, request: UpstreamRequest, *, connect_timeout_seconds: float
    ) -> AiohttpResponse:
        if self._closed:
            raise UpstreamConnectError(wording.CLOSED_ENGINE)
        proxy = request.proxy
        if proxy is not None and proxy.is_socks:
            raise UpstreamConnectError("aiohttp does not support SOCKS")
        # The backend sees none of it: a tunnel is asked for before, and a proxy that passes a
        # request on takes it out.
        credentials = () if proxy is None else _credentials(proxy)
        is_tunnel = request.url.startswith("https:")
        to_proxy, to_tunnel = ((), credentials) if is_tunnel else (credentials, ())
        session = self._session or self._open()
        connector = cast("_Connector", session.connector)
        body = request.body
        try:
            answer = await session.request(
                request.method,
                URL(request.url, encoded=True),
                headers=[*wording.without_framing(request.headers), *to_proxy],
                data=(body if len(body) <= _WRITE_AT_ONCE_BYTES else io.BytesIO(body)) or None,
                allow_redirects=False,
                # `connect` bounds the name look-up, every address tried and TLS together.
                timeout=aiohttp.ClientTimeout(connect=connect_timeout_seconds),
                proxy=None if proxy is None else URL(proxy.url),
                proxy_headers=dict(to_tunnel) or None,
                middlewares=()
                if request.may_send is always
                else (partial(_with_switch, request.may_send),),
            )
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error, connect_timeout_seconds, proxy) from error
        answer = cast("_Answer", answer)
        connector.watch(answer)
        response = AiohttpResponse(answer, session)
        if proxy is not None and wording.is_of_proxy(request.url, response):
            await response.close()
            raise wording.refused_by_proxy(proxy, response.status)
        return response

    async def close(self) -> None:
        self._closed = True
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        self._session = aiohttp.ClientSession(
            connector=_Connector(),
            request_class=_Request,
            response_class=_Answer,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_NOT_ADDED,
            auto_decompress=False,
            trust_env=False,
            read_bufsize=READ_AHEAD_BYTES,
            max_line_size=MAX_HEAD_BYTES,
            max_field_size=MAX_HEAD_BYTES,
            timeout=aiohttp.ClientTimeout(),
        )
        return self._session


class AiohttpResponse:
    """An answer of AiohttpEngine."""

    __slots__ = ("_answer", "_session", "headers", "status")

    def __init__(self, answer: _Answer, session: aiohttp.ClientSession) -> None:
        self._answer = answer
        self._session = session
        self.status = answer.status
        headers: list[tuple[str, str]] = []
        size = 0
        for name, value in answer.raw_headers:
            headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))
            size += len(name) + len(value) + 4
        self.headers: Headers = tuple(headers)
        # aiohttp limits each line, not their sum; 128 of them at most.
        if size > MAX_HEAD_BYTES:
            answer.abort()
            raise UpstreamProtocolError(wording.HEAD_TOO_LONG)
        if self.status == 101:
            answer.abort()
            raise UpstreamProtocolError(wording.SWITCHED)

    async def read(self) -> bytes:
        try:
            if piece := await self._answer.content.readany():
                return piece
        except (aiohttp.ClientError, aiohttp.http.HttpProcessingError, OSError) as error:
            raise UpstreamProtocolError(wording.ENDED_EARLY) from error
        if self._session.closed:
            raise UpstreamProtocolError(wording.CLOSED_ENGINE)
        self._answer.check_complete()
        return b""

    async def close(self) -> None:
        self._answer.abort()


def _credentials(proxy: OutboundProxy) -> Headers:
    if proxy.user is None:
        return ()
    pair = f"{proxy.user}:{proxy.password or ''}".encode()
    return (("proxy-authorization", f"Basic {b64encode(pair).decode('ascii')}"),)


def _translated(
    error: Exception, connect_timeout_seconds: float, proxy: OutboundProxy | None
) -> UpstreamError:
    """aiohttp's error before the answer's head, as ours. Its own words may hold the URL."""
    if descriptors.is_shortage(error):
        return wording.out_of_descriptors()
    if proxy is not None and isinstance(error, aiohttp.ClientHttpProxyError):
        return wording.refused_by_proxy(proxy, error.status)
    if proxy is not None and isinstance(error, _NoTunnelError):
        return UpstreamConnectError(f"the proxy {proxy} does not answer as an HTTP proxy")
    ours = _in_our_words(error, connect_timeout_seconds)
    if proxy is not None and isinstance(ours, UpstreamConnectError):
        return wording.through(proxy, ours)
    return ours


def _in_our_words(error: Exception, connect_timeout_seconds: float) -> UpstreamError:
    match error:
        case aiohttp.ConnectionTimeoutError():
            return wording.connect_timed_out(connect_timeout_seconds)
        case aiohttp.ClientConnectorError() | aiohttp.ClientConnectorCertificateError():
            return wording.connect_failed(error, connect_timeout_seconds)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return UpstreamConnectError("invalid address")
        case aiohttp.ClientResponseError():
            if "Got more than" in error.message or "Too many headers" in error.message:
                return UpstreamProtocolError(wording.HEAD_TOO_LONG)
            return wording.not_http(error.message.removeprefix("Bad status line:"))
        case _:
            return UpstreamProtocolError(wording.NO_ANSWER)


def _has_unread_bytes(connection: Connection) -> bool:
    transport = connection.transport
    if transport is None:
        return True
    unwrapped = transport.get_extra_info("socket")
    return unwrapped is None or wording.is_readable(unwrapped.fileno())
