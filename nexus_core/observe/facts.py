"""One table of the facts shown about requests, each of them read of a request record.

The log line, the ledger's row, `GET /nexus/requests`, exports, `nexus requests` and the dashboard's
list take their keys and values from here, so that a new fact is one field of the record and one
line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from enum import Enum, auto
from itertools import compress, product
from operator import attrgetter
from typing import Any

import msgspec
from msgspec.structs import FieldInfo, fields

from nexus_core.observe.events import TokenUsage
from nexus_core.observe.record import RequestRecord

# The facts ----------------------------------------------------------------------------------------


class Unit(Enum):
    """Unit of a fact's value."""

    PLAIN = auto()
    TIME = auto()  # seconds since the epoch
    MS = auto()
    TOKENS = auto()
    USD = auto()


class Fact(msgspec.Struct, frozen=True):
    """A fact about a request: its attribute, ledger column, unit and title."""

    name: str  # of the attribute
    column: str | None = None  # its type in the ledger
    unit: Unit = Unit.PLAIN
    title: str = ""  # over its column in lists
    path: str = ""  # in a RequestRecord, `a.b` at most, where that is not the name
    unknown: object = None  # what stands for it where the path leads through None
    is_asked: bool = False  # known of what was asked, and so not of a call that was refused
    # The ledger's version that adds the column; None: its SQL is written out in `ledger_schema`.
    since: int | None = None

    @property
    def head(self) -> str:
        """The field of the record that it is within; empty where it is one itself."""
        return self.path.partition(".")[0] if "." in self.path else ""

    def of(self, record: RequestRecord) -> object:
        """What is known of it now; `unknown` where that is nothing yet, or never will be."""
        if self.is_asked and record.refused is not None:
            return self.unknown
        head, _, rest = (self.path or self.name).partition(".")
        value = getattr(record, head)
        if not rest:
            return value
        return self.unknown if value is None else getattr(value, rest)


def _asked(name: str, column: str | None = None, *, title: str = "") -> Fact:
    return Fact(name, column, title=title, is_asked=True)


def _of_origin(name: str, *, title: str) -> Fact:
    return Fact(name, "TEXT", title=title, path=f"origin.{name}", since=4)


_MS = Unit.MS
_FLAG = "INTEGER NOT NULL"

# The vendor's reported cost is not a count; the cost charged is a fact of its own.
_COUNTS = tuple(one for one in fields(TokenUsage) if one.name != "cost_nano_usd")


def _count(one: FieldInfo) -> Fact:
    is_detail = not one.required
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
        Fact("request_id", "TEXT NOT NULL", title="id"),
        Fact("at", unit=Unit.TIME, title="time"),  # when it came
        Fact("time"),  # the same in ISO 8601
        Fact("ended_at", "REAL NOT NULL", Unit.TIME),
        _asked("asked_model", "TEXT NOT NULL", title="model"),
        _asked("client", "TEXT", title="key"),
        _asked("endpoint", "TEXT NOT NULL"),
        _asked("is_streaming", _FLAG, title="stream"),
        _asked("body_bytes"),
        _asked("replay_of"),
        _of_origin("agent", title="agent"),
        _of_origin("session", title="session"),
        _of_origin("subagent", title="subagent"),
        Fact("replica", title="replica"),  # None where there is no fleet
        Fact("api", title="api"),
        Fact("path", title="path"),  # of a call that was refused before it was routed
        Fact("is_live"),
        Fact("resolved"),
        Fact("request_headers"),
        Fact("response_headers"),
        Fact("considered"),
        Fact("served_model", "TEXT"),
        Fact("backend", "TEXT", title="backend"),
        Fact("backend_type", column="TEXT"),
        Fact("zone", "TEXT", title="zone"),
        Fact("reason", "TEXT", title="reason"),
        Fact("tried", column="INTEGER NOT NULL", title="tries"),
        Fact("attempts"),
        Fact("status", "INTEGER NOT NULL", title="status"),
        Fact("failed", column=_FLAG),
        Fact("client_left", column=_FLAG),
        Fact("error", title="error"),
        Fact("error_code", title="error"),
        Fact("is_partial", column=_FLAG),
        Fact("first_byte_ms", "REAL", _MS, title="first byte"),
        Fact("total_ms", column="REAL NOT NULL", unit=_MS, title="total"),
        Fact("overhead_ms", column="REAL", unit=_MS),
        Fact("upstream_ms", unit=_MS),
        Fact("usage"),
        Fact("tokens", unit=Unit.TOKENS, title="tokens"),
        Fact("counted", column="TEXT"),
        Fact("is_estimated"),
        # Dollars are None where unknown, and where an answer costs nothing: never 0.
        Fact("cost_usd", unit=Unit.USD, title="cost", path="cost.usd"),
        Fact("cost_nano_usd", column="INTEGER", path="cost.nano_usd"),
        Fact("price_source", column="TEXT", path="cost.source"),
        Fact("is_unpriced", column=_FLAG),
        Fact("estimated_usd", unit=Unit.USD, path="estimated.usd"),
        Fact("estimated_nano_usd", column="INTEGER", path="estimated.nano_usd"),
        Fact("saved_usd", unit=Unit.USD, path="saved.usd"),
        Fact("saved_nano_usd", column="INTEGER", path="saved.nano_usd"),
        Fact("saved_model", column="TEXT"),
    )
}


