"""The ledger's tables, version by version, and the row that goes into them."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, fields

# Each entry takes the file from one version (its index) to the next. Never change one that was
# released; append another.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
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
)
SCHEMA_VERSION = len(MIGRATIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One request, however it ended. Names and counts only, never a prompt or an answer."""

    request_id: str
    at: float  # when it ended, in seconds since the epoch; decides the month it is billed in
    client: str | None  # the name of the client key
    endpoint: str
    asked_model: str
    model: str | None  # by the backend's own name; None when no backend answered, as the next four
    backend: str | None
    backend_type: str | None
    zone: str | None
    reason: str | None
    attempts: int  # backends tried
    is_streaming: bool
    status: int
    failed: bool
    client_left: bool
    is_partial: bool = False  # the answer broke off, and its tokens are those seen until then
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    reasoning_tokens: int = 0
    prompt_audio_tokens: int = 0
    completion_audio_tokens: int = 0
    counted: str | None = None  # a CountMethod: how the tokens are known
    estimated_nano_usd: int | None = None  # what was expected before it was sent
    cost_nano_usd: int | None = None  # what it cost
    price_source: str | None = None
    is_unpriced: bool = False  # it cost something, and nobody knows how much
    total_ms: float
    first_byte_ms: float | None = None
    overhead_ms: float | None = None
    saved_nano_usd: int | None = None  # of a local answer: what the asked cloud model costs
    saved_model: str | None = None


COLUMNS = tuple(field.name for field in fields(LedgerRow))
INSERT = (
    f"INSERT INTO requests ({', '.join(COLUMNS)}) "  # noqa: S608 - our own names
    f"VALUES ({', '.join('?' * len(COLUMNS))})"
)


class NewerLedgerError(Exception):
    """The file was written by a later version of Nexus."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"schema version {version} is newer than this Nexus supports ({SCHEMA_VERSION}); "
            "use a newer Nexus, or set another file in [storage] path"
        )


def schema_version(connection: sqlite3.Connection) -> int:
    """0 for a new file."""
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the present version: wholly or not at all.

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
