"""Classify the beginning of a streamed answer: content, error, or no stream. Pure; any dialect."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import TypeAlias, assert_never

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.base.stream import OpeningState
from nexus_core.dialects.sse import EventSplitter, Shape, SseEvent, read_event, shape_of

_FIRST_BYTES = 1024  # that are looked at together
_LARGEST_ERROR_BYTES = 64 * 1024  # an event that goes on beyond this is content

_NOTHING_CAME = ErrorReport("the stream ended without any content", status=502)


class Weight(Enum):
    """Significance of a stream event that comes before content."""

    NOTHING = auto()  # a ping, no data
    PREFACE = auto()  # a usage, an empty list of choices: the server responds
    CHOICE = auto()  # the same with a choice that says nothing yet, a role at most
    CONTENT = auto()  # or an end that a model gave
    END = auto()  # the mark that nothing follows


Weigh: TypeAlias = Callable[[str, str], Weight | ErrorReport]


class StreamOpening:
    """The first bytes of a streamed answer, kept in `held` until they are classified.

    The result is the same wherever the bytes are split.
    """

    def __init__(self, weigh: Weigh, clean: Callable[[str], str] = str) -> None:
        """
        Args:
            weigh: classifies an event by its type and its data.
            clean: removes the backend's key from error texts.
        """
        self.held = bytearray()
        self.shape = Shape.UNKNOWN
        self.state = OpeningState.WAITING
        self.report: ErrorReport | None = None  # where it is faulty
        self.reported = ""  # the data of the event that says so
        self._weigh = weigh
        self._clean = clean
        self._events = EventSplitter()
        self._parsed = 0  # bytes of `held`
        self._has_choice = False

    def feed(self, chunk: bytes) -> OpeningState:
        """Add bytes of the stream; gives the new state. After BEGUN nothing more has to be fed."""
        self.held += chunk
        if self.shape is Shape.UNKNOWN:
            self.shape = shape_of(self.held)
            if self.shape is Shape.UNKNOWN:
                return self.state
        if self.shape is not Shape.EVENTS:
            is_whole = self.shape is Shape.JSON
            self.state = OpeningState.WHOLE if is_whole else OpeningState.NO_STREAM
            return self.state
        if self.state in (OpeningState.WAITING, OpeningState.PREFACE):
            self._weigh_new()
        return self.state

    def end(self) -> OpeningState:
        """Note the end of the body; a last event without its blank line counts too."""
        if self.shape is Shape.EVENTS and not self._is_settled:
            self._take_first(self._events.finish())
        return self.state

    @property
    def _is_settled(self) -> bool:
        return self.state in (OpeningState.BEGUN, OpeningState.FAULTY)

    def _weigh_new(self) -> None:
        held, size = self.held, _FIRST_BYTES
        try:
            # Piece by piece: the first event tells nearly always, and many may have come with it.
            # Each is twice as long as the last: what does not end is gone through with each piece.
            while self._parsed < len(held):
                new = bytes(held[self._parsed : self._parsed + size])
                self._parsed += len(new)
                size *= 2
                if self._take_first(self._events.feed(new)):
                    return
            is_long = self._events.pending_bytes > _LARGEST_ERROR_BYTES
        except ValueError:  # a line or an event without end
            is_long = True
        if is_long and not self._is_in_comment():
            self.state = OpeningState.BEGUN

    def _take_first(self, events: list[bytes]) -> bool:
        """Classify events up to the one that decides the state; False if none does."""
        for data in events:
            event = read_event(data)
            if event is not None and self._take(event):
                return True
        return False

    def _is_in_comment(self) -> bool:
        line = 1 + max(self.held.rfind(b"\n"), self.held.rfind(b"\r"))
        return self.held.startswith(b":", line)

    def _end_of_data(self) -> None:
        if self._has_choice:  # what was chosen may be empty
            self.state = OpeningState.BEGUN
        else:
            self.state, self.report = OpeningState.FAULTY, _NOTHING_CAME

    def _take(self, event: SseEvent) -> bool:
        """Classify an event; True if it decides the state."""
        if len(event.data) > _LARGEST_ERROR_BYTES:
            self.state = OpeningState.BEGUN
            return True
        data = event.data
        weight = self._weigh(event.event, data)
        if isinstance(weight, ErrorReport):  # now its words matter
            data = self._clean(data)
            weight = self._weigh(event.event, data)
        match weight:
            case ErrorReport():
                self.state, self.report, self.reported = OpeningState.FAULTY, weight, data
            case Weight.CONTENT:
                self.state = OpeningState.BEGUN
            case Weight.CHOICE:
                self.state, self._has_choice = OpeningState.PREFACE, True
            case Weight.PREFACE:
                self.state = OpeningState.PREFACE
            case Weight.NOTHING:
                pass
            case Weight.END:
                self._end_of_data()
            case _:
                assert_never(weight)
        return self._is_settled
