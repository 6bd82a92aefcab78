"""Encode chunks of OpenAI's streams: whole ones, and those of which only a text changes."""

from __future__ import annotations

import msgspec

from nexus_core.dialects.sse import encode_event
from nexus_core.types import JsonObject

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(str).decode
SPECIAL = bytes(range(32)) + b'"\\'  # in a text of JSON: what is escaped, or ends it


def encode_chunk(chunk: JsonObject) -> bytes:
    """Encode one chunk as `encode_event` does, several times as fast.

    It holds no number that JSON can't hold.
    """
    try:
        return b"data: " + _encode(chunk) + b"\n\n"
    except (UnicodeError, RecursionError):  # a lone surrogate
        return encode_event(chunk)


class TextFrame:
    """An encoded event without its text: what most events of a stream have in common."""

    __slots__ = ("_after", "_before", "_between")

    def __init__(self, before: bytes, after: bytes) -> None:
        """`before` and `after`: with the quotation marks of the text."""
        self._before = before
        self._after = after
        self._between = after + before

    @classmethod
    def of(cls, chunk: JsonObject) -> TextFrame | None:
        """The frame of chunks such as this one, whose last empty string stands for the text.

        None where a lone surrogate is in it: then it is written in another way.
        """
        try:
            return cls.of_bytes(b"data: " + _encode(chunk) + b"\n\n")
        except UnicodeError:
            return None

    @classmethod
    def of_bytes(cls, event: bytes) -> TextFrame:
        """The frame of events such as this one, whose last empty string stands for the text."""
        before, _, after = event.rpartition(b'""')
        return cls(before + b'"', b'"' + after)

    def around(self, texts: list[bytes]) -> bytes:
        """The events with these texts, which `rewrite_texts` gave, as `encode_chunk` has them."""
        if not texts:
            return b""
        return self._before + self._between.join(texts) + self._after


def decode_text(text: bytes) -> str:
    """Read a text of JSON that stands without its quotation marks.

    Raises:
        ValueError: it is none, or holds a lone surrogate.
    """
    return _decode(b'"%b"' % text)


def rewrite_texts(texts: list[bytes]) -> tuple[list[bytes], int, int]:
    """Write texts of JSON, without their quotation marks, as `encode_chunk` writes them.

    Gives their bytes and characters, too.

    Raises:
        ValueError: one is no text of JSON, or holds a lone surrogate.
    """
    together = b" ".join(texts)
    if together.translate(None, SPECIAL) == together:
        blanks = len(texts) - 1
        return texts, len(together) - blanks, len(together.decode()) - blanks
    strings = list(map(decode_text, texts))
    texts = [_encode(string)[1:-1] for string in strings]
    return texts, sum(map(len, texts)), sum(map(len, strings))
