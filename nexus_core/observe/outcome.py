"""The outcome of a finished request, and one table of the facts shown about requests.

The log line, the ledger's row, `GET /nexus/requests`, exports, `nexus requests` and the dashboard's
list take their keys and values from here, so that a new fact is one field and one line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from decimal import Decimal
from enum import Enum, auto
from operator import attrgetter, itemgetter
from typing import Any, Self

from nexus_core.observe.events import RequestFinished, RequestReceived, TokenUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestOutcome(RequestFinished):
    """Outcome of a request, with the request as received; also the event of its end.

    As JSON it is a RequestFinished: readers of events got the RequestReceived before.
    """

    received: RequestReceived
    upstream_ms: float | None = (
        None  # up to the first byte, waiting for backends; None: not reported
    )

    @classmethod
    def of(cls, finished: RequestFinished, received: RequestReceived) -> Self:
        """The outcome from the two events of another Nexus."""
        values = {one.name: getattr(finished, one.name) for one in fields(RequestFinished)}
        return cls(**values, received=received)

    @property
    def served_model(self) -> str | None:
        """The backend's own name of the model; None where no backend answered."""
        return self.model if self.backend is not None else None

    @property
    def tried(self) -> int:
        """Number of backends tried: those that failed, and the one that did not."""
        failed = self.attempts
        is_last_failed = bool(failed) and failed[-1].backend == self.backend
        return len(failed) + (self.backend is not None and not is_last_failed)

    @property
    def tokens(self) -> int | None:
        """Tokens of prompt and answer together; None where unknown."""
        usage = self.usage
        return usage.prompt_tokens + usage.completion_tokens if usage else None

    @property
    def cost_usd(self) -> Decimal | None:
        """Cost in dollars; None where it is unknown, and where an answer costs nothing: never 0."""
        return self.cost.usd if self.cost else None


# The facts ----------------------------------------------------------------------------------------


class Known(Enum):
    """Phase from which on a fact is known, and so where it is read."""

    ASKED = auto()  # with the request: of `received`
    EARLY = auto()  # before the end: of the request under way by the same name, then of the outcome
    END = auto()  # of the outcome only


class Unit(Enum):
    """Unit of a fact's value."""

    PLAIN = auto()
    TIME = auto()  # seconds since the epoch
    MS = auto()
    TOKENS = auto()
    USD = auto()


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact about a request: its attribute, ledger column, unit and title."""

    name: str  # of the attribute
    known: Known = Known.END
    column: str | None = None  # its type in the ledger
    unit: Unit = Unit.PLAIN
    title: str = ""  # over its column in lists
    path: str = ""  # in a RequestOutcome, `a.b` at most, where that is not the name
    unknown: object = None  # what stands for it before it is known
    # The ledger's version that adds the column; None: its SQL is written out in `ledger_schema`.
    since: int | None = None

    def of(self, outcome: RequestOutcome) -> object:
        """The fact's value; `unknown` where the path leads through None."""
        head, _, rest = (self.path or self.name).partition(".")
        value = getattr(outcome, head)
        if not rest:
            return value
        return self.unknown if value is None else getattr(value, rest)


def _asked(name: str, column: str | None = None, *, of: str = "", title: str = "") -> Fact:
    return Fact(name, Known.ASKED, column, title=title, path=f"received.{of or name}")


_EARLY = Known.EARLY
_MS = Unit.MS
_FLAG = "INTEGER NOT NULL"

# The vendor's reported cost is not a count; the cost charged is a fact of its own.
_COUNTS = tuple(one for one in fields(TokenUsage) if one.name != "cost_nano_usd")


def _count(one: Field[Any]) -> Fact:
    is_detail = one.default is not MISSING
    return Fact(
        one.name,
        column="INTEGER NOT NULL" if is_detail else "INTEGER",
        unit=Unit.TOKENS,
        path=f"usage.{one.name}",
        unknown=one.default if is_detail else None,
    )


