"""A request that is over, and one table of the facts that every reader shows of a request.

The log line, the ledger's row, `GET /nexus/requests`, exports, `nexus requests` and the list on
the screen take their keys and values from here, so that a new fact is one field and one line.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import Enum, auto
from operator import attrgetter
from typing import Any, Self

from nexus_core.observe.events import RequestFinished, RequestReceived
from nexus_core.types import nano_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOutcome(RequestFinished):
    """The finished request with what was asked; made once, and the event that says that it ended.

    As JSON it is a RequestFinished: a reader of events elsewhere got the question before.
    """

    received: RequestReceived
    upstream_ms: float | None = (
        None  # up to the first byte, waiting for backends; None: not reported
    )

    @classmethod
    def of(cls, finished: RequestFinished, received: RequestReceived) -> Self:
        """The outcome that the two events of another Nexus come to."""
        values = {one.name: getattr(finished, one.name) for one in fields(RequestFinished)}
        return cls(**values, received=received)

    @property
    def served_model(self) -> str | None:
        """The backend's own name of the model; None where no backend answered."""
        return self.model if self.backend is not None else None

    @property
    def tried(self) -> int:
        """How many backends were tried: those that failed, and the one that did not."""
        failed = self.attempts
        is_last_failed = bool(failed) and failed[-1].backend == self.backend
        return len(failed) + (self.backend is not None and not is_last_failed)

    @property
    def prompt_tokens(self) -> int | None:
        return self.usage.prompt_tokens if self.usage else None

    @property
    def completion_tokens(self) -> int | None:
        return self.usage.completion_tokens if self.usage else None

    @property
    def tokens(self) -> int | None:
        """Of prompt and answer together."""
        usage = self.usage
        return usage.prompt_tokens + usage.completion_tokens if usage else None

    # Dollars are None where unknown, and where an answer costs nothing: never 0.

    @property
    def cost_usd(self) -> Decimal | None:
        return self.cost.usd if self.cost else None

    @property
    def cost_nano_usd(self) -> int | None:
        return nano_usd(self.cost)

    @property
    def price_source(self) -> str | None:
        return self.cost.source if self.cost else None

    @property
    def estimated_usd(self) -> Decimal | None:
        return self.estimated.usd if self.estimated else None

    @property
    def estimated_nano_usd(self) -> int | None:
        return nano_usd(self.estimated)

    @property
    def saved_usd(self) -> Decimal | None:
        return self.saved.usd if self.saved else None

    @property
    def saved_nano_usd(self) -> int | None:
        return nano_usd(self.saved)


# The facts ----------------------------------------------------------------------------------------


class Known(Enum):
    """From when on a fact is known, and so where it is read."""

    ASKED = auto()  # with the request: of `received`
    EARLY = auto()  # before the end: of the request under way by the same name, then of the outcome
    END = auto()  # of the outcome only


class Unit(Enum):
    """How readers write a value."""

    PLAIN = auto()
    TIME = auto()  # seconds since the epoch
    MS = auto()
    TOKENS = auto()
    USD = auto()


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known of a request."""

    name: str  # of the attribute
    known: Known = Known.END
    column: str | None = None  # its type in the ledger
    unit: Unit = Unit.PLAIN
    title: str = ""  # over its column in lists
    path: str = ""  # of the attribute in a RequestOutcome, where that is not the name
    unknown: object = None  # what stands for it before it is known
    # The ledger's version that adds the column; None: its SQL is written out in `ledger_schema`.
    since: int | None = None
    read: attrgetter[Any] = field(init=False, repr=False)  # of a RequestOutcome

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", self.path or self.name)
        object.__setattr__(self, "read", attrgetter(self.path))


def _asked(name: str, column: str | None = None, *, of: str = "", title: str = "") -> Fact:
    return Fact(name, Known.ASKED, column, title=title, path=f"received.{of or name}")


_EARLY = Known.EARLY
_MS = Unit.MS
_FLAG = "INTEGER NOT NULL"

_FACTS = {
    fact.name: fact
    for fact in (
        Fact("request_id", _EARLY, "TEXT NOT NULL", title="id"),
        # Of the ledger and of events when it ended, in lists when it came.
        Fact("at", _EARLY, "REAL NOT NULL", Unit.TIME, title="time"),
        _asked("asked_model", "TEXT NOT NULL", of="model", title="model"),
        _asked("client", "TEXT"),
        _asked("endpoint", "TEXT NOT NULL"),
        _asked("is_streaming", _FLAG),
        _asked("body_bytes"),
        _asked("replay_of"),
        Fact("path", _EARLY),  # of a call that was refused before it was routed
        Fact("is_live", _EARLY),
        Fact("resolved", _EARLY),
        Fact("request_headers", _EARLY),
        Fact("response_headers", _EARLY),
        Fact("considered", _EARLY),
        Fact("served_model", _EARLY, "TEXT"),
        Fact("backend", _EARLY, "TEXT", title="backend"),
        Fact("backend_type", column="TEXT"),
        Fact("zone", _EARLY, "TEXT", title="zone"),
        Fact("reason", _EARLY, "TEXT", title="reason"),
        Fact("tried", column="INTEGER NOT NULL"),
        Fact("attempts", _EARLY),
        Fact("status", _EARLY, "INTEGER NOT NULL", title="status"),
        Fact("failed", column=_FLAG),
        Fact("client_left", column=_FLAG, unknown=False),
        Fact("error", _EARLY, title="error"),
        Fact("is_partial", column=_FLAG, unknown=False),
        Fact("first_byte_ms", _EARLY, "REAL", _MS, title="first byte"),
        Fact("total_ms", column="REAL NOT NULL", unit=_MS, title="total"),
        Fact("overhead_ms", column="REAL", unit=_MS),
        Fact("upstream_ms", unit=_MS),
        Fact("usage"),  # each count of it is a column
        Fact("prompt_tokens", unit=Unit.TOKENS),
        Fact("completion_tokens", unit=Unit.TOKENS),
        Fact("tokens", unit=Unit.TOKENS, title="tokens"),
        Fact("counted", column="TEXT"),
        Fact("is_estimated", unknown=False),
        Fact("cost_usd", unit=Unit.USD, title="cost"),
        Fact("cost_nano_usd", column="INTEGER"),
        Fact("price_source", column="TEXT"),
        Fact("is_unpriced", column=_FLAG, unknown=False),
        Fact("estimated_usd", unit=Unit.USD),
        Fact("estimated_nano_usd", column="INTEGER"),
        Fact("saved_usd", unit=Unit.USD),
        Fact("saved_nano_usd", column="INTEGER"),
        Fact("saved_model", column="TEXT"),
    )
}


# What each reader shows ---------------------------------------------------------------------------

Facts = tuple[tuple[str, Fact], ...]  # in the reader's order, by the reader's own key


def _facts(*keys: str) -> Facts:
    """`key`, or `key=fact` where the reader's name of it is another one."""
    pairs = [key.partition("=") for key in " ".join(keys).split()]
    return tuple((key, _FACTS[name or key]) for key, _, name in pairs)


