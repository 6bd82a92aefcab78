"""The reader's side of a streamed answer: its beginning, and what is known of it so far."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.observe.events import TokenUsage


class OpeningState(Enum):
    """State of the beginning of a streamed answer: waiting, begun, faulty or no stream."""

    WAITING = auto()  # nothing but comments and pings
    PREFACE = auto()  # the server responds, without content so far
    BEGUN = auto()  # content
    FAULTY = auto()  # an error came before any content
    WHOLE = auto()  # a whole body in place of a stream
    NO_STREAM = auto()  # neither a stream nor a whole body


class Opening(Protocol):
    """The first bytes of a streamed answer, held until they are recognised as content or error."""

    @property
    def state(self) -> OpeningState: ...

    @property
    def held(self) -> bytes | bytearray:
        """The bytes fed so far, where they will be passed on as they came."""
        ...

    @property
    def report(self) -> ErrorReport | None:
        """The error in state FAULTY; None in every other state."""
        ...

    @property
    def reported(self) -> str:
        """The error event's data, without the backend's key."""
        ...

    def feed(self, chunk: bytes) -> OpeningState:
        """Add bytes of the stream; gives the new state. After BEGUN nothing more has to be fed."""
        ...

    def end(self) -> OpeningState:
        """Note the end of the body; gives the final state."""
        ...


class StreamState(Protocol):
    """What is known of a streamed answer so far: its beginning, usage, errors and end."""

    @property
    def opening(self) -> Opening: ...

    @property
    def usage(self) -> TokenUsage | None:
        """The usage reported so far; None before the first report."""
        ...

    @property
    def service_tier(self) -> str | None: ...

    @property
    def unreported_bytes(self) -> int:
        """Bytes of the model's text so far that no reported usage covers."""
        ...

    @property
    def report(self) -> ErrorReport | None:
        """The first error event after content had begun."""
        ...

    @property
    def is_ended(self) -> bool:
        """Whether the format's end mark came, such as `[DONE]`."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete: an end mark, or a finish reason for every choice."""
        ...

    @property
    def run(self) -> TextRun | None: ...  # what finds the hub's events of a text


class StreamReader(StreamState, Protocol):
    """Reader of one streamed answer: usage, errors and end mark; fed once per read of the relay."""

    @property
    def is_between_events(self) -> bool:
        """Whether the last line read ended an event, so that another event may be inserted."""
        ...

    def read(self, lines: bytes) -> bytes:
        """Read whole lines, already without the key; gives the bytes for the client."""
        ...
