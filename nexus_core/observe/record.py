"""The record of a request: everything known of it, from its first byte to the ledger's row."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Protocol, TypeAlias

import msgspec

from nexus_core.catalog import BackendType
from nexus_core.known_secrets import SECRETS
from nexus_core.observe.events import (
    Attempt,
    AttemptFailed,
    Considered,
    RequestRefused,
    RouteDecided,
    TokenUsage,
)
from nexus_core.observe.operation_stats import OperationStats
from nexus_core.observe.origin.origin import NO_ORIGIN, Origin
from nexus_core.types import API_NAMES, Cost, CountMethod, DialectName, PrivacyZone, RouteReason

Headers: TypeAlias = tuple[tuple[str, str], ...]
KeptHeaders: TypeAlias = tuple[tuple[bytes, bytes], ...]  # as on the wire, credentials masked
HeaderLines: TypeAlias = bytes  # `name: value`, with CRLF between them: one object for many


class Deciding(Protocol):
    """A routing decision, as far as a record keeps it."""

    @property
    def considered(self) -> tuple[Considered, ...]:
        """In order of preference, the dropped ones last."""
        ...


class DecisionToTell(msgspec.Struct, frozen=True, gc=False):
    """Of a decision only what is told of it."""

    considered: tuple[Considered, ...]


class RequestRecord(msgspec.Struct, eq=False, gc=False):
    """One request, however far it is: numbers and references only, never a prompt or an answer.

    `RequestProgress` alone writes to it, or `phases.take` where a request is read back from events.
    Statistics, the list of recent requests, the log line, the ledger's row and every screen read
    it; its events are made from it when somebody reads them.
    """

    request_id: str
    at: float  # when it came, in seconds since the epoch
    endpoint: str = ""  # the path; empty of a call that was refused before it was routed
    asked_model: str = ""
    is_streaming: bool = False
    client: str | None = None  # the name of the client key; None without client keys
    asked_headers: KeptHeaders = ()
    body_bytes: int = 0
    replay_of: str | None = None  # the request an operator sent again with this one
    origin: Origin = NO_ORIGIN  # the program and session that it came from
    refused: RequestRefused | None = None  # before it was routed

    # Of the latest attempt; at the end, of the backend whose answer or failure the client got.
    attempt: int = 0  # 1 for the first backend tried
    decided_at: float = 0.0
    backend: str | None = None
    backend_type: BackendType | None = None
    zone: PrivacyZone | None = None
    reason: RouteReason | None = None
    route_model: str | None = None  # the backend's own name of the model
    resolved: tuple[str, ...] = ()  # the asked model, then each alias it went through
    decision: Deciding | None = None
    replaced: tuple[RouteDecided, ...] = ()  # what was decided for earlier attempts
    failures: tuple[AttemptFailed, ...] = ()

    # Of the answer.
    began_at: float = 0.0
    status: int | None = None  # what the client got; None while it is unknown
    first_byte_ms: float | None = None  # since the request came
    answer_headers: HeaderLines = b""  # as the client gets them

    # Known at the end.
    ended_at: float | None = None  # None: not over
    failed: bool = False  # by Nexus or a backend; a client's own 4xx or leaving is no failure
    client_left: bool = False
    error: str | None = None  # for people: never holds a key, a prompt or a body
    # What went wrong, for programs: a NexusError's code, also where it is told inside a stream, or
    # `upstream_429` for a backend's error that is passed on. None of a client that left.
    error_code: str | None = None
    total_ms: float | None = None
    overhead_ms: float | None = None  # Nexus's own share up to the first byte
    upstream_ms: float | None = None  # waiting for backends up to it; None: another Nexus's
    usage: TokenUsage | None = None  # None when nothing was answered
    counted: CountMethod | None = None  # how the tokens are known
    estimated: Cost | None = None  # what was expected before it was sent; cloud only
    cost: Cost | None = None  # what it cost; cloud only
    is_unpriced: bool = False  # it cost something, and nobody knows how much
    is_partial: bool = False  # the answer broke off; the tokens are those seen until then
    saved: Cost | None = None  # of a local answer: what the asked cloud model would have cost
    saved_model: str | None = None

    # Of a fleet: the replica that has it, where this process is another one or shows several.
    replica: str | None = None

    seq: int = 0  # ascending in order of arrival, without gaps
    version: int = 0  # another one after every phase, so that what was drawn of it can be kept
    operation: OperationStats | None = None  # what the latest attempt is counted under

    @property
    def is_live(self) -> bool:
        return self.ended_at is None and self.refused is None

    @property
    def time(self) -> str:
        """When it came, as ISO 8601 in UTC with milliseconds."""
        return datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds")

    @property
    def path(self) -> str | None:
        """Of a call that was refused before it was routed."""
        return self.refused.path if self.refused else None

    @property
    def api(self) -> str:
        """`chat`, `messages`, `embeddings`, …: what its path has after the version."""
        return api_at(self.endpoint or self.path or "")

    @property
    def model(self) -> str:
        """`gpt-4 → llama3:70b` where the name that was asked for is not the one that answered."""
        served = self.served_model
        if served is None or served == self.asked_model:
            return self.asked_model
        return f"{self.asked_model} → {served}"

    @property
    def served_model(self) -> str | None:
        """The backend's own name of the model; None where no backend was selected."""
        return self.route_model if self.backend is not None else None

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The failed ones, in order."""
        return tuple([event.attempt for event in self.failures]) if self.failures else ()

    @property
    def tried(self) -> int:
        """Number of backends tried: those that failed, and the one that did not."""
        failed, backend = self.failures, self.backend
        # Where nobody answered, the client got the failure of one of them, not always the last one.
        has_failed = bool(failed) and any(event.attempt.backend == backend for event in failed)
        return len(failed) + (backend is not None and not has_failed)

    @property
    def considered(self) -> tuple[Considered, ...]:
        """Every backend, in order of preference, the dropped ones last."""
        return () if self.decision is None else self.decision.considered

    @property
    def has_error(self) -> bool:
        """An error for the client, or an answer that broke off."""
        if self.client_left:
            return False
        is_broken = self.ended_at is not None and (self.failed or self.error is not None)
        return is_broken or (self.status or 0) >= 400

    @property
    def tokens(self) -> int | None:
        """Tokens of prompt and answer together; None where unknown."""
        usage = self.usage
        return usage.prompt_tokens + usage.completion_tokens if usage else None

    @property
    def cost_usd(self) -> Decimal | None:
        """Cost in dollars; None where it is unknown, and where an answer costs nothing: never 0."""
        return self.cost.usd if self.cost else None

    @property
    def is_estimated(self) -> bool:
        """Its tokens, and so its cost, are Nexus's own count: the backend reported no usage."""
        is_known = self.usage is not None or self.cost is not None
        return is_known and self.counted is not CountMethod.REPORTED

    @property
    def request_headers(self) -> Headers:
        return as_text(self.asked_headers)

    @property
    def response_headers(self) -> Headers:
        return as_text(header_pairs(self.answer_headers))


