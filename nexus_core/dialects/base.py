"""The Dialect protocol: reading and writing one wire format, and the values read from it.

Pure: bytes in, values out. Money, routing and proxy use a wire format only through this protocol.
`Call.dialect` names the dialect in which a backend's answer comes.

Between a client's format and a backend's:

| client's format | request | answer |
| --- | --- | --- |
| the backend's own | the bytes pass, but for the model's name | the bytes pass |
| the hub's (`dialects/hub/`) | translated by the provider | translated by the provider |
| another | `Bridge.to_hub`, then as a request in the hub's format | as an answer in the hub's
  format, judged as such, then written anew by `Bridge.writer` |

So a dialect knows its own format and the hub's, and no third; and nothing is translated twice where
the formats are the same. `providers.foreign` does the third row, for every provider.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum, auto
from typing import Protocol, runtime_checkable

import msgspec

from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.request import Request
from nexus_core.errors import NexusError
from nexus_core.observe.events import TokenUsage
from nexus_core.types import DialectName, Operation, PromptParts


class ErrorReport(msgspec.Struct, frozen=True):
    """An error read from a body or a stream event; `proxy.judge` decides what follows from it."""

    words: str = ""  # the provider's message; empty: it gives none
    code: str = ""  # its types and codes, as words: "rate_limit_error rate_limit_exceeded"
    status: int | None = None  # the HTTP status stated in it
    prompt_tokens: int | None = None  # of a prompt that is too long, where fields tell it
    window_tokens: int | None = None  # the longest it may be


class AskedWait(msgspec.Struct, frozen=True):
    """Retry delays stated in an error's body, unparsed; `proxy.retry_after` reads the seconds."""

    delays: tuple[str, ...] = ()  # durations, "34.07s": the first that makes sense counts
    headers: Mapping[str, str] = msgspec.field(
        default_factory=dict[str, str]
    )  # of the server behind it
    message: str = ""  # for people; it may name a time


class AnswerReading(msgspec.Struct, frozen=True):
    """Usage, service tier and error of a whole answer that came with a 2xx status."""

    report: ErrorReport | None = None  # why it is no answer
    usage: TokenUsage | None = None
    service_tier: str | None = None  # the tier used; each tier has its own prices


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


class StreamWriter(Protocol):
    """Writer of one streamed answer: whole lines of the hub's stream in, the client's bytes out."""

    def write(self, lines: bytes, run: TextRun | None = None) -> bytes:
        """What these lines are for the client, read before with `run`; the first call begins it.

        Raises:
            ValueError: they can't be written in the client's format.
        """
        ...

    def end(self, usage: TokenUsage | None) -> bytes:
        """The end of a complete answer. None: the backend reported no usage."""
        ...

    def fail(self, report: ErrorReport) -> bytes:
        """The error that the backend reported in the middle of its stream."""
        ...


class AnswerWriter(Protocol):
    """Writer of the answer to one request in the client's format, from the hub's."""

    @property
    def stream_type(self) -> str:
        """Media type of its streams."""
        ...

    def whole(self, body: bytes, usage: TokenUsage | None) -> bytes:
        """Write a whole answer.

        Raises:
            ValueError: it is not an answer in the hub's format.
        """
        ...

    def error(self, body: bytes, status: int, retry_after: str | None = None) -> bytes:
        """Write an error answer, whatever form its body has.

        `retry_after`: seconds to wait, for a format that says so in the body.
        """
        ...

    def stream(self) -> StreamWriter:
        """Create the writer of a stream."""
        ...


class HubTarget(Enum):
    """Kind of server that a request in the hub's format is for."""

    CLOUD = auto()  # OpenAI's format, and strict about fields that it doesn't know
    LOCAL = auto()  # OpenAI's format, by a local server
    TRANSLATOR = auto()  # a provider that translates the hub's format


class HubRequest(msgspec.Struct, frozen=True):
    """A request in the hub's format, and what that has no place for."""

    request: Request
    dropped: tuple[str, ...] = ()  # fields of the client; X-Nexus-Dropped-Params


class Bridge(Protocol):
    """The way between a dialect and the hub's format, for backends of other formats."""

    def to_hub(self, request: Request, target: HubTarget) -> HubRequest:
        """Translate a request.

        Raises:
            InvalidRequestError: a field is invalid, or asks for what only the dialect's own
                vendor has.
        """
        ...

    def writer(self, request: Request, model: str) -> AnswerWriter:
        """Create the writer of its answer; `model` is the backend's name of it."""
        ...


