"""A wire format, and what only some can: streams inside whole answers, numbered events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import msgspec

from nexus_core.dialects.base.bridge import Bridge
from nexus_core.dialects.base.report import AnswerReading, AskedWait, ErrorReport
from nexus_core.dialects.base.stream import StreamReader
from nexus_core.dialects.request import Request
from nexus_core.errors import NexusError
from nexus_core.types import DialectName, Operation, PromptParts


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
