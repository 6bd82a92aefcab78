"""The httpx upstream engine: HTTP/2, proxies and in-memory transports."""

from __future__ import annotations

import asyncio
import importlib.util
import ssl
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import httpcore
import httpx

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
)
from nexus_core.upstream.http_proxy import HttpProxy, credentials
from nexus_core.upstream.socks import SocksProxy

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from nexus_core.config.outbound_proxy import OutboundProxy

_HAS_HTTP2 = importlib.util.find_spec("h2") is not None


class HttpxEngine:
    """The UpstreamEngine on httpx; HTTP/2 over TLS where the `h2` package is installed.

    It calls the transport, not httpx's client: redirects, cookies, default headers, proxies
    from the environment and a log line with the whole URL are all the client's doing.

    The connect limit holds for TCP (with the name look-up) and for TLS, each on its own.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        # The system's certificates, as for the other engine; httpx would bring its own.
        self._tls = ssl.create_default_context()
        self._transport = transport or _Transport(self._tls)
        self._by_proxy: dict[tuple[OutboundProxy, bool], httpx.AsyncBaseTransport] = {}
        self._closed = False

    async def send(
        self, request: UpstreamRequest, *, connect_timeout_seconds: float
    ) -> HttpxResponse:
        if self._closed:
            raise UpstreamConnectError(wording.CLOSED_ENGINE)
        try:
            if request.proxy is None:
                answer = await self._transport.handle_async_request(
                    _outgoing(request, connect_timeout_seconds)
                )
            else:
                answer = await self._send_through(request.proxy, request, connect_timeout_seconds)
        except (httpx.TransportError, httpx.InvalidURL, OSError) as error:
            raise _translated(error, connect_timeout_seconds) from error
        except ImportError as error:  # of what httpx imports late
            if descriptors.is_shortage(error):
                raise wording.out_of_descriptors() from error
            raise
        response = HttpxResponse(answer)
        refusal: UpstreamError | None = response.refusal()
        proxy = request.proxy
        may_be_of_proxy = refusal is None and proxy is not None and not proxy.is_socks
        if proxy is not None and may_be_of_proxy and wording.is_of_proxy(request.url, response):
            refusal = wording.refused_by_proxy(proxy, response.status)
        if refusal is not None:
            await response.close()
            raise refusal
        return response

    async def _send_through(
        self, proxy: OutboundProxy, request: UpstreamRequest, connect_timeout_seconds: float
    ) -> httpx.Response:
        is_tls = request.url.startswith("https:")
        transport = self._by_proxy.get((proxy, is_tls))
        if transport is None:
            transport = _ProxiedTransport(proxy, self._tls, is_tls=is_tls)
            self._by_proxy[proxy, is_tls] = transport
        outgoing = _outgoing(request, connect_timeout_seconds)
        if not proxy.is_socks and not is_tls:  # the proxy reads the request, and passes it on
            outgoing.extensions["target"] = _absolute(outgoing)
            outgoing.headers.update(credentials(proxy))
        try:
            return await transport.handle_async_request(outgoing)
        except httpx.ProxyError as error:
            raise UpstreamConnectError(f"the proxy {proxy} {error}") from error
        except (httpx.TransportError, OSError) as error:
            ours = _translated(error, connect_timeout_seconds)
            if isinstance(ours, UpstreamConnectError):
                ours = wording.through(proxy, ours)
            raise ours from error

    def stop_unsent(self) -> None:
        """Nothing is stopped: httpx does not tell how far it has written."""

    async def close(self) -> None:
        self._closed = True
        for transport in (self._transport, *self._by_proxy.values()):
            await transport.aclose()


class _Transport(httpx.AsyncHTTPTransport):
    """The network, as all engines use it."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        super().__init__(
            verify=tls,
            trust_env=False,
            http2=_HAS_HTTP2,
            limits=httpx.Limits(
                max_connections=None,
                max_keepalive_connections=None,
                keepalive_expiry=wording.KEEP_ALIVE_SECONDS,
            ),
        )


class _ProxiedTransport(_Transport):
    """The same through a proxy, as another network; httpx has no public way to say so."""

    def __init__(self, proxy: OutboundProxy, tls: ssl.SSLContext, *, is_tls: bool) -> None:
        super().__init__(tls)
        network: httpcore.AsyncNetworkBackend
        if proxy.is_socks:
            network = SocksProxy(proxy, tls)
        else:
            network = HttpProxy(proxy, tls, makes_tunnels=is_tls)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=None,
            keepalive_expiry=wording.KEEP_ALIVE_SECONDS,
            http2=_HAS_HTTP2,
            network_backend=network,
        )


