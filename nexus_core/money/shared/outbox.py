"""The outbox: rows of a ledger's file that PostgreSQL does not have yet.

A row is marked as waiting by who writes it, and the mark goes once PostgreSQL has it: a crash in
between ships it again, and there it is known by its id. Marks, and no place up to which all was
shipped, since SQLite may number rows anew, and a file may be shipped to another database later.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from nexus_core.money.ledger_schema import ACTION_COLUMNS, COLUMNS, SCHEMA_VERSION, schema_version
from nexus_core.money.shared.ledger_id import ledger_id

Row = tuple[object, ...]

_BUSY_SECONDS = 5.0  # for the ledger's writer to end its batch
_ADOPTED_ROWS = 5_000  # marked at a time, so that the writer need not wait


class Table(msgspec.Struct, frozen=True):
    """A table whose rows are shipped."""

    name: str  # the same in PostgreSQL
    columns: tuple[str, ...]
    id: str  # the column by which PostgreSQL knows a row


REQUESTS = Table("requests", COLUMNS, "request_id")
ACTIONS = Table("operator_actions", (*ACTION_COLUMNS, "action_id"), "action_id")
TABLES = (REQUESTS, ACTIONS)


class Waiting(msgspec.Struct, frozen=True):
    """What waits in the outbox."""

    rows: int = 0
    oldest: float | None = None  # seconds since the epoch; None: nothing waits


class Outbox:
    """The outbox of a ledger's file. For one thread; of several processes one ships it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._lock_file: int | None = None

    def is_ours(self) -> bool:
        """Become the process that ships, until `close`; False while another one is.

        Raises:
            OSError: the file for the lock can't be made.
        """
        if self._lock_file is not None:
            return True
        path = self._path.with_name(f"{self._path.name}.ship.lock")
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock_file = lock
        return True

    def waiting(self) -> Waiting:
        """What waits. All here raise sqlite3.Error where the file can't be read or written."""
        rows, oldest = 0, list[float]()
        for table in TABLES:
            count, first = self._one(
                f"SELECT count(*), min(at) FROM {table.name} WHERE waiting = 1"  # noqa: S608
            )
            rows += count
            oldest += [] if first is None else [first]
        return Waiting(rows, min(oldest, default=None))

    def ledger(self) -> str:
        """The id of the ledger."""
        return ledger_id(self._open())

    def take(self, table: Table, limit: int) -> list[Row]:
        """The rows that wait longest, so many at most."""
        return (
            self._open()
            .execute(
                f"SELECT {', '.join(table.columns)} FROM {table.name} "  # noqa: S608 - our own names
                f"WHERE waiting = 1 ORDER BY at, {table.id} LIMIT ?",
                (limit,),
            )
            .fetchall()
        )

    def shipped(self, table: Table, rows: Sequence[Row]) -> None:
        """PostgreSQL has these rows."""
        self._mark(table, rows, None)

    def refused(self, table: Table, rows: Sequence[Row]) -> None:
        """PostgreSQL will never take these rows: they stay in the file only."""
        self._mark(table, rows, 2)

    def adopt(self, database_id: str) -> int:
        """Let all rows wait if they were shipped to another database or to none; how many did not.

        Of those that are there already, nothing will become of being shipped again.
        """
        connection = self._open()
        if self._one("SELECT count(*) FROM shipped_to WHERE database_id = ?", database_id)[0]:
            return 0
        count = 0
        for table in TABLES:
            begin, end = self._one(
                f"SELECT coalesce(min(rowid), 0), coalesce(max(rowid), 0) + 1 "  # noqa: S608
                f"FROM {table.name}"
            )
            name = ", action_id = coalesce(action_id, lower(hex(randomblob(16))))"
            for first in range(begin, end, _ADOPTED_ROWS):
                count += connection.execute(
                    f"UPDATE {table.name} SET waiting = 1{name if table is ACTIONS else ''} "  # noqa: S608
                    "WHERE rowid >= ? AND rowid < ? AND waiting IS NOT 1",
                    (first, first + _ADOPTED_ROWS),
                ).rowcount
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("DELETE FROM shipped_to")
        connection.execute("INSERT INTO shipped_to VALUES (?)", (database_id,))
        connection.execute("COMMIT")
        return count

    def disconnect(self) -> None:
        """Close the file; it is opened again when it is needed."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def close(self) -> None:
        """Close the file, and let another process ship."""
        self.disconnect()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _mark(self, table: Table, rows: Sequence[Row], mark: int | None) -> None:
        at, key = table.columns.index("at"), table.columns.index(table.id)
        connection = self._open()
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(
                f"UPDATE {table.name} SET waiting = ? "  # noqa: S608 - our own names
                f"WHERE waiting = 1 AND at = ? AND {table.id} = ?",
                [(mark, row[at], row[key]) for row in rows],
            )
        except sqlite3.Error:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _one(self, question: str, *parameters: object) -> Any:
        return self._open().execute(question, parameters).fetchone()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            address = f"{self._path.absolute().as_uri()}?mode=rw"
            connection = sqlite3.connect(
                address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None
            )
            try:
                if schema_version(connection) != SCHEMA_VERSION:
                    raise sqlite3.OperationalError("the ledger is of another version")
                # What a power cut may undo is a mark, and then a row is shipped once more.
                connection.execute("PRAGMA synchronous = NORMAL")
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection
