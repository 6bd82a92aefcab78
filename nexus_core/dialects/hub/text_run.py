"""Translate events that only continue a text, many at once, without reading their JSON."""

from __future__ import annotations

import re
from typing import TypeAlias

from nexus_core.dialects.hub.chunk_bytes import TextFrame, rewrite_texts

_TEXT = re.compile(rb' ?: ?"((?:[^"\\]|\\.)*)"')  # behind its name
_NEXT_LINE = b"\n{"

# What events became: their chunks, bytes and characters of text in them, and what stands behind the
# texts, as objects of JSON, one a line.
Continued: TypeAlias = tuple[bytes, int, int, bytes]


class TextRun:
    """Events in a row that are alike: nothing but a text changes, and what `varying` allows.

    An event is, in this order: what is the same in all of them, the text, what is the same again,
    and a tail. A tail is the same but for the bytes in `varying`.
    """

    __slots__ = (
        "_after",
        "_before",
        "_border",
        "_chunk",
        "_end",
        "_first",
        "_last",
        "_skeleton",
        "_varying",
    )

    def __init__(
        self, before: bytes, after: bytes, tail: bytes, end: bytes, varying: bytes, chunk: TextFrame
    ) -> None:
        self._before = before
        self._after = after
        self._end = end
        self._border = end + before
        self._first, self._last = len(before), -len(end)  # where the first text is, and the end
        self._skeleton = tail.translate(None, varying) + _NEXT_LINE
        self._varying = varying
        self._chunk = chunk

    @classmethod
    def like(
        cls,
        event: bytes,
        end: bytes,
        *,
        name: bytes,
        tail_at: int,
        varying: bytes,
        chunk: TextFrame,
    ) -> TextRun | None:
        """The run of an event that is known to be one; None where its parts aren't easily found.

        Args:
            event: one of one text, without the line ends behind it.
            end: those line ends.
            name: of the text, with its quotation marks.
            tail_at: where the tail begins.
            chunk: what becomes of the text.
        """
        found = _TEXT.match(event, event.find(name) + len(name))
        if found is None or event.count(name) > 1:
            return None
        before, after = event[: found.start(1)], event[found.end(1) : tail_at]
        tail = event[tail_at:]
        if not after or after in tail or b"\\" in before + after:
            return None
        return cls(before, after, tail, end, varying, chunk)

    def translate(self, events: bytes) -> Continued | None:
        """Translate whole events; None where anything else is among them."""
        if not events.startswith(self._before) or not events.endswith(self._end):
            return None
        texts: list[bytes] = []
        tails: list[bytes] = []
        for event in events[self._first : self._last].split(self._border):
            text, after, tail = event.rpartition(self._after)
            if not after:
                return None
            texts.append(text)
            tails.append(tail)
        lines = _NEXT_LINE.join(tails)
        if lines.translate(None, self._varying) + _NEXT_LINE != self._skeleton * len(tails):
            return None
        try:
            texts, text_bytes, characters = rewrite_texts(texts)
        except ValueError:
            return None
        if b"" in texts:
            texts = [text for text in texts if text]  # nothing is said by the others
        chunks = self._chunk.around(texts) if texts else b""
        return chunks, text_bytes, characters, b"{" + lines
