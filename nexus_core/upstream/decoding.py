"""Read a compressed answer that nobody asked for: gzip and deflate, piece by piece, bounded."""

from __future__ import annotations

import zlib
from collections.abc import AsyncGenerator, Iterator

from nexus_core.upstream import transport_errors as wording
from nexus_core.upstream.base import Headers, UpstreamProtocolError, UpstreamResponse

GZIP = b"\x1f\x8b"  # how every gzip file begins; no text and no JSON does

_PIECE_BYTES = 64 * 1024  # that come out of one step
_EITHER_FRAME, _NO_FRAME = 47, -15  # zlib's window bits
_READ = {"gzip": "gzip", "x-gzip": "gzip", "deflate": "deflate"}
# Whatever the label says, this is not compressed: JSON, or the beginning of an event stream.
_PLAIN = (b"{", b"[", b"data:", b"event:", b": ", b"\xef\xbb\xbf", b"<!", b"<html")


def decoded(response: UpstreamResponse, max_bytes: int) -> UpstreamResponse:
    """The answer as it would be without a Content-Encoding; most are handed back as they are.

    Args:
        max_bytes: that may come out of it.
    """
    for name, value in response.headers:
        if name == "content-encoding" and value.strip().lower() not in ("", "identity"):
            return Decoded(response, value, max_bytes)
    return response


class Decoded:
    """An answer with a Content-Encoding, read plain."""

    def __init__(self, response: UpstreamResponse, encoding: str, max_bytes: int) -> None:
        self.status = response.status
        self.headers: Headers = tuple(
            pair for pair in response.headers if pair[0] != "content-encoding"
        )
        self.close = response.close
        self._response = response
        self._encoding = encoding.strip().lower()
        self._max_bytes = max_bytes

    async def chunks(self) -> AsyncGenerator[bytes]:
        """The body's bytes.

        Raises:
            UpstreamProtocolError: it ended early, can't be read, or is longer than allowed.
        """
        chunks = self._response.chunks()
        first = await anext(chunks, b"")
        if not first or first.lstrip().startswith(_PLAIN):
            plain = _joined(first, chunks)
        elif (kind := _READ.get(self._encoding)) is None:
            await chunks.aclose()
            shown = "".join(filter(str.isprintable, self._encoding))[:40]
            raise UpstreamProtocolError(f"answer in an unrequested encoding: {shown}")
        else:
            plain = inflated(first, chunks, kind, self._max_bytes)
        try:
            async for piece in plain:
                yield piece
        finally:
            await plain.aclose()


async def _joined(first: bytes, rest: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    try:
        if first:
            yield first
        async for chunk in rest:
            yield chunk
    finally:
        await rest.aclose()


async def inflated(
    first: bytes, rest: AsyncGenerator[bytes], kind: str, max_bytes: int
) -> AsyncGenerator[bytes]:
    """What a compressed body says, in pieces of bounded size.

    Args:
        kind: gzip or deflate; the latter with zlib's frame, as it should be, or without.

    Raises:
        UpstreamProtocolError: it is not compressed so, ended early, or is over `max_bytes`.
    """
    inflater = _Inflater(first, kind, max_bytes)
    try:
        for piece in inflater.feed(first):
            yield piece
        async for chunk in rest:
            for piece in inflater.feed(chunk):
                yield piece
        inflater.finish()
    finally:
        await rest.aclose()


def inflate_whole(body: bytes, max_bytes: int) -> bytes:
    """What a whole gzip body says.

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
