"""The protocol of an upstream engine: send a request, get status, headers and bytes."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import msgspec

from nexus_core.config.outbound_proxy import OutboundProxy

Headers = tuple[tuple[str, str], ...]

# Whether a request may still be written: asked once, when it has a connection, since making one
# takes long enough for an operator to switch the backend off.
MaySend = Callable[[], bool]

MAX_HEAD_BYTES = 64 * 1024  # of an answer's status line and headers together


def always() -> bool:
    """The MaySend of requests that no switch holds back: probes and other questions of our own."""
    return True


class UpstreamRequest(msgspec.Struct, eq=False):
    """An HTTP request to a backend. Nobody changes it."""

    method: str
    url: str
    headers: Headers  # hold the backend's key
    body: bytes = b""
    proxy: OutboundProxy | None = None  # the way there; None: directly
    may_send: MaySend = always

    def __repr__(self) -> str:
        """What may be shown: no key and no prompt."""
        return f"UpstreamRequest(method={self.method!r}, url={self.url!r}, proxy={self.proxy!r})"


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


class UpstreamResponse(Protocol):
    """A response whose headers were received and whose body is unread.

    As it stands, what an agent gives where it translates nothing: then there is neither a `stream`
    of the translation nor a `usage` that is known beside the body.
    """

    @property
    def status(self) -> int: ...

    @property
    def stream(self) -> None: ...

    @property
    def usage(self) -> None: ...

    @property
    def headers(self) -> Headers:
        """In order of arrival, names in lower case."""
        ...

    def at_hand(self) -> bytes | None:
        """What is left of the body, if all of it is here; None: it is to be read."""
        ...

    async def read(self) -> bytes:
        """The body's next bytes, undecoded: what has come since the last read; empty at its end.

        At its end nothing is left to close. Cancelling a read loses nothing: the next one gives it.
        Reading ahead is bounded, so a slow reader slows the backend down.

        Raises:
            UpstreamProtocolError: the body ended before its framing said so.
        """
        ...

    async def close(self, *, is_read: bool = False) -> None:
        """End the exchange; cancels what is still under way. Safe to call twice.

        Args:
            is_read: all that matters of the body was read. Its end, if it comes soon, may be waited
                for beside, so that the connection can be used again.
        """
        ...


class UpstreamEngine(Protocol):
    """Upstream engine: a connection pool for the life of the process.

    Never follows redirects, keeps no cookies, reads no proxy settings from the environment,
    adds no header but Host, Content-Length and what the request carries. A request that names a
    proxy goes through it or fails: what a proxy refuses is an UpstreamConnectError.
    Asks the request's `may_send` when there is a connection and nothing was written on it.
    """

    def send(
        self, request: UpstreamRequest, *, connect_timeout_seconds: float
    ) -> Coroutine[Any, Any, UpstreamResponse]:
        """Send and wait for the answer's head. The wait for it is the caller's to bound.

        Raises:
            UpstreamError: one of its children above; also for want of descriptors, whatever it was
                that could not be opened or imported.
        """
        ...

    def stop_unsent(self) -> None:
        """Ask `may_send` again of requests that are still being written, and end those it refuses.

        They fail with UpstreamNotSentError: of their bodies the backend has a part at most.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
