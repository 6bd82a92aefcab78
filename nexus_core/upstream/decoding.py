"""Decompress answers in an unrequested encoding: gzip and deflate, streamed and bounded."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Iterator

from nexus_core.upstream import transport_errors as wording
from nexus_core.upstream.base import Headers, UpstreamProtocolError, UpstreamResponse

GZIP = b"\x1f\x8b"  # how every gzip file begins; no text and no JSON does

_PIECE_BYTES = 64 * 1024  # that come out of one step
_EITHER_FRAME, _NO_FRAME = 47, -15  # zlib's window bits
_READ = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
# Whatever the label says, this is not compressed: JSON, or the beginning of an event stream.
_PLAIN = (b"{", b"[", b"data:", b"event:", b": ", b"\xef\xbb\xbf", b"<!", b"<html")


def decoded(response: UpstreamResponse, max_bytes: int) -> UpstreamResponse:
    """Decode the Content-Encoding of a response; most are returned unchanged.

    Args:
        max_bytes: that may come out of it.
    """
    for name, value in response.headers:
        if name == "content-encoding" and value.strip().lower() not in ("", "identity"):
            return Decoded(response, value, max_bytes)
    return response


class Decoded:
    """A response with its Content-Encoding decoded."""

    stream: None = None
    usage: None = None

    def __init__(self, response: UpstreamResponse, encoding: str, max_bytes: int) -> None:
        self.status = response.status
        self.headers: Headers = tuple(
            pair for pair in response.headers if pair[0] != "content-encoding"
        )
        self.close = response.close
        self._response = response
        self._encoding = encoding.strip().lower()
        self._max_bytes = max_bytes
        self._read_on: Callable[[], Awaitable[bytes]] | None = None  # once the first bytes came

    def at_hand(self) -> bytes | None:
        """None: it is to be read."""
        return None

    async def read(self) -> bytes:
        """The body's next bytes; empty at its end.

        Raises:
            UpstreamProtocolError: it ended early, can't be read, or is longer than allowed.
        """
        if self._read_on is not None:
            return await self._read_on()
        first = await self._response.read()
        if not first or first.lstrip().startswith(_PLAIN):
            self._read_on = self._response.read
            return first
        kind = _READ.get(self._encoding)
        if kind is None:
            shown = "".join(filter(str.isprintable, self._encoding))[:40]
            raise UpstreamProtocolError(f"answer in an unrequested encoding: {shown}")
        self._read_on = Inflated(first, self._response.read, kind, self._max_bytes).read
        return await self._read_on()


class Inflated:
    """A compressed body, decompressed in pieces of bounded size."""

    def __init__(
        self,
        first: bytes,
        read_on: Callable[[], Awaitable[bytes]],
        kind: str,
        max_bytes: int,
    ) -> None:
        """
        Args:
            first: its first bytes.
            read_on: what comes after them; empty at the end.
            kind: gzip or deflate; the latter with zlib's frame, as it should be, or without.
        """
        self._read_on = read_on
        self._inflater = _Inflater(first, kind, max_bytes)
        self._pieces = self._inflater.feed(first)  # still to come out of the bytes that are here

    async def read(self) -> bytes:
        """The next piece; empty at the end.

        Raises:
            UpstreamProtocolError: it is not compressed so, ended early, or is over `max_bytes`.
        """
        while not (piece := next(self._pieces, b"")):
            chunk = await self._read_on()
            if not chunk:
                self._inflater.finish()
                return b""
            self._pieces = self._inflater.feed(chunk)
        return piece


def inflate_whole(body: bytes, max_bytes: int) -> bytes:
    """Decompress a whole gzip body.

    Raises:
        UpstreamProtocolError: it is cut or damaged, or over `max_bytes`.
    """
    inflater = _Inflater(body, "gzip", max_bytes)
    parts = list(inflater.feed(body))
    inflater.finish()
    return b"".join(parts)


class _Inflater:
    """Inflates piece by piece, and counts what comes out."""

    def __init__(self, first: bytes, kind: str, max_bytes: int) -> None:
        # RFC 9110 means zlib's frame by "deflate"; some servers leave it out.
        has_frame = kind == "gzip" or first.startswith(GZIP) or first[0] & 0x0F == 8
        self._window = _EITHER_FRAME if has_frame else _NO_FRAME
        self._inflater = zlib.decompressobj(self._window)
        self._border = b""  # the first byte of what may be another member
        self._left = max_bytes
        self._max_bytes = max_bytes

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The pieces that these bytes give."""
        if self._inflater.eof:
            data = self._next_member(self._border + data)
        while data or not self._inflater.eof:
            try:
                piece = self._inflater.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise UpstreamProtocolError("invalid compressed answer") from error
            data = self._inflater.unconsumed_tail
            self._left -= len(piece)
            if self._left < 0:
                raise UpstreamProtocolError(f"answer over {self._max_bytes} bytes")
            if piece:
                yield piece
            if self._inflater.eof:
                data = self._next_member(self._inflater.unused_data)
                if not data:
                    return
            elif not piece and not data:
                return

    def _next_member(self, data: bytes) -> bytes:
        """A gzip file may hold several, and padding behind them."""
        self._border = b""
        if not data.startswith(GZIP):
            self._border = data if GZIP.startswith(data) else b""
            return b""
        self._inflater = zlib.decompressobj(self._window)
        return data

    def finish(self) -> None:
        """The body is over."""
        if not self._inflater.eof:
            raise UpstreamProtocolError(wording.ENDED_EARLY)
