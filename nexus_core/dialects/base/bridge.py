"""The way between a client's format and the hub's, for backends of other formats."""

from __future__ import annotations

from enum import Enum, auto
from typing import Protocol

import msgspec

from nexus_core.dialects.base.report import ErrorReport
from nexus_core.dialects.hub.text_run import TextRun
from nexus_core.dialects.request import Request
from nexus_core.observe.events import TokenUsage


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
