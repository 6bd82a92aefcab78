"""The request envelope: one client request as routing, money and proxy see it, in any format."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from nexus_core.types import Capability, DialectName, JsonObject, Operation

MAX_MODEL_CHARS = 256  # of a model's name


class Demand(msgspec.Struct, frozen=True):
    """Requirements of a request on model and backend, read by its dialect; holds no prompt text."""

    capabilities: frozenset[Capability] = frozenset()
    prompt_tokens: int = 0  # estimated
    completion_limit: int | None = None  # tokens of one answer; None: the client set no limit
    choices: int = 1  # number of answers requested
    wants_usage: bool = False  # the client requested usage in its stream
    # One number for each beginning of the conversation, the shortest first: equal for requests
    # that begin with the same messages. Meaningless outside this process.
    prefixes: tuple[int, ...] = ()
    # Where a capability is asked for by one field, its first place: messages[0].content[1].
    places: tuple[tuple[Capability, str], ...] = ()
    # One number for each session of a client and model, as prefixes; None: the client tells none.
    session: int | None = None

    def place_of(self, capability: Capability) -> str | None:
        """Path of the first field that needs the capability; None if the whole request does."""
        return dict(self.places).get(capability)


NO_DEMAND = Demand()


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One client request, read and checked once by the dialect it came in."""

    id: str  # the same in headers, logs, events and ledger
    path: str  # of the inbound API, as its pattern is published
    dialect: DialectName
    operation: Operation
    model: str  # as the client named it
    is_streaming: bool
    demand: Demand
    body: bytes  # the very bytes that came
    spans: Mapping[str, tuple[int, int]]  # of values in it that a dialect may replace
    parsed: JsonObject  # the body; only dialects and translators look into it
    # Headers of its format, such as its version: they pass to a backend that speaks the format.
    headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """What may be shown: no prompt."""
        return f"Request(id={self.id!r}, path={self.path!r}, model={self.model!r})"

    @property
    def place(self) -> str:
        """The path, in which a format may have the model's name: where it would be sent again."""
        return self.path

    def mentions(self, phrase: str) -> bool:
        """Whether the body contains the phrase, JSON escapes included."""
        if phrase.encode() in self.body:
            return True
        if b"\\u" not in self.body:
            return False
        # What is too long to be looked at may hold anything.
        is_long = len(self.body) > _MAX_SEARCHED_BYTES
        return is_long or phrase in json.dumps(self.parsed, ensure_ascii=False)


_MAX_SEARCHED_BYTES = 1024 * 1024


def with_headers(request: Request, headers: tuple[tuple[str, str], ...]) -> Request:
    """The request with headers of its format."""
    return msgspec.structs.replace(request, headers=headers) if headers else request


def of_session(request: Request, session: object) -> Request:
    """The request as one of a session, by the id that its client gives it."""
    key = hash((request.model, session))
    return replace(request, demand=replace(request.demand, session=key))
