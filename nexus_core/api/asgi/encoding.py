"""Compressed request bodies: supported encodings, and decompression within a limit."""

from __future__ import annotations

import codecs
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nexus_core.api.asgi.messages import Scope, header_values
from nexus_core.api.asgi.zstd import ZstdInflater, is_available
from nexus_core.errors import InvalidRequestError, NexusError

if TYPE_CHECKING:
    from zlib import _Decompress as Decompressor  # pyright: ignore[reportPrivateUsage]  no other name

STEP_BYTES = 256 * 1024  # inflated at once: the loop is let go between two steps
MAX_MEMBERS = 4096  # of one gzip body: each costs something, be it ever so empty

# By Content-Encoding (RFC 9110 section 8.4.1): the window bits that zlib wants.
_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
_RAW_DEFLATE = -15

# Of JSON objects as clients write them: no mark of any encoding begins so.
_PLAIN_BEGINNINGS = frozenset({b'{"', b"{ ", b"{\n", b"{\r", b"{\t"})

# What a body begins with that is no UTF-8 text, whatever its labels say.
_BEGINNINGS = {
    b"\x1f\x8b": "is compressed with gzip; send Content-Encoding: gzip with it",
    b"\x28\xb5": "is compressed with zstd; use gzip or deflate",
    b"\xff\xfe": "is UTF-16; send JSON as UTF-8",
    b"\xfe\xff": "is UTF-16; send JSON as UTF-8",
    b"{\0": "is UTF-16; send JSON as UTF-8",
    b"\0{": "is UTF-16; send JSON as UTF-8",
}


class UnsupportedEncodingError(NexusError):
    """The Content-Encoding of the body is not supported."""

    status = 415
    code = "unsupported_content_encoding"
    type = "invalid_request_error"
    headers = (("accept-encoding", "gzip, deflate"),)  # RFC 9110 section 15.5.16


class Inflater:
    """Decompress a request body as it arrives; the caller bounds its size."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._members = 0  # that are complete; only gzip may have several
        self._member: Decompressor | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What these bytes hold, in parts of STEP_BYTES at most.

        Raises:
            InvalidRequestError: they are not what Content-Encoding says.
        """
        while data:
            if self._member is None:
                self._member = self._begin(data)
            try:
                part = self._member.decompress(data, STEP_BYTES)
            except zlib.error as error:
                raise self._wrong(
                    f"is not valid {self._encoding}; correct its Content-Encoding"
                ) from error
            yield part
            if self._member.eof:
                data = self._member.unused_data
                self._member = None
                self._members += 1
            else:
                data = self._member.unconsumed_tail

    def finish(self) -> None:
        """No more bytes come.

        Raises:
            InvalidRequestError: more was to come.
        """
        if self._member is not None:
            raise self._wrong(f"is truncated: its {self._encoding} data has no end")

    def _begin(self, data: bytes) -> Decompressor:
        bits = _WINDOWS[self._encoding]
        if self._encoding != "deflate":
            if self._members == MAX_MEMBERS:
                raise self._wrong(f"has more than {MAX_MEMBERS} gzip members")
            return zlib.decompressobj(bits)
        if self._members:
            raise self._wrong("has data after the end of its deflate stream")
        # "Deflate" means zlib's format, and some clients send it without zlib's header, which
        # begins with an 8 for its method (RFC 9110 section 8.4.1.2, RFC 1950 section 2.2).
        return zlib.decompressobj(bits if data[0] & 0x0F == 8 else _RAW_DEFLATE)

    @staticmethod
    def _wrong(what: str) -> InvalidRequestError:
        return InvalidRequestError(f"the body {what}", param="Content-Encoding")


def inflater(scope: Scope) -> Inflater | ZstdInflater | None:
    """The decompressor of a request's body; None for an uncompressed one.

    Raises:
        UnsupportedEncodingError: nothing here does.
    """
    values = header_values(scope, b"content-encoding")
    if not values:
        return None
    named = [name.strip().lower() for value in values for name in value.split(",")]
    encodings = [name for name in named if name not in ("", "identity")]
    if not encodings:
        return None
    if encodings == ["zstd"] and is_available():
        return ZstdInflater(STEP_BYTES)
    if len(encodings) > 1 or encodings[0] not in _WINDOWS:
        shown = ", ".join(encodings)[:100]
        raise UnsupportedEncodingError(
            f"Content-Encoding: {shown!r} is not supported; use gzip or deflate",
            param="Content-Encoding",
        )
    return Inflater(encodings[0])


def as_utf8(body: bytes) -> bytes:
    """Remove a byte order mark before UTF-8 from a body.

    A parser may pass over it (RFC 8259 section 8.1), and not every backend's does.

    Raises:
        InvalidRequestError: it begins like something else, by which it is called.
    """
    if body[:2] in _PLAIN_BEGINNINGS:
        return body
    if body.startswith(codecs.BOM_UTF8):
        return body[len(codecs.BOM_UTF8) :]
    other = _BEGINNINGS.get(body[:2])
    if other is not None:
        raise InvalidRequestError(f"the body {other}")
    return body
