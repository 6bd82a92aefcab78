"""One table of the facts shown about requests, each of them read of a request record.

The log line, the ledger's row, `GET /nexus/requests`, exports, `nexus requests` and the dashboard's
list take their keys and values from here, so that a new fact is one field of the record and one
line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, dataclass, fields
from enum import Enum, auto
from operator import attrgetter, itemgetter
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Fact:
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
        Fact("request_id", "TEXT NOT NULL", title="id"),
        Fact("at", unit=Unit.TIME, title="time"),  # when it came
        Fact("ended_at", "REAL NOT NULL", Unit.TIME),
        _asked("asked_model", "TEXT NOT NULL", title="model"),
        _asked("client", "TEXT"),
        _asked("endpoint", "TEXT NOT NULL"),
        _asked("is_streaming", _FLAG),
        _asked("body_bytes"),
        _asked("replay_of"),
        Fact("path"),  # of a call that was refused before it was routed
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
        Fact("tried", column="INTEGER NOT NULL"),
        Fact("attempts"),
        Fact("status", "INTEGER NOT NULL", title="status"),
        Fact("failed", column=_FLAG),
        Fact("client_left", column=_FLAG),
        Fact("error", title="error"),
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
    "request_id at=ended_at client endpoint asked_model model=served_model backend backend_type",
    "zone reason attempts=tried is_streaming status failed client_left is_partial counted",
    "estimated_nano_usd cost_nano_usd price_source is_unpriced total_ms first_byte_ms overhead_ms",
    "saved_nano_usd saved_model",
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

_MAY_BE_NONE = ("usage", "cost", "estimated", "saved")  # of a record


def reader(facts: Facts) -> Callable[[RequestRecord], tuple[Any, ...]]:
    """Make a fast function that reads these facts' values from a RequestRecord, in order.

    Raises:
        ValueError: a path leads through a field not listed as one that may be None.
    """
    paths = [fact.path or fact.name for _, fact in facts]
    heads = {path.partition(".")[0] for path in paths if "." in path}
    if not heads <= {*_MAY_BE_NONE}:
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

    def read(record: RequestRecord) -> tuple[Any, ...]:
        values = [*read_own(record)]
        for holder, read_part, nothing in readers:
            part = holder(record)
            if part is None:
                values += nothing
            elif len(nothing) == 1:
                values.append(read_part(part))
            else:
                values += read_part(part)
        ordered: tuple[Any, ...] = in_order(values)
        return ordered

    return read
