"""Heads of requests as bytes, each made once and kept: most requests to a backend share theirs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from nexus_core.upstream import transport_errors as wording
from nexus_core.upstream.base import UpstreamConnectError, UpstreamRequest

_MAX_KEPT = 256
_PORTS = {"http": 80, "https": 443}
_BREAKS_A_LINE = re.compile(r"[\x00-\x20\x7f]")  # in a target; none of them belongs into a URL
_BREAKS_A_VALUE = re.compile(r"[\r\n\0]")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_MAY_BE_EMPTY = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})  # without saying that they are


class Origin(NamedTuple):
    """Where connections go; requests of one origin share them."""

    host: str  # a name, or an IP address without brackets
    port: int
    is_tls: bool


@dataclass(slots=True)
class RequestHead:
    """The head of a request up to the value of its Content-Length."""

    origin: Origin
    before_length: bytes = field(repr=False)  # holds the backend's key
    without_body: bytes = field(repr=False)  # the whole head where there is no body
    is_head: bool  # the method is HEAD: its answer has no body


class RequestHeads:
    """The heads that were made so far."""

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], RequestHead] = {}

    def of(self, request: UpstreamRequest) -> RequestHead:
        """
        Raises:
            UpstreamConnectError: its address or a header can't be written.
        """
        key = (request.url, request.headers, request.method)
        head = self._kept.get(key)
        if head is None:
            if len(self._kept) >= _MAX_KEPT:
                self._kept.clear()
            head = self._kept[key] = _write(request)
        return head


def _write(request: UpstreamRequest) -> RequestHead:
    try:
        parts = urlsplit(request.url)
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        # Python's own IDNA; without a name there is nothing to look up.
        host = host if host.isascii() else host.encode("idna").decode()
    except (ValueError, KeyError) as error:
        raise UpstreamConnectError("invalid address") from error
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not host or _BREAKS_A_LINE.search(target + host):
        raise UpstreamConnectError("invalid address")
    authority = f"[{host}]" if ":" in host else host
    if port != _PORTS[parts.scheme]:
        authority = f"{authority}:{port}"
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {authority}"]
    for name, value in wording.without_framing(request.headers):
        if not _NAME.fullmatch(name) or _BREAKS_A_VALUE.search(value):
            raise UpstreamConnectError("a header of the request has a forbidden character")
        if name.lower() != "host":
            lines.append(f"{name}: {value}")
    begin = "\r\n".join((*lines, "")).encode("utf-8", "surrogateescape")
    length = b"Content-Length: "
    says_nothing = request.method in _MAY_BE_EMPTY
    return RequestHead(
        Origin(host, port, parts.scheme == "https"),
        begin + length,
        begin + (b"\r\n" if says_nothing else length + b"0\r\n\r\n"),
        request.method == "HEAD",
    )
