"""The ledger: one row per request in SQLite, written by a thread of its own."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_core.config import user_dirs
from nexus_core.config.schema import Config
from nexus_core.money.ledger_schema import (
    LARGEST,
    ActionRow,
    LedgerRow,
    NewerLedgerError,
    insert,
    insert_action,
    is_outbox,
    ledger_row,
    migrate,
)
from nexus_core.observe.record import RequestRecord

if TYPE_CHECKING:
    from nexus_core.money.shared.journal import Journal

log = logging.getLogger(__name__)

BATCH_SECONDS = 0.5  # a row is in the file, and synced, so soon after it was appended
CAPACITY = 20_000  # rows that wait while the file can't be written; and as many of operators
_BATCH_ROWS = 2_000
_AT_ONCE_ROWS = 100  # that are made of records while the event loop's thread waits
_BUSY_SECONDS = 2.0  # for another process that reads or copies the file
_SWEEP_SECONDS = 86_400  # old rows are deleted at start and then so often

_ROW_ERRORS = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)


def ledger_path(config: Config) -> Path | None:
    """Path of the ledger; None without a ledger or a home directory for it.

    A relative path is seen from the config file's folder, so that it is the same file wherever
    Nexus is started.
    """
    if config.storage.path == ":memory:":
        return None
    if config.storage.path is None:
        data = user_dirs.data_dir()
        return None if data is None else data / "nexus.db"
    folder = config.path.parent if config.path else Path()
    path = user_dirs.expanded(config.storage.path)
    return None if path is None else folder / path


NO_HOME = "no home directory for the ledger"
HINT = "set [storage] path to a writable file"


class LedgerHeldError(Exception):
    """Another process writes to the ledger."""


class Ledger:
    """The ledger file, and the thread that writes to it in batches.

    Nothing that goes wrong with the file reaches a request: it is said once, rows wait up to
    `CAPACITY` while the file is tried again, and what does not fit is counted in `lost`.
    """

    def __init__(
        self,
        path: Path | None,  # None keeps nothing
        *,
        retention_days: int | None = None,
        now: Callable[[], float] = time.time,
        written: Callable[[], None] | None = None,
        journal: int | None = None,
    ) -> None:
        """
        Args:
            retention_days: how long rows are kept; None: for ever.
            now: seconds since the epoch.
            written: called after each batch, by the writer's thread, where rows are to be shipped
                to PostgreSQL; None: they are not, unless the file's were before.
            journal: the descriptor of its memory, for one of several workers: others write to the
                file, too, and their supervisor holds its lock.
        """
        self.path = path
        self.wants_id = False  # set before it is opened
        self.id: str | None = None  # stands in the file, once it was opened
        self.journal = None if journal is None else _journal_in(journal)  # one of several workers'
        self._appended = self._settled = 0  # rows that came, and those that are in the file or lost
        self.problem: str | None = None  # why nothing is written just now, for people
        self.lost = 0  # rows that were never written
        self.lost_actions = 0  # of operators; each one is told by the log as well
        self._retention_days = retention_days
        self._now = now
        self._written = written
        self._is_outbox = written is not None
        # For the writer, which takes them in batches and makes rows of records.
        self._rows: deque[LedgerRow | RequestRecord] = deque()
        self._actions: deque[ActionRow] = (
            deque()
        )  # to be written; the writer takes them when they are
        self._has_work = threading.Event()  # there are rows, or it is to close
        self._batch: list[LedgerRow] = []  # being written, or waiting for the file
        self._connection: sqlite3.Connection | None = None
        self._lock_file: int | None = None
        self._swept_at = float("-inf")
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._life = threading.Lock()  # opening and closing come from different threads

    def open(self) -> None:
        """Open or create the file and start writing. Blocks: call it in a thread.

        Never fails: `problem` says why nothing can be written.
        """
        if self.path is None:
            return
        with self._life:
            if self._closing.is_set():
                return
            self._attempt(self._open_file, self.path)
            self._thread = threading.Thread(
                target=self._run, args=(self.path,), name="ledger", daemon=True
            )
            self._thread.start()

    def append(self, row: LedgerRow | RequestRecord) -> None:
        """Hand a row, or a request that is over, to the writer; takes no time and never fails.

        The writer is woken by the first row of a batch only: each waking costs more than a row.
        """
        if self.journal is not None:
            row = _as_row(row)
            self.journal.write(row, self._appended + (self.path is not None), self._settled)
        elif self.problem is not None:
            row = _as_row(row)  # which needs less room while it waits
        if self.path is None:
            return
        if len(self._rows) >= CAPACITY or self._closing.is_set():
            self.lost += 1
            return
        self._appended += 1
        self._rows.append(row)
        if not self._has_work.is_set():
            self._has_work.set()

    def append_action(self, row: ActionRow) -> None:
        """Hand what an operator did to the writer; never fails."""
        if self.path is None:
            return
        if len(self._actions) >= CAPACITY or self._closing.is_set():
            self.lost_actions += 1
            return
        self._actions.append(row)
        self._has_work.set()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Write what is waiting and close the file. Blocks: call it in a thread."""
        with self._life:
            self._closing.set()
            thread = self._thread
        if thread is None:
            return
        self._has_work.set()
        thread.join(timeout_seconds)
        if self.lost:
            log.warning("ledger: %d requests were not recorded", self.lost)
        if self.lost_actions:
            log.warning("ledger: %d actions of operators were not recorded", self.lost_actions)

    # The writer's thread ----------------------------------------------------------------------

    def _run(self, path: Path) -> None:
        is_behind = False
        while True:
            if not (self._batch or self._actions):
                self._has_work.wait()
            # More rows may come meanwhile; those that did not fit into a batch have waited enough.
            is_closing = self._closing.wait(0 if is_behind else BATCH_SECONDS)
            is_behind = self._gather() and self.problem is None
            self._attempt(self._write, path)
            # While it is closing, what fails has no second chance.
            is_done = not (self._rows or self._actions)
            if is_closing and (self.problem is not None or is_done):
                break
        self.lost += len(self._batch) + len(self._rows)
        self.lost_actions += len(self._actions)
        self._disconnect()
        if self._lock_file is not None:
            os.close(self._lock_file)  # and so gives the lock back

    def _gather(self) -> bool:
        """Fill the batch; whether there are rows that did not fit."""
        self._has_work.clear()  # before looking: a row that comes now is announced again
        while self._rows and len(self._batch) < _BATCH_ROWS:
            row = self._rows.popleft()
            try:
                self._batch.append(_as_row(row))
            except Exception:  # the writer goes on, and so do all other rows
                log.exception("a request is not recorded")
                self.lost += 1
                self._settled += 1
            if len(self._batch) % _AT_ONCE_ROWS == 0:
                time.sleep(0)  # the event loop's turn
        if self._rows:
            self._has_work.set()
        return bool(self._rows)

    def _attempt(self, work: Callable[[Path], None], path: Path) -> None:
        """Do it, or say once why it can't be done."""
        try:
            work(path)
        except (OSError, sqlite3.Error, LedgerHeldError, NewerLedgerError) as error:
            self._disconnect()
            hint = f"; {HINT}" if isinstance(error, OSError) or "readonly" in str(error) else ""
            if self.problem is None:
                log.warning(
                    "ledger %s: %s; requests are served but not recorded%s", path, error, hint
                )
            self.problem = str(error)
        else:
            if self.problem is not None:
                log.warning("ledger %s: recording again; %d requests were lost", path, self.lost)
            self.problem = None

    def _write(self, path: Path) -> None:
        connection = self._connection or self._connect(path)
        connection.execute("BEGIN IMMEDIATE")
        try:
            try:
                insert(connection, self._batch, is_outbox=self._is_outbox)
            except (OverflowError, UnicodeEncodeError):
                connection.execute("ROLLBACK")
                connection.execute("BEGIN IMMEDIATE")
                plain = [tuple(map(_storable, row)) for row in self._batch]
                insert(connection, plain, is_outbox=self._is_outbox)
        except _ROW_ERRORS:  # it would fail again, and hold up every row after it
            self.lost += len(self._batch)
            self._settled += len(self._batch)
            self._batch.clear()
            raise
        # More may come meanwhile, at the other end.
        actions = [self._actions[at] for at in range(min(len(self._actions), _BATCH_ROWS))]
        sql = insert_action(is_outbox=self._is_outbox)
        connection.executemany(sql, [tuple(map(_storable, row)) for row in actions])
        connection.execute("COMMIT")
        for _ in actions:
            self._actions.popleft()
        self._settled += len(self._batch)
        self._batch.clear()
        if self._written is not None:
            self._written()
        self._sweep(connection)

    def _sweep(self, connection: sqlite3.Connection) -> None:
        now = self._now()
        if self._retention_days is None or now - self._swept_at < _SWEEP_SECONDS:
            return
        oldest = now - self._retention_days * 86_400
        for table in ("requests", "operator_actions"):
            connection.execute(f"DELETE FROM {table} WHERE at < ?", (oldest,))  # noqa: S608
        self._swept_at = now

    # The file ---------------------------------------------------------------------------------

    def _open_file(self, path: Path) -> None:
        self._sweep(self._connect(path))

    def _connect(self, path: Path) -> sqlite3.Connection:
        """Raises: OSError, sqlite3.Error, LedgerHeldError, NewerLedgerError."""
        _make_private(path)
        if self._lock_file is None and self.journal is None:
            self._lock_file = take_lock(path)
        connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")  # a commit outlives a power cut, too
            migrate(connection)
            if self.wants_id:
                from nexus_core.money.shared.ledger_id import ledger_id

                self.id = ledger_id(connection)
            # Also while it is shipped nowhere: what is written meanwhile is shipped later.
            self._is_outbox = self._written is not None or is_outbox(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _as_row(row: LedgerRow | RequestRecord) -> LedgerRow:
    return row if isinstance(row, tuple) else ledger_row(row)


def _journal_in(memory: int) -> Journal:
    from nexus_core.money.shared.journal import Journal  # only several workers have some

    return Journal(memory)


def hold(path: Path) -> int:
    """Prepare the ledger and become the one process whose workers write to it.

    Gives the descriptor of the lock, which ends with it.

    Raises:
        OSError, sqlite3.Error, LedgerHeldError, NewerLedgerError: it can't be written.
    """
    _make_private(path)
    lock = take_lock(path)
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
            connection.isolation_level = None
            connection.execute("PRAGMA journal_mode = WAL")
            migrate(connection)
    except BaseException:
        os.close(lock)
        raise
    return lock


def _make_private(path: Path) -> None:
    """Make the file and its folder such that only their owner may look."""
    folder = path.parent
    if not folder.exists():
        folder.mkdir(mode=0o700, parents=True)
    elif folder == user_dirs.data_dir():
        folder.chmod(0o700)  # ours alone; any other folder may hold what others should see
    # SQLite gives its side files the mode of the main one. One that is there is not opened: to
    # close it would end the locks of all connections of this process to it, and another process
    # would take the log from under them. https://www.sqlite.org/howtocorrupt.html
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    if not os.access(path, os.R_OK | os.W_OK):
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))  # fails, and says why
    if path.stat().st_mode & 0o077:
        path.chmod(0o600)


def take_lock(path: Path) -> int:
    """Become the one process that writes to `path`; the lock ends with the process.

    Raises:
        LedgerHeldError: another process is; the message names it.
        OSError: the file for the lock can't be made.
    """
    lock_path = path.with_name(f"{path.name}.lock")
    lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise LedgerHeldError(
            f"is in use by another Nexus (process {holder}); stop it, "
            "or set another file in [storage] path"
        ) from None
    os.truncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def _storable(value: object) -> object:
    """What SQLite can hold: names come from strangers, counts from servers."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode(errors="backslashreplace").decode()
    if isinstance(value, int):
        return min(value, LARGEST)
    return value
