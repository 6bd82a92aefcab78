"""Encode chunks of OpenAI's streams: whole ones, and those of which only a text changes."""

from __future__ import annotations

import msgspec

from nexus_core.dialects.sse import encode_event
from nexus_core.types import JsonObject

_encode = msgspec.json.Encoder().encode


def encode_chunk(chunk: JsonObject) -> bytes:
    """Encode one chunk as `encode_event` does, several times as fast.

    It holds no number that JSON can't hold.
    """
    try:
        return b"data: " + _encode(chunk) + b"\n\n"
    except (UnicodeError, RecursionError):  # a lone surrogate
        return encode_event(chunk)


class TextFrame:
    """An encoded chunk without its text: what most chunks of a stream have in common."""

    __slots__ = ("_after", "_before", "size")

    def __init__(self, before: bytes, after: bytes) -> None:
        self._before = before
        self._after = after
        self.size = len(before) + len(after) + 2  # bytes, with the text's quotation marks

    @classmethod
    def of(cls, chunk: JsonObject) -> TextFrame | None:
        """The frame of chunks such as this one, whose last empty string stands for the text.

        None where a lone surrogate is in it: then it is written in another way.
        """
        try:
            before, _, after = _encode(chunk).rpartition(b'""')
        except UnicodeError:
            return None
        return cls(b"data: " + before, after + b"\n\n")

    def around(self, text: str) -> bytes:
        """The chunk with this text, as `encode_chunk` has it; no lone surrogate is in it."""
        return self._before + _encode(text) + self._after
