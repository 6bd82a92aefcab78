"""The protocol of an upstream engine: send a request, get status, headers and bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol

from nexus_core.config.outbound_proxy import OutboundProxy

Headers = tuple[tuple[str, str], ...]

MAX_HEAD_BYTES = 64 * 1024  # of an answer's status line and headers together


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """One HTTP request to a backend."""

    method: str
    url: str
    headers: Headers = field(repr=False)  # holds the backend's key
    body: bytes = field(repr=False, default=b"")
    proxy: OutboundProxy | None = None  # the way there; None: directly


class UpstreamError(Exception):
    """The transport failed; the message is for people and holds neither key nor URL query."""


class UpstreamConnectError(UpstreamError):
    """No connection: refused, no such host, TLS failed."""


class UpstreamConnectTimeoutError(UpstreamConnectError):
    """No connection within the connect time-out."""


class UpstreamProtocolError(UpstreamError):
    """The answer is not HTTP, ended early, or has a head beyond the limit."""


class UpstreamNotSentError(UpstreamError):
    """There was a connection, and by then the request was not to be sent any more."""


class UpstreamShortageError(UpstreamError):
    """Nexus itself had no file descriptor left: nothing was sent, and it says nothing of others."""


# Asked when there is a connection and nothing has been written on it: making one takes long enough
# for an operator to switch the backend off. Whoever sends sets it for its own task; agents know
# nothing of switches, and so do not hand it through.
MAY_SEND: ContextVar[Callable[[], bool]] = ContextVar("MAY_SEND", default=lambda: True)


class UpstreamResponse(Protocol):
    """An answer whose head has come and whose body has not been read yet."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers:
        """In order of arrival, names in lower case."""
        ...

    def chunks(self) -> AsyncGenerator[bytes]:
        """The body's bytes as they arrive, undecoded.

        Reading ahead is bounded, so a slow reader slows the backend down.

        Raises:
            UpstreamProtocolError: the body ended before its framing said so.
        """
        ...

    async def close(self) -> None:
        """End the exchange; cancels what is still under way. Safe to call twice."""
        ...


class UpstreamEngine(Protocol):
    """A connection pool for the life of the process.

    Never follows redirects, keeps no cookies, reads no proxy settings from the environment,
    adds no header but Host, Content-Length and what the request carries. A request that names a
    proxy goes through it or fails: what a proxy refuses is an UpstreamConnectError.
    """

    async def send(
        self, request: UpstreamRequest, *, connect_timeout_seconds: float
    ) -> UpstreamResponse:
        """Send and wait for the answer's head. The wait for it is the caller's to bound.

        Raises:
            UpstreamError: one of its children above.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
