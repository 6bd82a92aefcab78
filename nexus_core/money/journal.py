"""Rows of a worker's ledger until they are in its file: what is left when the worker is killed.

A row is written where the kernel keeps it, whatever becomes of the process; the ledger's file,
which is synced to the disk, follows in batches. The supervisor takes over what is missing there.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import msgspec

from nexus_core.money.ledger_schema import COLUMNS, LedgerRow, insert

_LENGTH = struct.Struct("=I")
_LARGE_BYTES = 4 * 1024 * 1024  # then it begins anew, once all of it is in the ledger
_BUSY_SECONDS = 5.0  # for other workers to end their batches
_ID, _AT = COLUMNS.index("request_id"), COLUMNS.index("at")
_encode = msgspec.msgpack.Encoder().encode


class Journal:
    """One worker's rows."""

    def __init__(self, path: Path) -> None:
        """Begin a new one.

        Raises:
            OSError: it can't be made.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)
        self._size = 0

    def write(self, row: LedgerRow, *, is_all_kept: bool) -> None:
        """Note a row; never fails. `is_all_kept`: the ledger's file has all before it."""
        with suppress(OSError, TypeError, ValueError, OverflowError):
            if is_all_kept and self._size > _LARGE_BYTES:
                os.ftruncate(self._file, 0)
                self._size = 0
            data = _encode(row)
            self._size += os.write(self._file, _LENGTH.pack(len(data)) + data)


def journal_rows(path: Path) -> list[LedgerRow]:
    """The rows of a journal, oldest first; none where there is none."""
    try:
        data = path.read_bytes()
    except OSError:
        return []
    return list(_rows(data))


def _rows(data: bytes) -> Iterator[LedgerRow]:
    place = 0
    while place + _LENGTH.size <= len(data):
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        if place + length > len(data):
            return  # it was killed in the middle of it
        row: list[object] = msgspec.msgpack.decode(data[place : place + length])
        if len(row) == len(COLUMNS):
            yield tuple(row)
        place += length


def keep_rows(ledger: Path, rows: list[LedgerRow]) -> int:
    """Write those that the ledger lacks; gives their number. Blocks.

    Raises:
        sqlite3.Error: they can't be written.
    """
    if not rows:
        return 0
    with closing(sqlite3.connect(ledger, timeout=_BUSY_SECONDS, isolation_level=None)) as file:
        file.execute("BEGIN IMMEDIATE")
        oldest = min(float(str(row[_AT])) for row in rows)
        found = file.execute("SELECT request_id FROM requests WHERE at >= ?", (oldest,))
        known = {request_id for (request_id,) in found}
        missing = [row for row in rows if row[_ID] not in known]
        insert(file, missing)
        file.execute("COMMIT")
    return len(missing)