class HttpxResponse:
    """An answer of HttpxEngine."""

    __slots__ = (
        "_answer",
        "_closed",
        "_is_over",
        "_pieces",
        "_reading",
        "_stream",
        "headers",
        "status",
    )
    stream: None = None
    usage: None = None

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer
        self._closed = False
        self._is_over = False  # the body's end came
        # The stream itself: `aiter_raw` refuses an in-memory answer, which httpx has read already.
        self._stream = cast("httpx.AsyncByteStream", answer.stream)
        self._pieces: AsyncGenerator[bytes] | None = None  # made by the first read
        self._reading: asyncio.Future[bytes] | None = None  # that a cancelled read left behind
        self.status = answer.status_code
        self.headers: Headers = tuple(
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in answer.headers.raw
        )

    def refusal(self) -> UpstreamProtocolError | None:
        """Why this head is not accepted; h11 lets one through up to its own, larger limit."""
        if sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD_BYTES:
            return UpstreamProtocolError(wording.HEAD_TOO_LONG)
        if self.status == 101:
            return UpstreamProtocolError(wording.SWITCHED)
        return None

    def at_hand(self) -> bytes | None:
        return b"" if self._is_over else None

    async def read(self) -> bytes:
        if self._is_over:
            return b""
        if self._closed:
            raise UpstreamProtocolError(wording.ENDED_EARLY)
        if self._pieces is None:
            self._pieces = cast("AsyncGenerator[bytes]", aiter(self._stream))
        # Cancelled within httpx, a read would end the stream: so it is waited for from outside.
        reading = self._reading or asyncio.ensure_future(_next_piece(self._pieces))
        self._reading = reading
        await asyncio.wait((reading,))
        self._reading = None
        try:
            piece = reading.result()
        except (httpx.TransportError, OSError, asyncio.CancelledError) as error:
            await self.close()  # which is also what cancels it
            raise UpstreamProtocolError(wording.ENDED_EARLY) from error
        if not piece:
            self._is_over = True
            await self.close()
        return piece

    async def close(self, *, is_read: bool = False) -> None:
        if self._closed:
            return
        self._closed = True
        if (reading := self._reading) is not None:
            reading.cancel()
            await asyncio.wait((reading,))
            if not reading.cancelled():
                reading.exception()  # seen: nobody asks for it any more
        if self._pieces is not None:
            await self._pieces.aclose()
        if _has_surplus(self._answer):
            # A closed connection stays in httpcore's pool until its turn comes, and is not used.
            await self._answer.extensions["network_stream"].aclose()
        await self._stream.aclose()


async def _next_piece(pieces: AsyncGenerator[bytes]) -> bytes:
    """The next bytes of a body; empty at its end."""
    async for piece in pieces:
        if piece:
            return piece
    return b""


def _outgoing(request: UpstreamRequest, connect_timeout_seconds: float) -> httpx.Request:
    extensions: dict[str, object] = {
        "timeout": {
            "connect": connect_timeout_seconds,
            "read": None,
            "write": None,
            "pool": None,
        },
        "trace": _asking(request.may_send),
    }
    url = httpx.URL(request.url)
    if url.scheme in {"http", "https"} and not url.host:
        raise httpx.InvalidURL("no host")  # else it would be looked up
    parts = urlsplit(request.url)
    target = ((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode()
    if target != url.raw_path:  # httpx rewrites a path with dots or unusual characters
        extensions["target"] = target
    return httpx.Request(
        request.method,
        url,
        headers=wording.without_framing(request.headers),
        content=request.body or None,
        extensions=extensions,
    )


def _absolute(outgoing: httpx.Request) -> bytes:
    """The target as a proxy needs it."""
    path: object = outgoing.extensions.get("target", outgoing.url.raw_path)
    assert isinstance(path, bytes)  # noqa: S101 - for the type checker
    return b"%b://%b%b" % (outgoing.url.raw_scheme, outgoing.url.netloc, path)


def _asking(may_send: MaySend) -> Callable[[str, dict[str, object]], Awaitable[None]]:
    """What httpcore tells of each step: before the first byte is written it is asked."""

    async def look_once_more(event: str, _: dict[str, object]) -> None:
        if event.endswith(".send_request_headers.started") and not may_send():
            raise wording.not_sent()  # an error here ends the request

    return look_once_more


def _translated(error: Exception, connect_timeout_seconds: float) -> UpstreamError:
    """httpx's error before the answer's head, as ours."""
    if descriptors.is_shortage(error):
        return wording.out_of_descriptors()
    match error:
        case httpx.ConnectTimeout():
            return wording.connect_timed_out(connect_timeout_seconds)
        case httpx.ConnectError() | httpx.ProxyError():
            return wording.connect_failed(error, connect_timeout_seconds)
        case httpx.UnsupportedProtocol() | httpx.InvalidURL():
            return UpstreamConnectError("invalid address")
        case httpx.RemoteProtocolError():
            reason = str(error)
            if "too long" in reason:
                return UpstreamProtocolError(wording.HEAD_TOO_LONG)
            if "disconnected" not in reason and "closed connection" not in reason:
                return wording.not_http(reason)
        case _:
            pass
    return UpstreamProtocolError(wording.NO_ANSWER)


def _has_surplus(answer: httpx.Response) -> bool:
    """Whether bytes came after the answer's end.

    h11 keeps them and would read them as the next answer on this connection; httpcore does not
    look. Neither gives a public way to ask, hence the path through private names: where one is
    missing, say yes, so that the connection is not used again.
    """
    if answer.extensions.get("http_version") not in {b"HTTP/1.1", b"HTTP/1.0"}:
        return False
    if "network_stream" not in answer.extensions:
        return False
    try:
        stream: Any = answer.stream
        wire = stream._httpcore_stream._stream._connection._h11_state
        surplus, _ = wire.trailing_data
    except AttributeError:
        return True
    return bool(surplus)
