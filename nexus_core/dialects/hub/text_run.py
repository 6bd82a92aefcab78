"""Find the texts of events that only continue one, many at once, without reading their JSON."""

from __future__ import annotations

import re
from collections.abc import Callable
from operator import itemgetter

import msgspec

from nexus_core.dialects.hub.chunk_bytes import SPECIAL, rewrite_texts

_TEXT = re.compile(rb' ?: ?"((?:[^"\\]|\\.)*)"')  # behind its name
# Random letters that OpenAI puts behind a text, so that its length can't be seen from outside.
_PADDING = re.compile(rb'"obfuscation": ?"([A-Za-z0-9]*)"}$')
_LETTERS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_NEXT_LINE = b"\n{"
_TRIES = 8  # of that which may fail
# Bytes to look at together. Those behind an event that is not alike are looked at once more, so
# fewer are taken where there are such events.
_MOST, _LEAST = 1024 * 1024, 2 * 1024
_FEW = 16  # events that are looked at one by one, if one of them is not alike
_SHORT = 8  # bytes


class Continued(msgspec.Struct, gc=False):
    """What events in a row say that only continue a text."""

    end: int  # where they end in the data
    taken: int  # events
    texts: list[bytes]  # as JSON, without quotation marks; empty ones are left out
    text_bytes: int
    characters: int
    given_bytes: int  # of the texts as they came
    has_escapes: bool  # in the texts as they came
    tails: bytes  # what stands behind the texts, as objects of JSON, one a line