def as_text(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Headers for people and JSON: what is a secret of this process is cut out."""
    return tuple([_pair_as_text(*pair) for pair in headers])


def as_bytes(headers: Iterable[tuple[str, str]]) -> KeptHeaders:
    """The same headers again; what no header can hold is replaced."""
    return tuple(
        (name.encode("latin-1", "replace"), value.encode("latin-1", "replace"))
        for name, value in headers
    )


def header_pairs(lines: HeaderLines) -> list[tuple[bytes, bytes]]:
    """Names and values of header lines."""
    parted = [line.partition(b": ") for line in lines.split(b"\r\n")] if lines else []
    return [(name, value) for name, _, value in parted]


def header_lines(headers: Iterable[tuple[str, str]]) -> HeaderLines:
    """The lines of headers; what no line can hold is replaced."""
    text = "\r\n".join([f"{_one_line(name)}: {_one_line(value)}" for name, value in headers])
    return text.encode("latin-1", "replace")


def _one_line(text: str) -> str:
    return text.replace("\r", "?").replace("\n", "?")


@lru_cache(maxsize=64)
def api_at(path: str) -> str:
    """The API of a path: `chat`, `messages`, …; `ollama` and `gemini` have more than one path."""
    if path.startswith("/api/"):
        return API_NAMES[DialectName.OLLAMA]
    if path.startswith("/v1beta/"):
        return API_NAMES[DialectName.GEMINI]
    _, _, after_version = path.strip("/").partition("/")
    return after_version.partition("/")[0]


@lru_cache(maxsize=1024)  # most are those of the request before
def _pair_as_text(name: bytes, value: bytes) -> tuple[str, str]:
    return name.decode("latin-1"), SECRETS.cut(value).decode("latin-1")


SECRETS.watch(_pair_as_text.cache_clear)
