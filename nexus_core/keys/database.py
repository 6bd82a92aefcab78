"""Created keys in PostgreSQL, where all that share it find them, and the version of their table."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nexus_core.config.schema import StorageConfig
from nexus_core.database.connection import Database, DatabaseError
from nexus_core.keys.key import StoredKey
from nexus_core.keys.store import COLUMNS, KeyStoreError, NameTakenError, key_of, row_of

if TYPE_CHECKING:
    from nexus_core.database.driver import Connection

_SECONDS = 5.0  # that a change or a look may take
_NAMES = ", ".join(COLUMNS)
_READ = f"SELECT {_NAMES} FROM nexus.keys".encode()  # noqa: S608 - names of our own
_VALUES = ", ".join(["%s"] * len(COLUMNS))
_ADD = f"INSERT INTO nexus.keys ({_NAMES}) VALUES ({_VALUES})".encode()  # noqa: S608 - the same
_CHANGE = ", ".join(f"{name} = %s" for name in COLUMNS)


class DatabaseKeys:
    """Created keys in PostgreSQL. Blocks: call it in a thread.

    Every change raises the version of the table, in the same transaction.
    """

    def __init__(self, storage: StorageConfig, connect_seconds: float | None = None) -> None:
        """`connect_seconds`: as of `Database`."""
        self._database = Database(storage, connect_seconds=connect_seconds)
        self.name = self._database.name  # for people

    def version(self) -> int:
        """The version of the table: another one than before, where it has changed.

        Raises:
            KeyStoreError: it can't be read, as of all methods here.
        """
        with self._transaction() as connection:
            return _version(connection)

    def read(self) -> tuple[StoredKey, ...]:
        """All keys, the oldest first."""
        return self.read_at()[1]

    def read_at(self) -> tuple[int, tuple[StoredKey, ...]]:
        """The version of the table, and all keys at this version or a later one."""
        with self._transaction() as connection:
            version = _version(connection)
            rows = connection.execute(_READ + b" ORDER BY created, name").fetchall()
        return version, tuple(map(key_of, rows))

    def add(self, key: StoredKey) -> None:
        """Store a new key.

        Raises:
            NameTakenError: its name was used before.
        """
        with self._transaction() as connection:
            _raise_version(connection)  # one changes at a time, and the others wait
            if _found(connection, "name", key.name) is not None:
                raise NameTakenError(key.name)
            connection.execute(_ADD, row_of(key))

    def replace(self, before: StoredKey, after: StoredKey) -> bool:
        """Store a changed key; False where it is not any more as it was before."""
        with self._transaction() as connection:
            _raise_version(connection)
            if _found(connection, "id", before.id) != before:
                return False
            sql = f"UPDATE nexus.keys SET {_CHANGE} WHERE id = %s"  # noqa: S608 - our own names
            connection.execute(sql.encode(), (*row_of(after), after.id))
            return True

    def hang_up(self) -> None:
        """End what is under way, from any thread: whoever waits for it gets an error."""
        self._database.hang_up()

    def close(self) -> None:
        """Close the connection; the next use makes another."""
        self._database.close()

    @contextmanager
    def _transaction(self) -> Generator[Connection]:
        try:
            with self._database.transaction(_SECONDS) as connection:
                yield connection
        except DatabaseError as error:
            raise KeyStoreError(f"client keys: {error}") from error


def _version(connection: Connection) -> int:
    row = connection.execute("SELECT version FROM nexus.keys_version").fetchone()
    return 0 if row is None else int(row[0])


def _raise_version(connection: Connection) -> None:
    connection.execute("UPDATE nexus.keys_version SET version = version + 1")


def _found(connection: Connection, column: str, value: str) -> StoredKey | None:
    row = connection.execute(_READ + f" WHERE {column} = %s".encode(), (value,)).fetchone()
    return None if row is None else key_of(row)
