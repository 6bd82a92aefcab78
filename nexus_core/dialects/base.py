"""What a wire format does for everybody else: the Dialect protocol and the values it gives.

Pure: bytes in, values out. Money, routing and proxy know a format by nothing else. An agent gives
answers in the dialect that its call names, and says so in `Call.dialect`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from nexus_core.dialects.request import Request
from nexus_core.errors import NexusError
from nexus_core.observe.events import TokenUsage
from nexus_core.types import DialectName, Operation, PromptParts


@dataclass(frozen=True, slots=True)
class ErrorReport:
    """An error as a body or an event words it; what follows from it is for others to judge."""

    words: str = ""  # the provider's message; empty: it gives none
    code: str = ""  # its types and codes, as words: "rate_limit_error rate_limit_exceeded"
    status: int | None = None  # the HTTP status it tells


@dataclass(frozen=True, slots=True)
class AskedWait:
    """Where an error's body may say how long to stay away; `now` and units are for the reader."""

    delays: tuple[str, ...] = ()  # durations, "34.07s": the first that makes sense counts
    headers: Mapping[str, str] = field(default_factory=dict[str, str])  # of whoever is behind it
    message: str = ""  # for people; it may name a time


@dataclass(frozen=True, slots=True)
class AnswerReading:
    """What a whole answer under a good status tells."""

    report: ErrorReport | None = None  # why it is no answer
    usage: TokenUsage | None = None
    service_tier: str | None = None  # that served it: tiers have prices of their own


class OpeningState(Enum):
    """How far the beginning of a streamed answer has come."""

    WAITING = auto()  # nothing but comments and pings
    PREFACE = auto()  # somebody is there, and has said nothing yet
    BEGUN = auto()  # content
    FAULTY = auto()  # an error came before any content
    WHOLE = auto()  # a whole body in place of a stream
    NO_STREAM = auto()  # neither


class Opening(Protocol):
    """The first bytes of a streamed answer, held until it is known what they are."""

    @property
    def state(self) -> OpeningState: ...

    @property
    def held(self) -> bytearray:
        """All that was fed."""
        ...

    @property
    def report(self) -> ErrorReport | None:
        """Why it is faulty."""
        ...

    @property
    def reported(self) -> str:
        """The error as it came, with the backend's key cut out."""
        ...

    def feed(self, chunk: bytes) -> OpeningState:
        """Take in what came; once there is content nothing more has to be fed."""
        ...

    def end(self) -> OpeningState:
        """The body is over."""
        ...


class StreamReader(Protocol):
    """Follows one stream: one object, fed once for each read of the relay."""

    @property
    def opening(self) -> Opening: ...

    @property
    def usage(self) -> TokenUsage | None:
        """What the stream has told of it so far."""
        ...

    @property
    def service_tier(self) -> str | None: ...

    @property
    def text_bytes(self) -> int:
        """How much the model has said so far."""
        ...

    @property
    def report(self) -> ErrorReport | None:
        """The first error that it told in its middle."""
        ...

    @property
    def is_ended(self) -> bool:
        """Its end mark came."""
        ...

    @property
    def is_complete(self) -> bool:
        """It said that it is over, in one way or another."""
        ...

    @property
    def is_between_events(self) -> bool:
        """What was read last is whole: nothing of it is still to come."""
        ...

    def read(self, lines: bytes) -> bytes:
        """Take note of whole lines, the key cut out; what of them the client gets."""
        ...


class Dialect(Protocol):
    """A wire format: how requests in it are read, and answers in it told."""

    @property
    def name(self) -> DialectName: ...

    @property
    def paths(self) -> Mapping[Operation, str]:
        """Where its API publishes what can be asked for in it."""
        ...

    @property
    def stream_type(self) -> str:
        """The media type of its streams."""
        ...

    # Requests ---------------------------------------------------------------------------------

    def read_request(self, operation: Operation, body: bytes, request_id: str = "") -> Request:
        """Read and check what a client sent.

        Raises:
            InvalidRequestError: it is not what the API takes; names the field.
        """
        ...

    def read_prompt(self, request: Request) -> PromptParts:
        """What the tokens of its prompt are counted by."""
        ...

    # Answers ----------------------------------------------------------------------------------

    def read_answer(
        self, request: Request, body: bytes, *, wants_usage: bool = True
    ) -> AnswerReading:
        """What a whole body under a good status tells.

        Raises:
            ValueError: it is nothing of this format; says what, for people.
        """
        ...

    def text_bytes(self, body: bytes, /) -> int:
        """How much the model says in a whole answer."""
        ...

    def as_stream(self, request: Request, body: bytes) -> bytes:
        """A whole answer told as a stream, where one was asked for.

        Raises:
            ValueError: it can't be.
        """
        ...

    def read_stream(
        self, request: Request, clean: Callable[[str], str], *, hides_usage: bool
    ) -> StreamReader:
        """The reader of one streamed answer.

        Args:
            clean: cuts the backend's key out of what is told of an error.
            hides_usage: what only tells the usage is taken out: the client did not ask for it.
        """
        ...

    # Errors -----------------------------------------------------------------------------------

    def read_error(self, body: bytes) -> ErrorReport:
        """The error in a body that an error status announced."""
        ...

    def read_wait(self, body: bytes) -> AskedWait:
        """How long an error's body asks to stay away."""
        ...

    def as_error(self, body: bytes, words: str, status: int) -> bytes:
        """An error that came under a good status as an error's body; as it is, where it may be."""
        ...

    def write_error(self, words: str, kind: str) -> bytes:
        """A provider's error in this format; `kind` is its own word for it."""
        ...

    def error(self, error: NexusError) -> bytes:
        """Nexus's own error as a body."""
        ...

    def error_event(self, error: NexusError) -> bytes:
        """The same for a stream that has begun; it stands alone between two events."""
        ...
