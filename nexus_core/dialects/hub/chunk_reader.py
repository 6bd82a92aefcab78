"""Read the hub's streams for those who write them in another format, texts in a row at once."""

from __future__ import annotations

from enum import Enum, auto
from typing import TypeAlias

import msgspec

from nexus_core.dialects.hub.chunk_bytes import TextFrame, decode_text
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.parsing import parse_json
from nexus_core.dialects.sse import EventSplitter, read_event, separator_before
from nexus_core.types import JsonObject, is_list, is_object

# The fields of a delta that a text may be in, and whether it is thinking.
_FIELDS = {"content": False, "text": False, "reasoning_content": True, "reasoning": True}
_DONE = b"data: [DONE]"
_SAY_NOTHING = {"index", "role"}  # fields of a choice or a delta beside its text


class Sign(Enum):
    """A sign of life from the backend: a comment between the events."""

    OF_LIFE = auto()


class Texts(msgspec.Struct, frozen=True, gc=False):
    """Deltas in a row of the first choice, each of nothing but a piece of one text."""

    is_thinking: bool
    pieces: list[bytes]  # as JSON, without quotation marks; none is empty
    size: int  # bytes of them together

    def decoded(self) -> list[str]:
        """The pieces themselves."""
        return [decode_text(piece) for piece in self.pieces]

    def joined(self) -> str:
        """All of them as one text."""
        return decode_text(b"".join(self.pieces))

    def in_frame(self, frame: TextFrame) -> bytes:
        """An event for each piece."""
        return frame.around(self.pieces)


# What an event says: its choices, or that the backend lives. Events that say nothing are left out.
Said: TypeAlias = Texts | list[JsonObject] | Sign


class ChunkReader:
    """Reader of one stream in the hub's format. Holds at most one event."""

    def __init__(self) -> None:
        self._events = EventSplitter()
        self._run: TextRun | None = None  # of the deltas that only continue a text
        self._is_thinking = False

    def read(self, lines: bytes, known: TextRun | None = None) -> list[Said]:
        """What whole lines say.

        Args:
            known: the run that another reader of these lines looks for.

        Raises:
            ValueError: a line or an event is too long.
        """
        said: list[Said] = []
        at, events = 0, self._events
        while at < len(lines):
            run = self._run if events.is_between else None
            found = None if run is None else run.take_again(lines, at)
            if found is not None:
                if found.texts:
                    said.append(Texts(self._is_thinking, found.texts, found.text_bytes))
                at = found.end
                continue
            whole, at = events.feed_one(lines, at)
            for event in whole:
                one = self._read_one(event, separator_before(lines, at), known)
                if one is not None:
                    said.append(one)
        return said

    def finish(self) -> list[Said]:
        """What a last event says that has no blank line behind it."""
        read = (self._read_one(event, b"", None) for event in self._events.finish())
        return [one for one in read if one is not None]

    def _read_one(
        self, data: bytes, separator: bytes, known: TextRun | None
    ) -> list[JsonObject] | Sign | None:
        if data == _DONE:
            return None
        event = read_event(data)
        if event is None:
            return Sign.OF_LIFE if data.lstrip().startswith(b":") else None
        if event.data.startswith("[DONE]"):
            return None
        try:
            fields = parse_json(event.data, allows_nan=True)
        except ValueError:
            return None
        choices = fields.get("choices") if is_object(fields) else None
        found = [choice for choice in choices if is_object(choice)] if is_list(choices) else []
        if is_list(choices) and len(choices) == len(found) == 1:
            self._learn(data, found[0], separator, known)
        return found or None

    def _learn(
        self, data: bytes, choice: JsonObject, separator: bytes, known: TextRun | None
    ) -> None:
        """Know the next events like this one by their bytes, if it only continues a text."""
        delta = choice.get("delta", choice)
        if choice.get("index") or not is_object(delta):
            return
        telling = {name for name, value in delta.items() if value} - _SAY_NOTHING
        if delta is not choice:
            telling |= {name for name, value in choice.items() if value} - {"delta", "index"}
        name = telling.pop() if len(telling) == 1 else ""
        if name in _FIELDS and isinstance(delta[name], str):
            self._is_thinking = _FIELDS[name]
            run = TextRun.of_chunk(data, name=f'"{name}"'.encode(), separator=separator)
            is_known = known is not None and run is not None and known.shared_by(run)
            self._run = known if is_known else run