LOG = _facts(
    "request=request_id asked=asked_model model=served_model backend zone reason status",
    "prompt_tokens completion_tokens counted cost_usd is_unpriced",
    "total_ms first_byte_ms overhead_ms upstream_ms attempts client_left error",
)
# Beside each count of the usage.
LEDGER = _facts(
    "request_id at client endpoint asked_model model=served_model backend backend_type zone reason",
    "attempts=tried is_streaming status failed client_left is_partial counted estimated_nano_usd",
    "cost_nano_usd price_source is_unpriced total_ms first_byte_ms overhead_ms saved_nano_usd",
    "saved_model",
)
# GET /nexus/requests, and what one of them tells beside that.
LISTED = _facts(
    "id=request_id at model=asked_model served_model backend zone reason status",
    "first_byte_ms total_ms prompt_tokens completion_tokens counted is_estimated cost_usd",
    "is_unpriced error is_running=is_live",
)
DETAIL = _facts(
    "endpoint path is_streaming client body_bytes replay_of resolved request_headers",
    "response_headers considered attempts estimated_usd price_from=price_source saved_usd",
    "saved_model is_partial overhead_ms usage client_left",
)
# Files, after the time.
EXPORT = _facts(
    "id=request_id model=asked_model served_model backend zone reason status error",
    "first_byte_ms total_ms prompt_tokens completion_tokens counted is_estimated estimated_usd",
    "cost_usd is_unpriced",
)
# The two lists: `nexus requests`, by the keys of LISTED, and the screen.
TEXT_LIST = _facts(
    "at id=request_id model=asked_model backend zone reason status first_byte_ms total_ms",
    "tokens cost_usd error",
)
SCREEN_LIST = _facts(
    "at request_id asked_model backend zone reason status first_byte_ms total_ms tokens cost_usd"
)


# The log line -------------------------------------------------------------------------------------


def reader(facts: Facts) -> attrgetter[Any]:
    """Gives a RequestOutcome's values of all of these, in one call."""
    return attrgetter(*(fact.path for _, fact in facts))


def _keys_of(unit: Unit, facts: Facts) -> tuple[str, ...]:
    return tuple(key for key, fact in facts if fact.unit is unit)


_LOG_KEYS = tuple(key for key, _ in LOG)
_LOG_MS = _keys_of(_MS, LOG)
_LOG_USD = _keys_of(Unit.USD, LOG)
_read_log = reader(LOG)


def log_fields(outcome: RequestOutcome) -> dict[str, object]:
    """What the log tells of a request: always these keys, None where nothing is known."""
    values: dict[str, Any] = dict(zip(_LOG_KEYS, _read_log(outcome), strict=True))
    for key in _LOG_MS:
        if (ms := values[key]) is not None:
            values[key] = round(ms, 2)
    for key in _LOG_USD:
        if (usd := values[key]) is not None:
            values[key] = float(usd)
    values["attempts"] = [
        {
            "backend": attempt.backend,
            "status": attempt.status,
            "error": attempt.error,
            "ms": round(attempt.elapsed_ms, 2),
        }
        for attempt in outcome.attempts
    ]
    return values