_FACTS = {
    fact.name: fact
    for fact in (
        *map(_count, _COUNTS),
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
        Fact("usage"),
        Fact("tokens", unit=Unit.TOKENS, title="tokens"),
        Fact("counted", column="TEXT"),
        Fact("is_estimated", unknown=False),
        # Dollars are None where unknown, and where an answer costs nothing: never 0.
        Fact("cost_usd", unit=Unit.USD, title="cost", path="cost.usd"),
        Fact("cost_nano_usd", column="INTEGER", path="cost.nano_usd"),
        Fact("price_source", column="TEXT", path="cost.source"),
        Fact("is_unpriced", column=_FLAG, unknown=False),
        Fact("estimated_usd", unit=Unit.USD, path="estimated.usd"),
        Fact("estimated_nano_usd", column="INTEGER", path="estimated.nano_usd"),
        Fact("saved_usd", unit=Unit.USD, path="saved.usd"),
        Fact("saved_nano_usd", column="INTEGER", path="saved.nano_usd"),
        Fact("saved_model", column="TEXT"),
    )
}


# What each reader shows ---------------------------------------------------------------------------

Facts = tuple[tuple[str, Fact], ...]  # in the reader's order, by the reader's own key


def _facts(*keys: str) -> Facts:
    """Select facts by `key`, or by `key=fact` where the reader has a key of its own."""
    pairs = [key.partition("=") for key in " ".join(keys).split()]
    return tuple((key, _FACTS[name or key]) for key, _, name in pairs)


LOG = _facts(
    "request=request_id asked=asked_model model=served_model backend zone reason status",
    "prompt_tokens completion_tokens counted cost_usd is_unpriced",
    "total_ms first_byte_ms overhead_ms upstream_ms attempts client_left error",
)
LEDGER = _facts(
    "request_id at client endpoint asked_model model=served_model backend backend_type zone reason",
    "attempts=tried is_streaming status failed client_left is_partial counted estimated_nano_usd",
    "cost_nano_usd price_source is_unpriced total_ms first_byte_ms overhead_ms saved_nano_usd",
    "saved_model",
    *(one.name for one in _COUNTS),
)
# GET /nexus/requests, and the further keys of GET /nexus/requests/ID.
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
# Exported files, after the time.
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


# Reading all of them at once ----------------------------------------------------------------------

_MAY_BE_NONE = ("usage", "cost", "estimated", "saved")  # of an outcome


def reader(facts: Facts) -> Callable[[RequestOutcome], tuple[Any, ...]]:
    """Make a fast function that reads these facts' values from a RequestOutcome, in order.

    Raises:
        ValueError: a path leads through a field not listed as one that may be None.
    """
    paths = [fact.path or fact.name for _, fact in facts]
    heads = {path.partition(".")[0] for path in paths if "." in path}
    if not heads <= {"received", *_MAY_BE_NONE}:
        raise ValueError(f"may these be None? {heads}")
    unknown = {fact.path or fact.name: fact.unknown for _, fact in facts}
    parts = {head: [path for path in paths if path.startswith(f"{head}.")] for head in _MAY_BE_NONE}
    optional = [path for within in parts.values() for path in within]
    own = [path for path in paths if path not in optional]
    read_own, in_order = attrgetter(*own), itemgetter(*map([*own, *optional].index, paths))
    readers = [
        (
            attrgetter(head),
            attrgetter(*(path.partition(".")[2] for path in within)),
            tuple(unknown[path] for path in within),
        )
        for head, within in parts.items()
        if within
    ]

    def read(outcome: RequestOutcome) -> tuple[Any, ...]:
        values = [*read_own(outcome)]
        for holder, read_part, nothing in readers:
            part = holder(outcome)
            if part is None:
                values += nothing
            elif len(nothing) == 1:
                values.append(read_part(part))
            else:
                values += read_part(part)
        ordered: tuple[Any, ...] = in_order(values)
        return ordered

    return read
