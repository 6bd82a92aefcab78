"""The store of created keys: a SQLite file beside the ledger, readable by its owner only."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any, Protocol

from nexus_core.keys.key import Limits, StoredKey
from nexus_core.keys.watched_file import is_there
from nexus_core.types import PrivacyZone

_VERSION = 2
_BUSY_SECONDS = 2.0  # for another process that writes
_MODE = 0o600

_TABLE = """
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, digest BLOB NOT NULL, created REAL NOT NULL,
    revoked REAL, blocked REAL, old_digest BLOB, old_until REAL NOT NULL DEFAULT 0,
    budget_usd REAL, rpm INTEGER, tpm INTEGER, parallel INTEGER,
    models TEXT, zone TEXT NOT NULL, tier INTEGER, expires REAL
) STRICT
"""
COLUMNS = (
    *("id", "name", "digest", "created", "revoked", "blocked", "old_digest", "old_until"),
    *("budget_usd", "rpm", "tpm", "parallel", "models", "zone", "tier", "expires"),
)
_READ = f"SELECT {', '.join(COLUMNS)} FROM keys ORDER BY created, name"  # noqa: S608
_ADD, _REPLACE = (
    f"{verb} INTO keys ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
    for verb in ("INSERT", "INSERT OR REPLACE")
)


class KeyStoreError(Exception):
    """The store can't be read or written; the message says why, for people."""


class NameTakenError(Exception):
    """There is, or was, a key of this name."""


class KeyStorage(Protocol):
    """Where created keys are kept. Blocks: call it in a thread."""

    def read(self) -> tuple[StoredKey, ...]:
        """All keys, the oldest first.

        Raises:
            KeyStoreError: they can't be read.
        """
        ...

    def add(self, key: StoredKey) -> None:
        """Store a new key.

        Raises:
            NameTakenError: its name was used before.
            KeyStoreError: it can't be written.
        """
        ...

    def replace(self, before: StoredKey, after: StoredKey) -> bool:
        """Store a changed key; False where it is not any more as it was before.

        Raises:
            KeyStoreError: it can't be written.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds."""


class KeyStore:
    """Created keys, in a file or, without a path, in memory only.

    Blocks: call it in a thread. Other processes may write to the same file.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._kept: sqlite3.Connection | None = None  # of one that is in memory

    def read(self) -> tuple[StoredKey, ...]:
        """All keys, the oldest first; none where there is no file.

        Raises:
            KeyStoreError: there is one, and it can't be read.
        """
        if self.path is not None and not is_there(self.path):
            return ()
        with self._connected() as connection:
            return tuple(key_of(row) for row in connection.execute(_READ))

    def add(self, key: StoredKey) -> None:
        """Store a new key.

        Raises:
            NameTakenError: its name was used before.
            KeyStoreError: it can't be written.
        """
        with self._connected() as connection:
            found = connection.execute("SELECT 1 FROM keys WHERE name = ?", (key.name,))
            if found.fetchone() is not None:
                raise NameTakenError(key.name)
            connection.execute(_ADD, row_of(key))

    def replace(self, before: StoredKey, after: StoredKey) -> bool:
        """Store a changed key; False where it is not any more as it was before.

        Raises:
            KeyStoreError: it can't be written.
        """
        with self._connected() as connection:
            rows = connection.execute(_READ).fetchall()
            if before not in [key_of(row) for row in rows]:
                return False
            connection.execute(_REPLACE, row_of(after))
            return True

    @contextlib.contextmanager
    def _connected(self) -> Generator[sqlite3.Connection]:
        """A transaction that is written at its end, unless something is raised."""
        with self._lock:
            try:
                connection = self._connect()
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    try:
                        yield connection
                    except BaseException:
                        connection.execute("ROLLBACK")
                        raise
                    connection.execute("COMMIT")
                finally:
                    if connection is not self._kept:
                        connection.close()
            except (OSError, sqlite3.Error, ValueError, TypeError) as error:
                raise KeyStoreError(f"client keys: {self.path}: {error}") from error

    def _connect(self) -> sqlite3.Connection:
        if self._kept is not None:
            return self._kept
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Before SQLite makes it: its journal gets the same mode.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, _MODE))
            if self.path.stat().st_mode & 0o077:
                self.path.chmod(_MODE)
        connection = sqlite3.connect(
            ":memory:" if self.path is None else self.path,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            _migrate(connection)
        except BaseException:
            connection.close()
            raise
        if self.path is None:
            self._kept = connection
        return connection

    def close(self) -> None:
        """Forget what was in memory only."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def _migrate(connection: sqlite3.Connection) -> None:
    if _version(connection) == _VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")  # others may look at the same time
    try:
        version = _version(connection)
        if version > _VERSION:
            raise ValueError(f"was written by a newer Nexus (version {version} of the file)")
        connection.execute(_TABLE)
        if version == 1:
            connection.execute("ALTER TABLE keys ADD COLUMN blocked REAL")
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def row_of(key: StoredKey) -> tuple[Any, ...]:
    """A key as a row, in the order of COLUMNS."""
    limits = key.limits
    return (
        *(
            key.id,
            key.name,
            key.digest,
            key.created,
            key.revoked,
            key.blocked,
            key.old_digest,
            key.old_until,
        ),
        *(limits.budget_usd, limits.rpm, limits.tpm, limits.parallel),
        None if limits.models is None else json.dumps(limits.models),
        *(limits.zone.value, limits.tier, limits.expires),
    )


def key_of(row: tuple[Any, ...]) -> StoredKey:
    """The key of a row."""
    told = dict(zip(COLUMNS, row, strict=True))
    models = told["models"]
    return StoredKey(
        id=told["id"],
        name=told["name"],
        digest=told["digest"],
        created=told["created"],
        revoked=told["revoked"],
        blocked=told["blocked"],
        old_digest=told["old_digest"],
        old_until=told["old_until"],
        limits=Limits(
            budget_usd=told["budget_usd"],
            rpm=told["rpm"],
            tpm=told["tpm"],
            parallel=told["parallel"],
            models=None if models is None else tuple(json.loads(models)),
            zone=PrivacyZone(told["zone"]),
            tier=told["tier"],
            expires=told["expires"],
        ),
    )
