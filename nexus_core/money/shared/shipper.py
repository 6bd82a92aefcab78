"""The shipper: a thread that takes rows from the outbox to PostgreSQL, in batches."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from nexus_core.config.schema import StorageConfig
from nexus_core.database.connection import Database, DatabaseError, RowRefusedError
from nexus_core.database.schema import VERSION, database_id
from nexus_core.money.shared.outbox import TABLES, Outbox, Row, Table, Waiting

log = logging.getLogger(__name__)

BATCH_ROWS = 2_000
_FEWEST_ROWS = 20  # in a batch, while PostgreSQL is too slow for more
_LOOK_SECONDS = 1.0  # other processes may write to the file, and nobody says so
_TURN_SECONDS = 0.05  # between two looks, at the end, whether another process is done shipping
LONGEST_PAUSE_SECONDS = 5.0  # between two tries while PostgreSQL is not reached
SEND_SECONDS = 10.0  # for a batch to be taken
_OTHERS_SECONDS = 1.0  # that its end is awaited for so
_SWEEP_SECONDS = 86_400
_SWEPT_ROWS = 5_000  # deleted at a time


class Shipper:
    """Ships what waits, for as long as it takes; nothing that goes wrong reaches a request."""

    def __init__(
        self,
        path: Path,
        storage: StorageConfig,
        replica: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            path: the ledger's file.
            replica: the name that rows get there.
            now: seconds since the epoch.
        """
        self.problem: str | None = None  # why nothing is shipped just now, for people
        self.waiting = Waiting()
        self.refused = 0  # rows that PostgreSQL will not take; each is named in the log
        self._outbox = Outbox(path)
        self._database = Database(storage)
        self._replica = replica
        self._ledger = ""  # the id of the file, once it is known which database it is
        self._retention_days = storage.retention_days
        self._now = now
        self._swept_at = float("-inf")
        self._counted_at = float("-inf")
        self._is_known = False  # which database it is
        self._batch_rows = BATCH_ROWS
        self._ships = False  # of several processes with one file, this one does
        self._has_work = threading.Event()
        self._closing = threading.Event()
        self._closed_at = self._ends_at = float("inf")  # monotonic
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Ship until `close`; the ledger's file must be there, or come."""
        self._has_work.set()
        self._thread = threading.Thread(target=self._run, name="shipper", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There may be rows to ship; quick, from any thread."""
        self._has_work.set()

    def close(self, seconds: float = 5.0) -> None:
        """Ship what waits, for so long at most; the rest waits in the file. Blocks."""
        thread = self._thread
        if thread is None:
            return
        self._closed_at = time.monotonic()
        self._ends_at = self._closed_at + seconds
        self._closing.set()
        self._has_work.set()
        thread.join(seconds)
        if thread.is_alive():
            self._database.hang_up()
            thread.join(1.0)
        if self.waiting.rows and (self._ships or self.problem is not None):
            log.warning("ledger: %d rows wait for %s", self.waiting.rows, self._database.name)

    # The thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = 0.0
        self._count()  # so that what waits is told while PostgreSQL is being looked for
        while True:
            if pause:
                self._closing.wait(pause)
            else:
                self._has_work.wait(_LOOK_SECONDS)
            is_last = self._closing.is_set()
            self._has_work.clear()  # before looking: what comes now is announced again
            if is_last and self.problem is None:
                self._wait_for_turn()
            if not (is_last and self.problem is not None):  # then it had its chance
                pause = 0.0 if self._attempt() else min(max(1.0, 2 * pause), LONGEST_PAUSE_SECONDS)
            if is_last:
                break
        self._outbox.close()
        self._database.close()

    def _wait_for_turn(self) -> None:
        """At the end, wait for another process that ships and ends as well, if there is work."""
        try:
            while (
                not self._outbox.is_ours()
                and self._outbox.waiting().rows
                and time.monotonic() < min(self._ends_at, self._closed_at + _OTHERS_SECONDS)
            ):
                time.sleep(_TURN_SECONDS)
        except (OSError, sqlite3.Error):
            self._outbox.disconnect()

    def _attempt(self) -> bool:
        """Ship what waits; False where it can't be done now, which is said once."""
        try:
            self._ship_all()
        except DatabaseError as error:
            self._is_known = False
            self._batch_rows = max(_FEWEST_ROWS, self._batch_rows // 4)  # it may have been too slow
            self._count()
            self._fail(str(error))
            return False
        except (OSError, sqlite3.Error) as error:
            self._outbox.disconnect()
            self._fail(f"the outbox can't be read: {error}")
            return False
        except Exception as error:  # the edge of the thread: nobody would start another
            if self.problem is None:
                log.exception("ledger: rows could not be shipped")
            self._fail(f"{self._database.name}: {type(error).__name__}")
            return False
        if self.problem is not None:
            log.warning("ledger: %s takes rows again", self._database.name)
            self.problem = None
        return True

    def _fail(self, why: str) -> None:
        if self.problem is None:
            log.warning("ledger: %s; rows wait in the file", why)
        self.problem = why

    def _ship_all(self) -> None:
        """Raises: DatabaseError, OSError, sqlite3.Error."""
        self._ships = self._outbox.is_ours()
        if self._ships:
            if not self._is_known:
                self._recognise()
            for table in TABLES:
                while self._ship(table) and time.monotonic() < self._ends_at:
                    self._count(at_most_every=1.0)
            self._sweep()
        self.waiting = self._outbox.waiting()

    def _recognise(self) -> None:
        """Ask which database it is: one that is new to the file gets all of its rows."""
        with self._database.transaction() as connection:
            found = database_id(connection)
        self._ledger = self._outbox.ledger()
        if count := self._outbox.adopt(found):
            log.info("ledger: %d rows of before are shipped to %s", count, self._database.name)
        self._is_known = True

    def _ship(self, table: Table) -> bool:
        """Ship a batch; whether it was a full one."""
        size = self._batch_rows
        rows = self._outbox.take(table, size)
        if rows:
            self._deliver(table, rows)
            self._batch_rows = min(BATCH_ROWS, 2 * size)
        return len(rows) == size

    def _deliver(self, table: Table, rows: Sequence[Row]) -> None:
        """Send rows and mark them; one that is refused holds up no other."""
        try:
            self._send(table, rows)
        except RowRefusedError as error:
            if len(rows) > 1:
                half = len(rows) // 2
                self._deliver(table, rows[:half])
                self._deliver(table, rows[half:])
                return
            if (plain := [tuple(map(_plain, rows[0]))]) != [tuple(rows[0])]:
                self._deliver(table, plain)  # its database may hold few scripts
                return
            self.refused += 1
            key = rows[0][table.columns.index(table.id)]
            log.error("ledger: %s=%s stays in the file only: %s", table.id, key, error)
            self._outbox.refused(table, rows)
        else:
            self._outbox.shipped(table, rows)

    def _send(self, table: Table, rows: Sequence[Row]) -> None:
        names = ", ".join(("replica", "ledger", *table.columns))
        there, here = f"nexus.{table.name}", f"nexus_shipping_{table.name}_{VERSION}"
        with self._database.transaction(SEND_SECONDS) as connection:
            # Its name has the version: behind a pooler it may be one of an older Nexus.
            connection.execute(
                f"CREATE TEMPORARY TABLE IF NOT EXISTS {here} (LIKE {there}) "
                "ON COMMIT DELETE ROWS".encode()
            )
            with connection.cursor().copy(f"COPY {here} ({names}) FROM STDIN".encode()) as copy:
                for row in rows:
                    copy.write_row((self._replica, self._ledger, *map(_storable, row)))
            connection.execute(
                f"INSERT INTO {there} ({names}) SELECT {names} FROM {here} "  # noqa: S608 - our own names
                f"ON CONFLICT ({table.id}) DO NOTHING".encode()
            )

    def _sweep(self) -> None:
        now = self._now()
        if self._retention_days is None or now - self._swept_at < _SWEEP_SECONDS:
            return
        oldest = now - self._retention_days * 86_400
        for table in TABLES:
            is_full = True
            while is_full and time.monotonic() < self._ends_at:
                with self._database.transaction() as connection:
                    there = f"nexus.{table.name}"
                    found = connection.execute(
                        f"DELETE FROM {there} WHERE {table.id} IN (SELECT {table.id} "  # noqa: S608
                        f"FROM {there} WHERE at < %s LIMIT {_SWEPT_ROWS})".encode(),
                        (oldest,),
                    )
                    is_full = found.rowcount == _SWEPT_ROWS
        self._swept_at = now

    def _count(self, *, at_most_every: float = 0.0) -> None:
        at = time.monotonic()
        if at - self._counted_at >= at_most_every:
            try:
                self.waiting = self._outbox.waiting()
            except sqlite3.Error:
                self._outbox.disconnect()
            self._counted_at = at


def _storable(value: object) -> object:
    """What PostgreSQL can hold: no NUL within a text."""
    return value.replace("\0", "\\x00") if isinstance(value, str) and "\0" in value else value


def _plain(value: object) -> object:
    """A text in ASCII, which a database of any encoding holds."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("ascii", "backslashreplace").decode()
    return value
