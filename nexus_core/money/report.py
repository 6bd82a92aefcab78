"""Cost report of today and this month, from the ledger and the budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Literal, NamedTuple, TypeAlias

from pydantic import Field

from nexus_core.money.ledger_reader import LedgerReader
from nexus_core.money.months import Month
from nexus_core.types import NANO

Grouping: TypeAlias = Literal["model", "backend", "key"]
# Exact to the nano-dollar. All bounds here are for reports that come from another machine.
Usd: TypeAlias = Annotated[
    Decimal, Field(ge=0, max_digits=24, decimal_places=9, allow_inf_nan=False)
]

_MAX_ROWS = 200  # of a grouping; models are named by strangers
_HOURS, _MINUTES = 24, 60
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class CostRow:
    """Usage and cost of one model, backend or client key this month."""

    name: str | None  # None: the requests that have no such thing
    where: str | None = None  # the backend of a model's row
    requests: int
    prompt_tokens: int
    completion_tokens: int
    estimated: Usd | None  # by counts of Nexus's own, where a backend reported none; None: none
    actual: Usd | None  # by the usage that backends reported; None: none has a price
    unpriced: int = 0  # requests that cost something, and nobody knows how much
    price_from: str | None = None  # config, or a price list and its day; None: nothing has a price
    saved: Usd | None = None  # of local answers: what a cloud would have asked, an estimate


Rows: TypeAlias = Annotated[tuple[CostRow, ...], Field(max_length=_MAX_ROWS)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbox:
    """Where a ledger in PostgreSQL stands: what waits here, and whose costs are reported."""

    rows: int  # of this node, that PostgreSQL does not have yet
    oldest: float | None  # seconds since the epoch; None: nothing waits
    is_fleet: bool  # the report is of the whole fleet, and not of this node only
    problem: str | None  # for people: why PostgreSQL can't be read; None where it can


@dataclass(frozen=True, slots=True, kw_only=True)
class CostReport:
    """Cost report in US dollars as of one moment. Days and months are UTC's."""

    at: float  # seconds since the epoch
    today: Usd
    today_estimated: Usd  # how much of it is by counts of Nexus's own
    today_unpriced: int  # requests of today that are not in it: their price is unknown
    saved: Usd | None  # by local answers of today, an estimate; None: nothing is known of it
    month: Usd  # what counts towards the limit, without what is reserved
    month_estimated: Usd = Decimal(0)  # how much of it is by counts of Nexus's own
    reserved: Usd  # for requests under way
    monthly_limit: Usd | None
    month_forecast: Usd  # by the month's end at the present pace
    pace_per_hour: Usd  # over the last day
    spent_at: float | None  # when the limit is reached at that pace; None: not this month
    # Of each hour of today and each minute of the last hour, the last of them under way.
    burn: Annotated[tuple[Usd, ...], Field(max_length=_HOURS)]
    per_minute: Annotated[tuple[Usd, ...], Field(max_length=_MINUTES)]
    minute_estimated: Usd = Decimal(0)  # how much of the last minute is by counts of Nexus's own
    by_model: Rows  # the dearest first, and so of all three
    by_backend: Rows
    by_key: Rows
    problem: str | None = None  # why the ledger is not written just now, for people
    outbox: Outbox | None = None  # None: no PostgreSQL, and the report is of this node

    def rows(self, by: Grouping) -> Rows:
        """This month's, at most 200 of the dearest."""
        tables = {"model": self.by_model, "backend": self.by_backend, "key": self.by_key}
        return tables[by]


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBudget:
    """State of the budget in nano-dollars; the ledger lags by half a second."""

    spent: int | None  # None: the month began before the ledger could be read
    reserved: int
    limit: int | None


def read_cost_report(
    ledger: LedgerReader,
    live: LiveBudget,
    at: float,
    problem: str | None = None,
    outbox: Outbox | None = None,
) -> CostReport:
    """Read the cost report. Blocks while the month is read: use a thread."""
    month = Month.of(at)
    day = _Day(at, _minutes(ledger, at))
    per_hour = day.pace(_first_row(ledger))
    lines = list(_lines(ledger, month))
    recorded = sum((line.actual or 0) + (line.estimated or 0) for line in lines)
    spent = recorded if live.spent is None else live.spent
    left = live.limit - spent if live.limit is not None else None
    return CostReport(
        at=at,
        today=_usd(day.total("cost")),
        today_estimated=_usd(day.total("estimated")),
        today_unpriced=day.total("unpriced"),
        saved=_usd_or_none(day.total("saved") or None),
        month=_usd(spent),
        month_estimated=_usd(sum(line.estimated or 0 for line in lines)),
        reserved=_usd(live.reserved),
        monthly_limit=_usd_or_none(live.limit),
        month_forecast=_usd(spent + round(per_hour * (month.end - at) / _HOUR)),
        pace_per_hour=_usd(per_hour),
        spent_at=_reached_at(left, per_hour, at, month),
        burn=tuple(map(_usd, day.by_hour())),
        per_minute=tuple(map(_usd, day.last_hour())),
        minute_estimated=_usd(day.last_minute_estimated()),
        by_model=_rows((line.model, line.backend, line) for line in lines),
        by_backend=_rows((line.backend, None, line) for line in lines),
        by_key=_rows((line.client, None, line) for line in lines),
        problem=problem,
        outbox=outbox,
    )


def _reached_at(left: int | None, per_hour: int, at: float, month: Month) -> float | None:
    """When so much more is spent; None if that is not within the month."""
    if left is None or (left > 0 and per_hour <= 0):
        return None
    when = at + max(0, left) / max(1, per_hour) * _HOUR
    return when if when < month.end else None


def _usd(nano_usd: int) -> Decimal:
    return Decimal(nano_usd) / NANO


def _usd_or_none(nano_usd: int | None) -> Decimal | None:
    return None if nano_usd is None else _usd(nano_usd)


# The last day, by the minute ----------------------------------------------------------------------


class _Minute(NamedTuple):
    number: int  # since the epoch
    cost: int  # nano-dollars, as all but `unpriced`
    estimated: int
    unpriced: int
    saved: int


def _minutes(ledger: LedgerReader, at: float) -> list[_Minute]:
    sql = ledger.sql
    found = ledger.execute(
        f"""
        SELECT {sql.minute}, coalesce(sum(cost_nano_usd), 0),
            coalesce(sum(cost_nano_usd) FILTER (WHERE counted {sql.is_not} 'reported'), 0),
            sum(is_unpriced), coalesce(sum(saved_nano_usd), 0)
        FROM {sql.requests} WHERE at > ? AND at <= ? GROUP BY 1
        """,  # noqa: S608 - our own words
        (at - _DAY, at),
    )
    return [_Minute(*row) for row in found]


def _first_row(ledger: LedgerReader) -> float | None:
    first: float | None = ledger.execute(
        f"SELECT min(at) FROM {ledger.sql.requests}"  # noqa: S608 - our own words
    ).fetchone()[0]
    return first


class _Day:
    """The 24 hours before a moment; today is what of them is after midnight."""

    def __init__(self, at: float, minutes: Sequence[_Minute]) -> None:
        self._at = at
        self._midnight = int(at // _DAY) * _DAY
        self._minutes = minutes
        self._today = [one for one in minutes if one.number * _MINUTE >= self._midnight]

    def total(self, kind: Literal["cost", "estimated", "unpriced", "saved"]) -> int:
        """Of today."""
        return sum(getattr(one, kind) for one in self._today)

    def pace(self, first_row: float | None) -> int:
        """Nano-dollars an hour; a ledger that is younger than a day began with its first row."""
        age = _DAY if first_row is None else self._at - first_row
        return round(sum(one.cost for one in self._minutes) * _HOUR / min(max(age, _HOUR), _DAY))

    def by_hour(self) -> list[int]:
        """Of each hour since midnight."""
        hours = [0] * (int(self._at - self._midnight) // _HOUR + 1)
        for one in self._today:
            hours[(one.number * _MINUTE - self._midnight) // _HOUR] += one.cost
        return hours

    def last_hour(self) -> list[int]:
        """Of each of the last 60 minutes."""
        first = int(self._at // _MINUTE) - (_MINUTES - 1)
        costs = {one.number: one.cost for one in self._minutes}
        return [costs.get(first + place, 0) for place in range(_MINUTES)]

    def last_minute_estimated(self) -> int:
        """How much of the last of them is by counts of Nexus's own."""
        last = int(self._at // _MINUTE)
        return sum(one.estimated for one in self._minutes if one.number == last)


# The month, by model, backend and key -------------------------------------------------------------


class _Line(NamedTuple):
    model: str
    backend: str | None
    client: str | None
    requests: int
    prompt_tokens: int
    completion_tokens: int
    actual: int | None  # nano-dollars; None: no row has any
    estimated: int | None
    unpriced: int
    saved: int | None
    sources: str | None


def _lines(ledger: LedgerReader, month: Month) -> Iterator[_Line]:
    sql = ledger.sql
    found = ledger.execute(
        f"""
        SELECT coalesce(model, asked_model), backend, client, count(*),
            coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0),
            sum(cost_nano_usd) FILTER (WHERE counted = 'reported'),
            sum(cost_nano_usd) FILTER (WHERE counted {sql.is_not} 'reported'),
            sum(is_unpriced), sum(saved_nano_usd), {sql.sources}
        FROM {sql.requests} WHERE at >= ? AND at < ? GROUP BY 1, 2, 3
        """,  # noqa: S608 - our own words
        (month.start, month.end),
    )
    return (_Line(*row) for row in found)


@dataclass(slots=True)
class _Sum:
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    actual: int | None = None
    estimated: int | None = None
    unpriced: int = 0
    saved: int | None = None
    sources: set[str] = field(default_factory=set)

    def add(self, line: _Line) -> None:
        self.requests += line.requests
        self.prompt_tokens += line.prompt_tokens
        self.completion_tokens += line.completion_tokens
        self.actual = _plus(self.actual, line.actual)
        self.estimated = _plus(self.estimated, line.estimated)
        self.unpriced += line.unpriced
        self.saved = _plus(self.saved, line.saved)
        if line.sources:
            self.sources.add(line.sources)

    @property
    def spent(self) -> int:
        return (self.actual or 0) + (self.estimated or 0)


def _plus(one: int | None, other: int | None) -> int | None:
    return one if other is None else other + (one or 0)


def _rows(named: Iterable[tuple[str | None, str | None, _Line]]) -> tuple[CostRow, ...]:
    sums: dict[tuple[str | None, str | None], _Sum] = {}
    for name, where, line in named:
        sums.setdefault((name, where), _Sum()).add(line)
    dearest = sorted(sums.items(), key=lambda one: (-one[1].spent, -one[1].requests))
    return tuple(_row(name, where, total) for (name, where), total in dearest[:_MAX_ROWS])


def _row(name: str | None, where: str | None, total: _Sum) -> CostRow:
    return CostRow(
        name=name,
        where=where,
        requests=total.requests,
        prompt_tokens=total.prompt_tokens,
        completion_tokens=total.completion_tokens,
        estimated=_usd_or_none(total.estimated),
        actual=_usd_or_none(total.actual),
        unpriced=total.unpriced,
        price_from=", ".join(sorted(total.sources)) or None,
        saved=_usd_or_none(total.saved),
    )
