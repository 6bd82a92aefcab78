"""What both engines say when a connection fails, and which headers they write themselves."""

from __future__ import annotations

import os
import re
import select
import socket
import ssl
from collections.abc import Iterator

from nexus_core import descriptors
from nexus_core.config.outbound_proxy import OutboundProxy
from nexus_core.upstream.base import (
    MAX_HEAD_BYTES,
    Headers,
    UpstreamConnectError,
    UpstreamConnectTimeoutError,
    UpstreamNotSentError,
    UpstreamProtocolError,
    UpstreamResponse,
    UpstreamShortageError,
)

KEEP_ALIVE_SECONDS = 15.0  # an idle connection older than this is not used again

ENDED_EARLY = "the answer ended early"
NO_ANSWER = "the connection closed before an answer came"
CLOSED_ENGINE = "the engine is closed"
HEAD_TOO_LONG = f"the answer's headers are larger than {MAX_HEAD_BYTES // 1024} KiB"
SWITCHED = "not HTTP: the backend switched protocols unasked"

# The engine frames the request: a length carried along from elsewhere could contradict the body.
_FRAMING = frozenset({"content-length", "transfer-encoding"})

_QUOTE = re.compile(r"\n|\bbytearray\(|\bb['\"]")  # where the libraries' messages repeat bytes


def without_framing(headers: Headers) -> list[tuple[str, str]]:
    """The headers that go out as they are."""
    return [pair for pair in headers if pair[0].lower() not in _FRAMING]


def not_sent() -> UpstreamNotSentError:
    """While the connection was made."""
    return UpstreamNotSentError("switched off, removed or changed before the request was sent")


def connect_timed_out(connect_timeout_seconds: float) -> UpstreamConnectTimeoutError:
    """No connection came about within the caller's limit."""
    return UpstreamConnectTimeoutError(f"no connection within {connect_timeout_seconds:g} s")


def refused_by_proxy(proxy: OutboundProxy, status: int) -> UpstreamConnectError:
    """The proxy answered itself, and not with a way to the backend."""
    if status != 407:
        why = "refuses to connect" if status == 403 else "could not connect: it answers"
        return UpstreamConnectError(f"the proxy {proxy} {why} ({status})")
    if proxy.user is not None:
        why = "rejects the user name and password (407)"
    else:
        why = "requires a user name and password (407); put them in the URL in HTTPS_PROXY"
    return UpstreamConnectError(f"the proxy {proxy} {why}")


def through(proxy: OutboundProxy, error: UpstreamConnectError) -> UpstreamConnectError:
    """The same failure, with the proxy it came about at."""
    return type(error)(f"{error}, through the proxy {proxy}")


def is_of_proxy(url: str, answer: UpstreamResponse) -> bool:
    """Whether a proxy answered in the backend's place; it can where there is no TLS to end at.

    https://www.rfc-editor.org/rfc/rfc9209 and what Squid says for longer.
    """
    if not url.startswith("http:") or answer.status < 400:
        return False
    return answer.status == 407 or any(
        name == "x-squid-error" or (name == "proxy-status" and "error=" in value)
        for name, value in answer.headers
    )


def out_of_descriptors() -> UpstreamShortageError:
    """Nexus had none left for a connection, or for what a connection needs."""
    return UpstreamShortageError("Nexus has no file descriptor left")


def not_http(reason: str) -> UpstreamProtocolError:
    """The answer could not be parsed.

    `reason` is the parser's. It is cut where it begins to quote the answer, because a backend may
    write a key into that.
    """
    words = _QUOTE.split(reason.strip(), maxsplit=1)[0].strip(" :")
    return UpstreamProtocolError(f"not HTTP: {words or 'the answer cannot be parsed'}")


def connect_failed(
    error: BaseException, connect_timeout_seconds: float
) -> UpstreamConnectError | UpstreamConnectTimeoutError | UpstreamShortageError:
    """Say why there is no connection, from the operating system's error behind the library's."""
    if descriptors.is_shortage(error) or _hides_a_shortage(error):
        return out_of_descriptors()
    for cause in _causes(error):
        match cause:
            case ssl.SSLCertVerificationError():
                return UpstreamConnectError(f"TLS failed: {cause.verify_message}")
            case ssl.SSLError():
                reason = (cause.reason or "handshake failed").replace("_", " ").lower()
                return UpstreamConnectError(f"TLS failed: {reason}")
            case socket.gaierror():
                return UpstreamConnectError("no such host")
            case TimeoutError():
                return connect_timed_out(connect_timeout_seconds)
            case OSError() if cause.errno:
                return UpstreamConnectError(os.strerror(cause.errno).lower())
            case _:
                pass  # the next one may say more
    return UpstreamConnectError("no connection")


def _hides_a_shortage(error: BaseException) -> bool:
    """Whether a name or a certificate was not found because its file could not be opened.

    The resolver then says "name not known" and OpenSSL "unable to get local issuer certificate".
    """
    hiding = (socket.gaierror, ssl.SSLCertVerificationError)
    return any(isinstance(each, hiding) for each in _causes(error)) and descriptors.are_short()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what led to it, innermost first: there the system's own words stand."""
    if error is None:
        return
    if descriptors.is_group(error):
        for member in error.exceptions:
            yield from _causes(member)
    # httpcore raises `from None`, which hides the context but keeps it.
    yield from _causes(error.__cause__ or error.__context__)
    yield error


def is_readable(file_descriptor: int) -> bool:
    """Whether reading would not block: bytes have come, or the other side hung up."""
    if file_descriptor < 0:
        return True
    poll = select.poll()
    poll.register(file_descriptor, select.POLLIN)
    return bool(poll.poll(0))
