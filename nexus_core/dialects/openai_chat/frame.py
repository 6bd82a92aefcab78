"""Recognise chunks that only continue a text: all else in them is as in one that was read."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import itemgetter

from nexus_core.dialects.openai_chat.answers import TEXT

_TEXT_END = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*"')
_BACKSLASH = ord("\\")
# Random letters that OpenAI puts behind a text, so that its length can't be seen from outside.
_PADDING = re.compile(rb'"obfuscation": ?"([A-Za-z0-9]*)"}$')


class ChunkFrame:
    """An event without its text. Whatever is in the same frame says nothing but a text.

    So nothing has to be looked for in it: no usage, no error, no end.
    """

    __slots__ = ("_after", "_before", "_between", "_cut_text", "_end", "_is_padded", "_separator")

    def __init__(self, before: bytes, after: bytes, separator: bytes, *, is_padded: bool) -> None:
        """`after` begins with the text's quotation mark; it ends with that of the padding."""
        self._before = before
        self._after = after
        self._separator = separator
        self._is_padded = is_padded
        self._end = after + separator
        self._between = self._end + before  # one text and the next
        # Of an event without its end: faster than a slice in a loop.
        self._cut_text: Callable[[bytes], bytes] = itemgetter(slice(len(before), None))

    @classmethod
    def of_last(cls, lines: bytes) -> ChunkFrame | None:
        """The frame of the last event, which is nothing but a chunk; None where it has no one text.

        The caller has seen that there is no usage, error or end in it.
        """
        separator = b"\r\n\r\n" if lines.endswith(b"\r\n\r\n") else b"\n\n"
        if not lines.endswith(b"}" + separator):
            return None
        end = len(lines) - len(separator)
        event = lines[lines.rfind(b"\n", 0, end) + 1 : end]
        texts = [found for found in TEXT.finditer(event) if found.group(1)]
        if len(texts) != 1:
            return None
        start, end = texts[0].span(1)
        padding = _PADDING.search(event, end)
        if padding is None:
            return cls(event[:start], event[end:], separator, is_padded=False)
        return cls(event[:start], event[end : padding.start(1)], separator, is_padded=True)

    def text_bytes(self, lines: bytes) -> int | None:
        """Bytes of text in whole events; None if there is anything else but this frame's events."""
        if self._is_padded or not lines.endswith(self._end):
            return self._escaped_bytes(lines)
        events = lines.split(self._end)
        events.pop()  # what is behind the last end: nothing
        texts = list(map(self._cut_text, events))
        said = b"".join(texts)
        is_more = b'"' in said or b"\\" in said or b"\n" in said
        if is_more or self._before + self._between.join(texts) + self._end != lines:
            return self._escaped_bytes(lines)
        return len(said)

    def _escaped_bytes(self, lines: bytes) -> int | None:
        """The same where texts may have escapes or padding."""
        events = lines.split(self._separator)
        if events.pop():
            return None
        before, after, start, size = self._before, self._after, len(self._before), 0
        for event in events:
            end = event.find(b'"', start)
            if end < 0 or not event.startswith(before):
                return None
            if event[end - 1] == _BACKSLASH:
                found = _TEXT_END.match(event, start)
                end = found.end() - 1 if found else len(event)
            if not event.startswith(after, end):
                return None
            rest = end + len(after)
            if self._is_padded:
                if event.find(b'"', rest) != len(event) - 2 or not event.endswith(b'"}'):
                    return None
            elif rest != len(event):
                return None
            size += end - start - 3 * event.count(b"\\u", start, end)  # as text_length does
        return size
