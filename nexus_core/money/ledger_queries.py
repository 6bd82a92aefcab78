"""Ledger queries: costs by model, backend, key, …; a month's spending; operators' actions."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import ExitStack, closing, contextmanager
from enum import StrEnum
from pathlib import Path
from typing import assert_never

import msgspec
from msgspec.structs import replace

from nexus_core.money.ledger_reader import SQLITE, LedgerReader, Sql
from nexus_core.money.ledger_schema import (
    ACTION_COLUMNS,
    SCHEMA_VERSION,
    NewerLedgerError,
    migrate,
    schema_version,
)
from nexus_core.money.months import Month, Period
from nexus_core.observe.events import OperatorActed
from nexus_core.observe.record import api_at
from nexus_core.types import Actor, Via

_BUSY_SECONDS = 2.0  # for the writer to end its batch
_ANSWERS_AVERAGED = 50  # the last ones of each model


class By(StrEnum):
    """Grouping of a cost report."""

    MODEL = "model"
    BACKEND = "backend"
    KEY = "key"
    AGENT = "agent"
    SESSION = "session"
    API = "api"
    DAY = "day"
    HOUR = "hour"


def _group(by: By, sql: Sql) -> str:
    """The expression to group by; where a row has none of it: NULL."""
    match by:
        case By.MODEL:
            return "coalesce(model, asked_model)"
        case By.KEY:
            return "client"
        case By.API:
            return "endpoint"  # what several have in common is added up afterwards
        case By.DAY:
            return sql.day
        case By.HOUR:
            return sql.hour
        case By.BACKEND | By.AGENT | By.SESSION:
            return by.value
        case _:
            assert_never(by)


class CostLine(msgspec.Struct, frozen=True, kw_only=True):
    """Costs of a group of requests; reported and estimated amounts are never mixed."""

    name: str | None  # None: the requests that have no such thing
    requests: int
    failed: int
    prompt_tokens: int
    completion_tokens: int
    cost_nano_usd: int  # by the usage that backends reported
    estimated_nano_usd: int  # by counts of our own, where a backend reported none
    unpriced: int  # requests whose price is unknown: they cost more than nothing
    saved_nano_usd: int  # an estimate: what local answers would have cost in the cloud


class NoLedgerError(Exception):
    """The ledger does not exist or can't be read; the message says why."""


@contextmanager
def read_ledger(path: Path) -> Generator[LedgerReader]:
    """Open the ledger for reading, also while another process writes to it.

    Raises:
        NoLedgerError: there is none, or it can't be read.
    """
    try:
        is_there = path.exists()
    except OSError as error:  # in a folder of somebody else
        raise NoLedgerError(f"{path}: the ledger can't be read: {error.strerror}") from error
    if not is_there:
        raise NoLedgerError(f"{path}: there is no ledger yet; a running Nexus writes it")
    try:
        with closing(_open(path)) as connection:
            yield LedgerReader(connection, SQLITE)
    except (sqlite3.Error, NewerLedgerError) as error:
        raise NoLedgerError(f"{path}: the ledger can't be read: {error}") from error


def costs(ledger: LedgerReader, by: By, period: Period) -> list[CostLine]:
    """Costs of a period in groups, the highest first; days and hours in order."""
    sql = ledger.sql
    rows = ledger.execute(
        f"""
        SELECT {_group(by, sql)}, count(*), sum(failed),
            coalesce(sum(prompt_tokens), 0), coalesce(sum(completion_tokens), 0),
            coalesce(sum(cost_nano_usd) FILTER (WHERE counted = 'reported'), 0),
            coalesce(sum(cost_nano_usd) FILTER (WHERE counted {sql.is_not} 'reported'), 0),
            sum(is_unpriced), coalesce(sum(saved_nano_usd), 0)
        FROM {sql.requests} WHERE at >= ? AND at < ? GROUP BY 1
        """,  # noqa: S608 - our own words
        (period.start, period.end),
    )
    lines = sorted(map(_line, rows), key=_by_name if by in (By.DAY, By.HOUR) else _by_cost)
    return _by_api(lines) if by is By.API else lines


def _by_name(line: CostLine) -> tuple[bool, str]:
    return line.name is not None, line.name or ""


def _by_cost(line: CostLine) -> tuple[int, int, tuple[bool, str]]:
    return -(line.cost_nano_usd + line.estimated_nano_usd), -line.requests, _by_name(line)


