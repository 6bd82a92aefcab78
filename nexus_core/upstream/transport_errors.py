"""Transport errors of both upstream engines, and headers the engines write themselves."""

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
    """Headers without those that engines write themselves."""
    return [pair for pair in headers if pair[0].lower() not in _FRAMING]


def not_sent() -> UpstreamNotSentError:
    """Error: withdrawn while connecting."""
    return UpstreamNotSentError("switched off, removed or changed before the request was sent")


def connect_timed_out(connect_timeout_seconds: float) -> UpstreamConnectTimeoutError:
    """Error: connect time-out."""
    return UpstreamConnectTimeoutError(f"no connection within {connect_timeout_seconds:g} s")


def refused_by_proxy(proxy: OutboundProxy, status: int) -> UpstreamConnectError:
    """Error: the proxy refused to connect."""
    return UpstreamConnectError(f"the proxy {proxy} {refusal_of_proxy(proxy, status)}")


def refusal_of_proxy(proxy: OutboundProxy, status: int) -> str:
    """What a proxy does that answers so, to be said after its name."""
    if status != 407:
        why = "refuses to connect" if status == 403 else "could not connect: it answers"
        return f"{why} ({status})"
    if proxy.user is not None:
        return "rejects the user name and password (407)"
    return "requires a user name and password (407); put them in the URL in HTTPS_PROXY"


def through(proxy: OutboundProxy, error: UpstreamConnectError) -> UpstreamConnectError:
    """Add the proxy to a connect error."""
    return type(error)(f"{error}, through the proxy {proxy}")


def is_of_proxy(url: str, answer: UpstreamResponse) -> bool:
    """Whether a proxy answered instead of the backend; only possible without TLS.

    https://www.rfc-editor.org/rfc/rfc9209 and what Squid says for longer.
    """
    if not url.startswith("http:") or answer.status < 400:
        return False
    return answer.status == 407 or any(
        name == "x-squid-error" or (name == "proxy-status" and "error=" in value)
        for name, value in answer.headers
    )


def out_of_descriptors() -> UpstreamShortageError:
    """Error: Nexus is out of file descriptors."""
    return UpstreamShortageError("Nexus has no file descriptor left")


def not_http(reason: str) -> UpstreamProtocolError:
    """Error: the answer is not valid HTTP.

    `reason` is the parser's. It is cut where it begins to quote the answer, because a backend may
    write a key into that.
    """
    words = _QUOTE.split(reason.strip(), maxsplit=1)[0].strip(" :")
    return UpstreamProtocolError(f"not HTTP: {words or 'the answer cannot be parsed'}")


def connect_failed(
    error: BaseException, connect_timeout_seconds: float
) -> UpstreamConnectError | UpstreamConnectTimeoutError | UpstreamShortageError:
    """Error of a failed connection, from the operating system's error behind the library's."""
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