class TextRun:
    """Events in a row that are alike: nothing but a text changes, and what `varying` allows.

    An event is, in this order: what is the same in all of them, the text, what is the same again,
    and a tail. A tail is the same but for the bytes in `varying`.
    """

    __slots__ = (
        "_after",
        "_before",
        "_begins",
        "_between",
        "_cut_text",
        "_end",
        "_fixed",
        "_is_shared",
        "_most",
        "_next",
        "_same_tails",
        "_separator",
        "_tail",
        "_taken",
        "_tries",
        "_varying",
    )

    def __init__(
        self, before: bytes, after: bytes, tail: bytes, varying: bytes, separator: bytes
    ) -> None:
        """`separator` is what stands between events."""
        self._before = before
        self._after = after
        self._separator = separator
        self._end = after + tail + separator  # of most events, byte for byte
        self._between = self._end + before
        # Of an event without its end: faster than a slice in a loop.
        self._cut_text: Callable[[bytes], bytes] = itemgetter(slice(len(before), None))
        # A search takes the longer to begin, the longer it is what is searched.
        self._next, self._begins = separator + before[:_SHORT], before[_SHORT:]
        self._fixed = len(before + after + separator) - len(_NEXT_LINE)  # of one, beside a tail
        self._same_tails = b"{" + tail + b"\n" if varying else b""
        fixed = tail.translate(None, varying)
        self._tail = fixed + _NEXT_LINE
        self._varying = varying
        self._tries = _TRIES if fixed == tail else 0
        self._most = _MOST
        self._is_shared = False
        self._taken: tuple[bytes, int, Continued] | None = None  # last, where it is shared

    @classmethod
    def like(
        cls, event: bytes, *, name: bytes, tail_at: int, varying: bytes, separator: bytes
    ) -> TextRun | None:
        """The run of an event that is known to be one; None where its parts aren't easily found.

        Args:
            event: one of one text, without the separator behind it.
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
        return cls(before, after, tail, varying, separator)

    @classmethod
    def of_chunk(cls, event: bytes, *, name: bytes, separator: bytes) -> TextRun | None:
        """The same of one of the hub's chunks."""
        padding = _PADDING.search(event) if event.endswith(b'"}') else None
        if padding is None:
            return cls.like(event, name=name, tail_at=len(event), varying=b"", separator=separator)
        return cls.like(
            event, name=name, tail_at=padding.start(1), varying=_LETTERS, separator=separator
        )

    def shared_by(self, other: TextRun) -> bool:
        """Share what is found with the owner of a run of the same events, by its `take_again`."""
        self._is_shared = self._events == other._events
        return self._is_shared

    @property
    def _events(self) -> tuple[bytes, ...]:
        """What tells which events these are."""
        return self._before, self._after, self._tail, self._varying, self._separator

    def take_again(self, data: bytes, at: int) -> Continued | None:
        """What `take` gave for the same data just now, or gives for it."""
        taken, self._taken = self._taken, None
        if taken is not None and taken[0] is data and taken[1] == at:
            return taken[2]
        found, self._taken = self.take(data, at), None
        return found

    def take(self, data: bytes, at: int) -> Continued | None:
        """Take as many events from there on as are alike; None where the first one is not."""
        before = self._before
        if not data.startswith(before, at):
            return None
        looked_at, found = data[at : at + self._most], None
        if self._tries:
            # Nearly always they differ in nothing but the text.
            events = looked_at.split(self._end)
            events.pop()  # what is behind the last end
            texts = list(map(self._cut_text, events))
            together = b" ".join(texts)
            is_plain = together.translate(None, SPECIAL) == together and together.isascii()
            if is_plain and looked_at.startswith(self._between.join(texts), len(before)) and texts:
                taken = len(texts)
                size = len(together) - taken + 1
                if b"" in texts:
                    texts = [text for text in texts if text]  # nothing is said by the others
                end = taken * len(self._between) + size
                lines = (self._same_tails * taken)[:-1]
                found = Continued(end, taken, texts, size, size, size, False, lines)
            else:
                found = self._continued(looked_at, texts, None)
                self._tries -= found is None
        if found is None:
            texts, tails = self._with_tails(looked_at)
            try:
                found = self._all(looked_at, texts, tails)
            except ValueError:
                found = self._continued(looked_at, texts, tails)
        if found is None:
            self._most = _LEAST
            return None
        if found.end < len(looked_at):
            self._most = max(_LEAST, 2 * found.end)
        elif self._most < _MOST:
            self._most *= 2
        found.end += at
        if self._is_shared:
            self._taken = data, at, found
        return found

    def _with_tails(self, data: bytes) -> tuple[list[bytes], list[bytes]]:
        """Texts and tails of the events that begin alike."""
        texts: list[bytes] = []
        tails: list[bytes] = []
        begins, after, start = self._begins, self._after, len(self._begins)
        events = data[_SHORT:].split(self._next)
        last, is_whole, _ = events.pop().partition(self._separator)
        if is_whole:
            events.append(last)
        for event in events:
            text, is_there, tail = event.rpartition(after)
            if not (is_there and text.startswith(begins)):
                break
            texts.append(text[start:])
            tails.append(tail)
        return texts, tails

    def _continued(
        self, data: bytes, texts: list[bytes], tails: list[bytes] | None
    ) -> Continued | None:
        """What they say up to the first that is not alike; None if that is the first of all.

        Of many that are not all alike, fewer may be taken.

        Args:
            data: begins with the first of them.
            tails: None where all of them are as in the first event.
        """
        while texts:
            try:
                return self._all(data, texts, tails)
            except ValueError:
                alike = self._first_alike(data, texts, tails)
                texts, tails = texts[:alike], tails and tails[:alike]
        return None

    def _first_alike(self, data: bytes, texts: list[bytes], tails: list[bytes] | None) -> int:
        """How many may be alike, where all are not.

        An event that has others behind it is cut off before them.
        """
        for number, tail in enumerate(tails or ()):
            event, is_more, _ = (texts[number] + self._after + tail).partition(self._separator)
            if is_more and tails is not None:
                texts[number], is_there, tails[number] = event.rpartition(self._after)
                return number + bool(is_there)
        if len(texts) > _FEW:
            return len(texts) // 2
        for number in range(len(texts)):
            try:
                self._all(data, texts[: number + 1], tails and tails[: number + 1])
            except ValueError:
                return number
        return 0

    def _all(self, data: bytes, texts: list[bytes], tails: list[bytes] | None) -> Continued:
        """What all of them say.

        Raises:
            ValueError: one is not alike, or there is none.
        """
        if not texts:
            raise ValueError("no event")
        taken = len(texts)
        if tails is None:
            if not data.startswith(self._between.join(texts), len(self._before)):
                raise ValueError("another beginning")
            end, lines = taken * len(self._between), (self._same_tails * taken)[:-1]
        else:
            joined = _NEXT_LINE.join(tails)
            if joined.translate(None, self._varying) + _NEXT_LINE != self._tail * taken:
                raise ValueError("another tail")
            lines = b"{" + joined
            end = taken * self._fixed + len(joined) + len(_NEXT_LINE)
        rewritten, text_bytes, characters = rewrite_texts(texts)
        has_escapes = rewritten is not texts
        given_bytes = len(b"".join(texts)) if has_escapes else text_bytes
        if b"" in rewritten:
            rewritten = [text for text in rewritten if text]  # nothing is said by the others
        return Continued(
            end + given_bytes,
            taken,
            rewritten,
            text_bytes,
            characters,
            given_bytes,
            has_escapes,
            lines,
        )
