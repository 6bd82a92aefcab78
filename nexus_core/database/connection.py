"""A connection to PostgreSQL that is made when it is needed, and anew after it broke."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from nexus_core.config.database import INSTALL
from nexus_core.config.schema import StorageConfig
from nexus_core.database import schema

if TYPE_CHECKING:
    from nexus_core.database.driver import Connection

START_SECONDS = 1.0  # that a start, or a request, waits for a connection
SECONDS = 10.0  # for the answers of a transaction


class DatabaseError(Exception):
    """PostgreSQL can't be used, or not for this; the message says why, without a password."""


class RowRefusedError(DatabaseError):
    """A value is none that PostgreSQL can hold: it would be refused again."""


class NoTablesError(DatabaseError):
    """The database has no tables of Nexus yet, and whoever asks makes none."""


class Database:
    """PostgreSQL, as `[storage] url_env` names it. Blocks: for threads, one transaction a time."""

    def __init__(
        self,
        storage: StorageConfig,
        *,
        is_reader: bool = False,
        connect_seconds: float | None = None,
    ) -> None:
        """
        Args:
            connect_seconds: to wait for a connection, where its URL does not say; None: 3.
            is_reader: its tables are used as they are, and not made.

        Raises:
            ValueError: the section has no URL.
        """
        if storage.url is None:
            raise ValueError("[storage] url_env is not set")
        self.name = f"PostgreSQL ({storage.url_env})"  # for people
        self._url = storage.url
        self._is_reader = is_reader
        self._connect_seconds = connect_seconds
        self._lock = threading.Lock()
        self._connection: Connection | None = None

    @contextmanager
    def transaction(self, seconds: float = SECONDS) -> Generator[Connection]:
        """A transaction: all of it is done at its end, or nothing.

        Args:
            seconds: that the server may take for it, beside connecting.

        Raises:
            RowRefusedError: a value can't be held; the connection goes on.
            DatabaseError: the server is not reached, too slow, or does not do it.
        """
        with self._lock:
            try:
                from nexus_core.database import driver
            except ImportError as error:
                raise DatabaseError(f"{self.name}: {error}; {INSTALL}") from None
            try:
                connection = self._connection or self._connect()
                with driver.within(connection, seconds), connection.transaction():
                    yield connection
            except driver.ROW_ERRORS as error:
                text = f"{self.name}: {driver.told(error, self._url)}"
                raise RowRefusedError(text) from None
            except (driver.Error, OSError) as error:
                self._drop()
                raise DatabaseError(f"{self.name}: {driver.told(error, self._url)}") from None

    def hang_up(self) -> None:
        """End the transaction under way, from any thread: whoever waits for it gets an error."""
        connection = self._connection
        if connection is not None:
            from nexus_core.database import driver

            driver.hang_up(connection)

    def close(self) -> None:
        """Close the connection; the next transaction makes another."""
        with self._lock:
            self._drop()

    def _connect(self) -> Connection:
        """Raises: psycopg.Error, OSError, DatabaseError."""
        from nexus_core.database import driver

        self._connection = connection = driver.connect(self._url, self._connect_seconds)
        try:
            with driver.within(connection, SECONDS), connection.transaction():
                if self._is_reader:
                    schema.look(connection)
                else:
                    schema.migrate(connection)
        except schema.SchemaError as error:
            self._drop()
            kind = NoTablesError if isinstance(error, schema.NoTablesYet) else DatabaseError
            raise kind(f"{self.name}: {error}") from None
        return connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(OSError):
                connection.close()
