"""What a ledger is read through: a file of SQLite, or PostgreSQL; and in what their SQL differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import msgspec


class Sql(msgspec.Struct, frozen=True):
    """Words of a database's SQL. Placeholders are `?` in both, see `LedgerReader.execute`."""

    requests: str  # the table
    day: str  # of `at`, such as 2026-11-30
    hour: str  # of `at`, such as 2026-11-30 14:00
    minute: str  # of `at`, its number since the epoch
    is_not: str  # such that NULL is not a word, too
    sources: str  # all the price sources of a group in one text
    placeholder: str


SQLITE = Sql(
    requests="requests",
    day="date(at, 'unixepoch')",
    hour="strftime('%Y-%m-%d %H:00', at, 'unixepoch')",
    minute="CAST(at / 60 AS INTEGER)",
    is_not="IS NOT",
    sources="group_concat(DISTINCT price_source)",
    placeholder="?",
)
POSTGRES = Sql(
    requests="nexus.requests",
    day="to_char(to_timestamp(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD')",
    hour="to_char(to_timestamp(at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:00')",
    minute="CAST(floor(at / 60) AS bigint)",
    is_not="IS DISTINCT FROM",
    sources="string_agg(DISTINCT price_source, ',')",
    placeholder="%s",
)


class Found(Protocol):
    """Rows that a query found; a cursor of either database."""

    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Connected(Protocol):
    """A connection to either database."""

    def execute(self, query: Any, parameters: Sequence[Any], /) -> Found: ...


class LedgerReader:
    """A ledger that is open for reading."""

    def __init__(self, connection: Connected, sql: Sql) -> None:
        self.sql = sql
        self._connection = connection

    def execute(self, query: str, parameters: Sequence[object] = ()) -> Found:
        """Ask it; `?` stands for a parameter, and for nothing else."""
        asked = query.replace("?", self.sql.placeholder)
        return self._connection.execute(asked, tuple(parameters))