# What each reader shows ---------------------------------------------------------------------------

Facts = tuple[tuple[str, Fact], ...]  # in the reader's order, by the reader's own key
_Read = Callable[[RequestRecord], tuple[Any, ...]]


def _facts(*keys: str) -> Facts:
    """Select facts by `key`, or by `key=fact` where the reader has a key of its own."""
    pairs = [key.partition("=") for key in " ".join(keys).split()]
    return tuple((key, _FACTS[name or key]) for key, _, name in pairs)


LOG = _facts(
    "error status request=request_id asked=asked_model model=served_model backend zone reason",
    "prompt_tokens completion_tokens counted cost_usd is_unpriced",
    "total_ms first_byte_ms overhead_ms upstream_ms attempts client_left error_code",
    "agent session",
)
LEDGER = _facts(
    "request_id at=ended_at client endpoint asked_model model=served_model backend backend_type",
    "zone reason attempts=tried is_streaming status failed client_left is_partial counted",
    "estimated_nano_usd cost_nano_usd price_source is_unpriced total_ms first_byte_ms overhead_ms",
    "saved_nano_usd saved_model agent session subagent",
    *(one.name for one in _COUNTS),
)
# GET /nexus/requests, and the further keys of GET /nexus/requests/ID.
LISTED = _facts(
    "id=request_id at time api endpoint path client agent session subagent model=asked_model",
    "served_model is_streaming backend zone reason tried status first_byte_ms total_ms",
    "prompt_tokens completion_tokens counted is_estimated cost_usd is_unpriced",
    "error_code error client_left is_running=is_live replica",
)
DETAIL = _facts(
    "body_bytes replay_of resolved backend_type request_headers",
    "response_headers considered attempts estimated_usd price_from=price_source saved_usd",
    "saved_model is_partial overhead_ms usage",
)
# Exported files.
EXPORT = _facts(
    "time id=request_id model=asked_model served_model backend zone reason status error",
    "first_byte_ms total_ms prompt_tokens completion_tokens counted is_estimated estimated_usd",
    "cost_usd is_unpriced error_code client_left client api tried is_streaming at endpoint path",
    "agent session subagent replica",
)
# The two lists: `nexus requests`, by the keys of LISTED, and the screen, by the names that
# `[tui] columns` and the menu of orders have for its columns.
TEXT_LIST = _facts(
    "at id=request_id replica client api agent session model=asked_model backend zone reason",
    "tried status",
    "first_byte_ms total_ms tokens cost_usd error",
)
SCREEN_LIST = _facts(
    "time=at id=request_id replica key=client api agent session model=asked_model backend zone",
    "reason tries=tried status stream=is_streaming first=first_byte_ms total=total_ms tokens",
    "cost=cost_usd path error=error_code",
)


# Reading all of them at once ----------------------------------------------------------------------

_MAY_BE_NONE = ("usage", "cost", "estimated", "saved")  # of a record
_NEVER_NONE = ("origin",)


def reader(facts: Facts) -> _Read:
    """Make a fast function that reads these facts' values from a RequestRecord, in order.

    Raises:
        ValueError: a path leads through a field not listed as one that may be None, or never is.
    """
    heads = {fact.head for _, fact in facts if fact.head}
    if not heads <= {*_MAY_BE_NONE, *_NEVER_NONE}:
        raise ValueError(f"may these be None? {heads}")
    readers = {
        are_none: _reader_without(facts, {*compress(_MAY_BE_NONE, are_none)})
        for are_none in product((False, True), repeat=len(_MAY_BE_NONE))
    }

    def read(record: RequestRecord) -> tuple[Any, ...]:
        are_none = (
            record.usage is None,
            record.cost is None,
            record.estimated is None,
            record.saved is None,
        )
        return readers[are_none](record)

    return read


def _reader_without(facts: Facts, missing: Collection[str]) -> _Read:
    """A reader of records in which these fields, and no others that may be, are None."""
    lost = [fact for _, fact in facts if fact.head in missing]
    if any(fact.unknown is not None for fact in lost):  # as of a request that nobody answered
        return lambda record: tuple([fact.of(record) for _, fact in facts])
    # What is None itself stands for what is within it.
    return attrgetter(*(fact.head if fact in lost else fact.path or fact.name for _, fact in facts))
