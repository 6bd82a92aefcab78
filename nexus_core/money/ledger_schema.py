"""Ledger schema: tables, migrations by version, and the rows of requests and operators."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TypeAlias

from nexus_core.observe.events import OperatorActed
from nexus_core.observe.facts import LEDGER, Fact, Unit, reader
from nexus_core.observe.record import RequestRecord

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
)


def _placeholder(column: tuple[str, Fact]) -> str:
    """Counts come from servers, and money from counts: they are kept to what can be summed."""
    key, fact = column
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
INSERT = (
    f"INSERT INTO requests ({', '.join(COLUMNS)}) "  # noqa: S608 - our own names
    f"VALUES ({', '.join(map(_placeholder, LEDGER))})"
)

# What the ledger keeps of a request.
ledger_row: Callable[[RequestRecord], LedgerRow] = reader(LEDGER)


# What an operator did: who, what and what came of it, never a key or a body.
ActionRow: TypeAlias = tuple[object, ...]

ACTION_COLUMNS = ("at", "via", "name", "address", "action", "target", "text", "effect", "error")
INSERT_ACTION = (
    f"INSERT INTO operator_actions ({', '.join(ACTION_COLUMNS)}) "  # noqa: S608 - our own names
    f"VALUES ({', '.join('?' * len(ACTION_COLUMNS))})"
)


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
