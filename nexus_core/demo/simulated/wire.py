"""The protocol between a simulated server and its wire formats."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from nexus_core.demo.simulated.answers import Answer, Asked, Embeddable
from nexus_core.types import JsonObject


class Kind(Enum):
    """Kind of a POST request."""

    CHAT = auto()
    CHAT_STREAM = auto()  # where the address says that it is one
    COMPLETION = auto()  # OpenAI's older kind
    EMBEDDINGS = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """A request, read by a wire format."""

    kind: Kind
    body: JsonObject
    headers: Mapping[str, str]  # names in any case
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    model: str | None = None  # where the address names it


class Problem(Enum):
    """Kind of an error answer."""

    BAD_REQUEST = auto()
    WRONG_KEY = auto()
    NO_SUCH_MODEL = auto()
    BUSY = auto()  # too many requests; says when to come back
    OVERLOADED = auto()


RETRY_SECONDS = 7  # that a busy server asks to wait


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    """An error in the provider's wording."""

    status: int
    body: JsonObject
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class BadRequestError(Exception):
    """The provider would refuse the request; the message is in its words."""


Listing = Callable[[tuple[str, ...], Mapping[str, str]], JsonObject]  # of models, for a query


class WireFormat(Protocol):
    """Wire format of one provider's API, server side."""

    posts: Mapping[str, Kind]  # by path; {model} in it stands for one
    gets: Mapping[str, Listing]
    free: Mapping[str, Listing]  # the same, for anybody

    def presents(self, key: str, headers: Mapping[str, str]) -> bool:
        """Whether a request bears this key where the provider looks for it."""
        ...

    def read(self, incoming: Incoming) -> Asked:
        """A request for a completion.

        Raises:
            BadRequestError: the provider would refuse it.
            ValueError, LookupError, TypeError, AttributeError: it has not the right shape.
        """
        ...

    def read_embeddable(self, incoming: Incoming) -> Embeddable:
        """A request for embeddings; raises what `read` does."""
        ...

    def whole(self, answer: Answer, incoming: Incoming) -> JsonObject:
        """The answer as one body."""
        ...

    def events(self, answer: Answer, incoming: Incoming) -> Iterator[bytes]:
        """The answer as a stream, to its end mark."""
        ...

    def embeddings(self, vectors: list[list[float]], tokens: int, incoming: Incoming) -> JsonObject:
        """The vectors as one body; `tokens` are those of the inputs."""
        ...

    def error(self, problem: Problem, message: str) -> ErrorAnswer:
        """A problem as the provider tells it."""
        ...

    def error_event(self, problem: Problem, message: str) -> bytes:
        """The same in the middle of a stream."""
        ...
