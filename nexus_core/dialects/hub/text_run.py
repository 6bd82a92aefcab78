"""Find the texts of events that only continue one, many at once, without reading their JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import islice, takewhile
from operator import itemgetter

import msgspec

from nexus_core.dialects.hub.chunk_bytes import rewrite_texts

_TEXT = re.compile(rb' ?: ?"((?:[^"\\]|\\.)*)"')  # behind its name
_NEXT_LINE = b"\n{"
_MANY, _OTHERS_LAST = 64, 4  # events that are compared together, and that may be others behind them
_TRIES = 8  # of that which may fail
_ALL, _FEW = 1_000_000, 16  # events; few, once one looked alike and was not: it costs them all


class Continued(msgspec.Struct, frozen=True, gc=False):
    """What events in a row say that only continue a text."""

    taken: int  # events
    texts: list[bytes]  # as JSON, without quotation marks; empty ones are left out
    text_bytes: int
    characters: int
    tails: bytes  # what stands behind the texts, as objects of JSON, one a line


class TextRun:
    """Events in a row that are alike: nothing but a text changes, and what `varying` allows.

    An event is, in this order: what is the same in all of them, the text, what is the same again,
    and a tail. A tail is the same but for the bytes in `varying`.
    """

    __slots__ = (
        "_after",
        "_before",
        "_begin",
        "_between",
        "_cut_text",
        "_end",
        "_most",
        "_same_tails",
        "_tail",
        "_tries",
        "_varying",
    )

    def __init__(self, before: bytes, after: bytes, tail: bytes, varying: bytes) -> None:
        self._before = before
        self._after = after
        self._begin = len(before)  # of the text
        self._end = end = after + tail  # of most events, byte for byte
        self._between = end + b"\n" + before
        self._same_tails = b"{" + tail + b"\n"
        self._cut_text: Callable[[bytes], bytes] = itemgetter(slice(len(before), -len(end)))
        self._tail = tail.translate(None, varying) + _NEXT_LINE
        self._varying = varying
        self._tries = _TRIES if tail.translate(None, varying) == tail else 0
        self._most = _ALL  # events to take at once

    @classmethod
    def like(cls, event: bytes, *, name: bytes, tail_at: int, varying: bytes) -> TextRun | None:
        """The run of an event that is known to be one; None where its parts aren't easily found.

        Args:
            event: one of one text, without the line ends behind it.
            name: of the text, with its quotation marks.
            tail_at: where the tail begins.
        """
        found = _TEXT.match(event, event.find(name) + len(name))
        if found is None or event.count(name) > 1:
            return None
        before, after = event[: found.start(1)], event[found.end(1) : tail_at]
        tail = event[tail_at:]
        if not after or after in tail or b"\\" in before + after:
            return None
        return cls(before, after, tail, varying)

    def take(self, events: list[bytes], at: int) -> Continued | None:
        """Take as many events from there on as are alike; None where the first one is not."""
        before, after, begin, end = self._before, self._after, self._begin, self._end
        if self._tries:
            # Nearly always they differ in nothing but the text, except for the last of a stream:
            # all at once, and then compared with what came.
            until = min(len(events), at + _MANY)
            last = max(at + 1, until - _OTHERS_LAST)
            while until > last and not events[until - 1].endswith(end):
                until -= 1
            same = events[at:until]
            texts = list(map(self._cut_text, same))
            if before + self._between.join(texts) + end == b"\n".join(same):
                found = self._continued(texts, None)
                if found is not None:
                    return found
            self._tries -= 1
        texts, tails = list[bytes](), list[bytes]()
        for event in islice(events, at, at + self._most):
            if not event.startswith(before):
                break
            text, is_there, tail = event.rpartition(after)
            if not is_there:
                break
            texts.append(text[begin:])
            tails.append(tail)
        if not texts:
            return None
        if (found := self._continued(texts, tails)) is not None:
            return found
        self._most = _FEW
        alike = list(takewhile(self._is_alike, zip(texts, tails, strict=True)))
        return self._continued(*map(list, zip(*alike, strict=True))) if alike else None

    def _is_alike(self, event: tuple[bytes, bytes]) -> bool:
        return self._continued([event[0]], [event[1]]) is not None

    def _continued(self, texts: list[bytes], tails: list[bytes] | None) -> Continued | None:
        """What they say; None if one of them is not alike.

        Args:
            tails: None where all of them are as in the first event.
        """
        taken = len(texts)
        if tails is None:
            lines = (self._same_tails * taken)[:-1]
        else:
            joined = _NEXT_LINE.join(tails)
            if joined.translate(None, self._varying) + _NEXT_LINE != self._tail * taken:
                return None
            lines = b"{" + joined
        try:
            texts, text_bytes, characters = rewrite_texts(texts)
        except ValueError:
            return None
        if b"" in texts:
            texts = [text for text in texts if text]  # nothing is said by the others
        return Continued(taken, texts, text_bytes, characters, lines)
