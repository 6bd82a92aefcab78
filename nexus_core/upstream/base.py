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
    """An HTTP request to a backend."""

    method: str
    url: str
    headers: Headers = field(repr=False)  # holds the backend's key
    body: bytes = field(repr=False, default=b"")
    proxy: OutboundProxy | None = None  # the way there; None: directly


class UpstreamError(Exception):
    """Transport error; the message holds neither a key nor a URL query."""


class UpstreamConnectError(UpstreamError):
    """Connection failed: refused, unknown host, TLS error."""


class UpstreamConnectTimeoutError(UpstreamConnectError):
    """Connect time-out."""


class UpstreamProtocolError(UpstreamError):
    """The answer is not HTTP, ended early, or has a head beyond the limit."""


class UpstreamNotSentError(UpstreamError):
    """The request was withdrawn before it was sent, although a connection existed."""


class UpstreamShortageError(UpstreamError):
    """Nexus is out of file descriptors: nothing was sent, no backend is at fault."""


# Asked when there is a connection and nothing has been written on it: making one takes long enough
# for an operator to switch the backend off. Whoever sends sets it for its own task; agents know
# nothing of switches, and so do not hand it through.
MAY_SEND: ContextVar[Callable[[], bool]] = ContextVar("MAY_SEND", default=lambda: True)


class UpstreamResponse(Protocol):
    """A response whose headers were received and whose body is unread."""

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
    """Upstream engine: a connection pool for the life of the process.

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