class StreamCollector(Protocol):
    """Adds up a stream to the whole answer; a ValueError of both: it is not of this format."""

    def feed(self, data: bytes) -> None:
        """Take bytes of the stream, in the client's format."""
        ...

    def whole(self) -> bytes:
        """The whole answer that the backend would have given, once the stream has ended."""
        ...


class InnerStream(msgspec.Struct, frozen=True, eq=False):
    """A request for a whole answer as one for a stream, and what makes that whole again."""

    request: Request
    collector: Callable[[], StreamCollector]


@runtime_checkable
class StreamsInside(Protocol):
    """A dialect whose whole answers can be made of its streams, with nothing lost."""

    def inner_stream(self, request: Request) -> InnerStream | None:
        """The request as one for a stream; None where a stream can't tell all it asks for."""
        ...


@runtime_checkable
class NumbersEvents(Protocol):
    """A dialect whose events are numbered, and belong to one answer that each of the last names."""

    def error_event_after(
        self, error: NexusError, request_id: str, first: bytes, last: bytes
    ) -> bytes:
        """Write one of Nexus's own errors as the event that ends a stream.

        Args:
            first: what was sent of the stream first.
            last: what was sent last.
        """
        ...


class Dialect(Protocol):
    """A wire format: reading its requests, and reading and writing its answers and errors."""

    @property
    def name(self) -> DialectName: ...

    @property
    def paths(self) -> Mapping[Operation, str]:
        """URL path of each operation in this API."""
        ...

    @property
    def stream_type(self) -> str:
        """Media type of its streams."""
        ...

    @property
    def event_end(self) -> bytes:
        """What ends an event of its streams."""
        ...

    @property
    def passed_headers(self) -> frozenset[bytes]:
        """Request headers that belong to the format, and go with it to backends that speak it."""
        ...

    @property
    def request_id_header(self) -> bytes | None:
        """Response header in which its clients look for a request's id, beside X-Nexus-*."""
        ...

    @property
    def bridge(self) -> Bridge | None:
        """The way to backends of other formats; None: the format is the hub's own."""
        ...

    # Requests ---------------------------------------------------------------------------------

    def read_request(self, operation: Operation, body: bytes, request_id: str = "") -> Request:
        """Parse and validate a client's request body.

        Raises:
            InvalidRequestError: the body is not valid for this API; names the field.
        """
        ...

    def read_prompt(self, request: Request) -> PromptParts:
        """Texts, images and tools of a request's prompt, for counting its tokens."""
        ...

    def write_passed(self, request: Request, model: str) -> bytes:
        """The body for a server of others that speaks this format: with its name of the model."""
        ...

    # Answers ----------------------------------------------------------------------------------

    def read_answer(
        self, request: Request, body: bytes, *, wants_usage: bool = True
    ) -> AnswerReading:
        """Read a whole answer that came with a 2xx status.

        Raises:
            ValueError: the body is not in this format; the message is for people.
        """
        ...

    def text_bytes(self, body: bytes, /) -> int:
        """Bytes of the model's text in a whole answer."""
        ...

    def as_stream(self, request: Request, body: bytes) -> bytes:
        """Turn a whole answer into the stream the client requested.

        Raises:
            ValueError: the answer can't be streamed: too long, or not in this format.
        """
        ...

    def read_stream(
        self, request: Request, clean: Callable[[str], str], *, hides_usage: bool
    ) -> StreamReader:
        """Create the reader of one streamed answer.

        Args:
            clean: removes the backend's key from error texts.
            hides_usage: remove chunks that only report usage: the client did not request them.
        """
        ...

    # Errors -----------------------------------------------------------------------------------

    def read_error(self, body: bytes) -> ErrorReport:
        """Read the error in the body of an answer with an error status."""
        ...

    def read_wait(self, body: bytes) -> AskedWait:
        """Read the retry delays stated in an error's body."""
        ...

    def as_error(self, body: bytes, words: str, status: int) -> bytes:
        """Body of an error answer for an error that came with a 2xx status; unchanged if valid."""
        ...

    def write_error(self, words: str, kind: str) -> bytes:
        """Write a provider's error in this format; `kind` is the provider's error type."""
        ...

    def status(self, error: NexusError) -> int:
        """HTTP status of one of Nexus's own errors, where the format's clients know another one."""
        ...

    def error(self, error: NexusError, request_id: str = "") -> bytes:
        """Write one of Nexus's own errors as a response body."""
        ...

    def ping(self, request: Request) -> bytes:
        """A sign of life, which may stand between two events of a stream; empty: there is none."""
        ...

    def error_event(self, error: NexusError, request_id: str = "") -> bytes:
        """Write one of Nexus's own errors as a whole event, for a stream that has begun."""
        ...
