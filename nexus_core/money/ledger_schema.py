"""Ledger schema: tables, migrations by version, and the rows of requests and operators."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, compress, islice
from typing import TypeAlias

from nexus_core.catalog import BackendType
from nexus_core.observe.events import OperatorActed
from nexus_core.observe.facts import LEDGER, Fact, Unit, reader
from nexus_core.observe.record import RequestRecord
from nexus_core.types import CountMethod, PrivacyZone, RouteReason

# Version by version. Never change one that was released; append another. A column that comes with
# a fact of its own is not written here: its `since` adds it.
_WRITTEN: tuple[tuple[str, ...], ...] = (
    (
        """
        CREATE TABLE requests (
            request_id TEXT NOT NULL,
            at REAL NOT NULL,
            client TEXT,
            endpoint TEXT NOT NULL,
            asked_model TEXT NOT NULL,
            model TEXT,
            backend TEXT,
            backend_type TEXT,
            zone TEXT,
            reason TEXT,
            attempts INTEGER NOT NULL,
            is_streaming INTEGER NOT NULL,
            status INTEGER NOT NULL,
            failed INTEGER NOT NULL,
            client_left INTEGER NOT NULL,
            is_partial INTEGER NOT NULL,
            prompt_tokens INTEGER,
            completion_tokens INTEGER,
            cached_tokens INTEGER NOT NULL,
            cache_write_tokens INTEGER NOT NULL,
            reasoning_tokens INTEGER NOT NULL,
            prompt_audio_tokens INTEGER NOT NULL,
            completion_audio_tokens INTEGER NOT NULL,
            counted TEXT,
            estimated_nano_usd INTEGER,
            cost_nano_usd INTEGER,
            price_source TEXT,
            is_unpriced INTEGER NOT NULL,
            total_ms REAL NOT NULL,
            first_byte_ms REAL,
            overhead_ms REAL
        )
        """,
        "CREATE INDEX requests_at ON requests (at)",
    ),
    (
        "ALTER TABLE requests ADD COLUMN cache_write_1h_tokens INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE requests ADD COLUMN saved_nano_usd INTEGER",
        "ALTER TABLE requests ADD COLUMN saved_model TEXT",
        # What averages at start are made of.
        "CREATE INDEX requests_model ON requests (model, at) WHERE completion_tokens IS NOT NULL",
    ),
    (
        """
        CREATE TABLE operator_actions (
            at REAL NOT NULL,
            via TEXT NOT NULL,
            name TEXT,
            address TEXT,
            action TEXT NOT NULL,
            target TEXT,
            text TEXT NOT NULL,
            effect TEXT,
            error TEXT
        )
        """,
        "CREATE INDEX operator_actions_at ON operator_actions (at)",
    ),
    (),
    (
        # What PostgreSQL does not have yet: 1, and 2 where it refused the row. See money/shared.
        "ALTER TABLE requests ADD COLUMN waiting INTEGER",
        "CREATE INDEX requests_waiting ON requests (at, request_id) WHERE waiting = 1",
        "ALTER TABLE operator_actions ADD COLUMN waiting INTEGER",
        "ALTER TABLE operator_actions ADD COLUMN action_id TEXT",
        "CREATE INDEX operator_actions_waiting ON operator_actions (at, action_id) "
        "WHERE waiting = 1",
        "CREATE TABLE shipped_to (database_id TEXT NOT NULL)",
    ),
)


def _placeholder(key: str, fact: Fact) -> str:
    """Counts come from servers, and money from counts: they are kept to what can be summed."""
    is_count = fact.unit is Unit.TOKENS or key.endswith("_nano_usd")
    return f"min(?, {LARGEST})" if is_count else "?"


def _added(version: int) -> tuple[str, ...]:
    """SQL that adds the ledger columns introduced by this version."""
    return tuple(
        f"ALTER TABLE requests ADD COLUMN {key} {fact.column}"
        for key, fact in LEDGER
        if fact.since == version
    )


SCHEMA_VERSION = max(len(_WRITTEN), *(fact.since or 0 for _, fact in LEDGER))
# Each entry takes the file from one version (its index) to the next.
MIGRATIONS: tuple[tuple[str, ...], ...] = tuple(
    (*(_WRITTEN[version - 1] if version <= len(_WRITTEN) else ()), *_added(version))
    for version in range(1, SCHEMA_VERSION + 1)
)


# One request, however it ended, in the order of COLUMNS. Names and counts, never a prompt or an
# answer.
LedgerRow: TypeAlias = tuple[object, ...]

COLUMNS = tuple(key for key, _ in LEDGER)
LARGEST = 10**15  # of any count: what is more is nonsense, and the sum of many must still fit

# What the ledger keeps of a request.
ledger_row: Callable[[RequestRecord], LedgerRow] = reader(LEDGER)


# What an operator did: who, what and what came of it, never a key or a body.
ActionRow: TypeAlias = tuple[object, ...]

ACTION_COLUMNS = ("at", "via", "name", "address", "action", "target", "text", "effect", "error")


def insert_action(*, is_outbox: bool) -> str:
    """SQL that inserts an action; with `is_outbox` it waits for PostgreSQL, under a name."""
    keys, values = ", ".join(ACTION_COLUMNS), ", ".join("?" * len(ACTION_COLUMNS))
    if is_outbox:
        keys, values = f"{keys}, waiting, action_id", f"{values}, 1, lower(hex(randomblob(16)))"
    return f"INSERT INTO operator_actions ({keys}) VALUES ({values})"  # noqa: S608 - our names


def action_row(event: OperatorActed) -> ActionRow:
    """What the ledger keeps of what an operator did."""
    by = event.by
    return (
        event.at,
        by.via.value,
        by.name,
        by.address,
        event.action,
        event.target,
        event.text,
        event.effect,
        event.error,
    )


# Inserting ----------------------------------------------------------------------------------------

_PLACEHOLDERS = {key: _placeholder(key, fact) for key, fact in LEDGER}
_AT_ONCE_ROWS = 192  # that are made ready together; the event loop's thread waits meanwhile
# Each statement hands the interpreter to the event loop's thread and takes it back. As many rows as
# SQLite takes parameters for, however old it is. https://www.sqlite.org/limits.html
_STATEMENT_ROWS = 24

# Python's sqlite3 searches for an adapter of any value that is no exact int, float or str, and of
# None as well, which takes several times as long as binding it.
_AS_STORED: dict[object, object] = {False: 0, True: 1}
for _words in (BackendType, CountMethod, PrivacyZone, RouteReason):
    _AS_STORED.update({word: word.value for word in _words})
_CONVERTED = [
    *(COLUMNS.index(key) for key in ("backend_type", "counted", "reason", "zone")),
    *(COLUMNS.index(key) for key in ("client_left", "failed", "is_partial")),
    *(COLUMNS.index(key) for key in ("is_streaming", "is_unpriced")),
]


def insert(
    connection: sqlite3.Connection, rows: Sequence[LedgerRow], *, is_outbox: bool = False
) -> None:
    """Insert rows; with `is_outbox` they wait for PostgreSQL.

    Raises:
        OverflowError, UnicodeEncodeError: a value is none that SQLite can hold.
        sqlite3.Error: of the file, or of a row.
    """
    for at in range(0, len(rows), _AT_ONCE_ROWS):
        keys, plain = stored_as(rows[at : at + _AT_ONCE_ROWS])
        while several := [*islice(plain, _STATEMENT_ROWS)]:
            if len(several) == _STATEMENT_ROWS:
                sql = _insert_into(keys, _STATEMENT_ROWS, is_outbox=is_outbox)
                connection.execute(sql, [*chain.from_iterable(several)])
            else:  # one by one: a statement for each number would be kept
                connection.executemany(_insert_into(keys, 1, is_outbox=is_outbox), several)


def stored_as(rows: Sequence[LedgerRow]) -> tuple[tuple[str, ...], Iterator[tuple[object, ...]]]:
    """Rows of ints, floats, strings and None, without the columns of which nothing is known."""
    columns: list[Sequence[object]] = [*zip(*rows, strict=True)]
    for place in _CONVERTED:
        column = columns[place]
        columns[place] = [*map(_AS_STORED.get, column, column)]
    is_known = [column.count(None) < len(rows) for column in columns]
    return tuple(compress(COLUMNS, is_known)), zip(*compress(columns, is_known), strict=True)


@lru_cache(maxsize=64)
def _insert_into(keys: tuple[str, ...], rows: int, *, is_outbox: bool) -> str:
    """SQL that inserts rows of these columns; the others of them are unknown."""
    names, values = ", ".join(keys), ", ".join(_PLACEHOLDERS[key] for key in keys)
    if is_outbox:
        names, values = f"{names}, waiting", f"{values}, 1"
    several = ", ".join([f"({values})"] * rows)
    return f"INSERT INTO requests ({names}) VALUES {several}"  # noqa: S608 - our names


# Migrating ----------------------------------------------------------------------------------------


class NewerLedgerError(Exception):
    """The file was written by a later version of Nexus."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"schema version {version} is newer than this Nexus supports ({SCHEMA_VERSION}); "
            "use a newer Nexus, or set another file in [storage] path"
        )


def schema_version(connection: sqlite3.Connection) -> int:
    """Schema version of a ledger; 0 for a new file."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def is_outbox(connection: sqlite3.Connection) -> bool:
    """Whether rows of this ledger were ever shipped to PostgreSQL."""
    return connection.execute("SELECT 1 FROM shipped_to").fetchone() is not None


def migrate(connection: sqlite3.Connection) -> None:
    """Migrate the ledger to the current schema version, in one transaction.

    The connection must be in autocommit mode (`isolation_level=None`).

    Raises:
        NewerLedgerError: the file is of a later version.
    """
    version = schema_version(connection)
    if version > SCHEMA_VERSION:
        raise NewerLedgerError(version)
    if version == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statements in MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    except sqlite3.Error:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