def _by_api(by_path: list[CostLine]) -> list[CostLine]:
    """Lines of paths as those of their APIs; an API's place is that of its dearest path."""
    sums: dict[str, CostLine] = {}
    for line in by_path:
        name = api_at(line.name or "")
        sums[name] = _sum(name, line, sums[name]) if name in sums else replace(line, name=name)
    return [*sums.values()]


def _sum(name: str, *lines: CostLine) -> CostLine:
    numbers = [one for one in CostLine.__struct_fields__ if one != "name"]
    return CostLine(name=name, **{one: sum(getattr(x, one) for x in lines) for one in numbers})


def spent_by_client(ledger: LedgerReader, month: Month) -> dict[str | None, int]:
    """Spending of a month in nano-dollars, by client key name."""
    rows = ledger.execute(
        f"SELECT client, sum(cost_nano_usd) FROM {ledger.sql.requests} "  # noqa: S608 - our words
        "WHERE at >= ? AND at < ? AND cost_nano_usd IS NOT NULL GROUP BY client",
        (month.start, month.end),
    )
    return dict(rows.fetchall())


def last_use_by_client(ledger: LedgerReader) -> dict[str, float]:
    """When the last request of each client key came, in seconds since the epoch."""
    rows = ledger.execute(
        f"SELECT client, max(at) FROM {ledger.sql.requests} "  # noqa: S608 - our own words
        "WHERE client IS NOT NULL GROUP BY client"
    )
    return dict(rows.fetchall())


def completion_averages(ledger: LedgerReader, since: float = 0) -> dict[str, float]:
    """Mean completion tokens of each model's last whole answers.

    Args:
        since: seconds since the epoch; none before it is looked at.
    """
    rows = ledger.execute(
        f"""
        SELECT model, avg(completion_tokens) FROM (
            SELECT model, completion_tokens,
                row_number() OVER (PARTITION BY model ORDER BY at DESC) AS place
            FROM {ledger.sql.requests}
            WHERE completion_tokens IS NOT NULL AND model IS NOT NULL AND is_partial = 0
                AND at >= ?
        ) AS answers WHERE place <= ? GROUP BY model
        """,  # noqa: S608 - our own words
        (since, _ANSWERS_AVERAGED),
    )
    return dict(rows.fetchall())


def last_actions(ledger: LedgerReader, limit: int) -> list[OperatorActed]:
    """The last things that operators did, oldest first."""
    rows = ledger.execute(
        f"SELECT {', '.join(ACTION_COLUMNS)} FROM operator_actions "  # noqa: S608 - our own words
        "ORDER BY at DESC, rowid DESC LIMIT ?",
        (limit,),
    )
    return [_action(row) for row in rows.fetchall()][::-1]


def _action(
    row: tuple[float, str, str | None, str | None, str, str | None, str, str | None, str | None],
) -> OperatorActed:
    at, via, name, address, action, target, text, effect, error = row
    return OperatorActed(
        at=at,
        by=Actor(via=Via(via), name=name, address=address),
        action=action,
        target=target,
        text=text,
        effect=effect,
        error=error,
    )


def _line(row: tuple[str | None, int, int, int, int, int, int, int, int]) -> CostLine:
    name, requests, failed, prompt, completion, cost, estimated, unpriced, saved = row
    return CostLine(
        name=name,
        requests=requests,
        failed=failed,
        prompt_tokens=prompt,
        completion_tokens=completion,
        cost_nano_usd=cost,
        estimated_nano_usd=estimated,
        unpriced=unpriced,
        saved_nano_usd=saved,
    )


def _open(path: Path) -> sqlite3.Connection:
    with ExitStack() as stack:
        address = f"{path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)
        stack.callback(connection.close)
        version = schema_version(connection)
        if version > SCHEMA_VERSION:
            raise NewerLedgerError(version)
        if version == SCHEMA_VERSION:
            stack.pop_all()
            return connection
        return _brought_up_to_date(connection)


def _brought_up_to_date(connection: sqlite3.Connection) -> sqlite3.Connection:
    """A copy in memory of a ledger of an older version: only its writer may change the file."""
    copy = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.backup(copy)
        migrate(copy)
    except sqlite3.Error:
        copy.close()
        raise
    return copy
