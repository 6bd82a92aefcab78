"""Rows of a worker's ledger until they are in its file: what is left when it is killed.

A row is noted in memory that outlives the process; the ledger's file, which is synced to the disk,
follows in batches. The supervisor takes over what is missing there.
"""

from __future__ import annotations

import mmap
import os
import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import msgspec

from nexus_core.money.ledger_schema import COLUMNS, LedgerRow, insert, is_outbox
from nexus_core.state.leases.recovery import Spent
from nexus_core.worker import shared_memory

_LENGTH = struct.Struct("=I")
_END = struct.Struct("=Q")  # at the beginning: where the rows end
_BYTES = 8 * 1024 * 1024  # twice what several seconds bring
_ID, _AT, _CLIENT = (COLUMNS.index(name) for name in ("request_id", "at", "client"))
_BUSY_SECONDS = 5.0  # for other workers to end their batches
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[list[object], Spent | None]).decode


class Entry(NamedTuple):
    """A row, and what its worker had spent with it; None: that was not known."""

    row: LedgerRow
    spent: Spent | None


class Journal:
    """One worker's rows.

    In memory that the supervisor maps as well: noting a row makes no call into the kernel, which
    would also let other threads take the interpreter.
    """

    def __init__(self, descriptor: int) -> None:
        """Begin a new one in the memory of `make_journal`."""
        self._memory = mmap.mmap(descriptor, _BYTES)
        self._end = _END.size
        # What its worker has spent by now, with a client's row, for the one that goes on from it.
        self.spent_by: Callable[[str | None], Spent | None] = lambda _: None

    def write(self, row: LedgerRow, *, is_all_kept: bool) -> None:
        """Note a row; never fails. `is_all_kept`: the ledger's file has all before it."""
        if is_all_kept and self._end > _BYTES // 2:
            self._end = _END.size
            _END.pack_into(self._memory, 0, self._end)  # before a row of before is written over
        try:
            client = row[_CLIENT]
            spent = self.spent_by(client if isinstance(client, str) else None)
            data = _encode((row, spent))
        except (TypeError, ValueError, OverflowError):
            return
        start, end = self._end + _LENGTH.size, self._end + _LENGTH.size + len(data)
        if end > _BYTES:
            return  # the ledger can't be written to for long: it tells what it loses
        memory = self._memory
        _LENGTH.pack_into(memory, self._end, len(data))
        memory[start:end] = data
        _END.pack_into(memory, 0, end)  # last: whoever reads it finds whole rows
        self._end = end


def make_journal() -> int:
    """The descriptor of the memory for a journal, which a child process inherits by its number."""
    return shared_memory(_BYTES)


def journal_entries(descriptor: int) -> list[Entry]:
    """What a journal holds, oldest first."""
    # Read, not mapped: that takes no other descriptor, of which there may be none.
    (end,) = _END.unpack(os.pread(descriptor, _END.size, 0))
    return list(_entries(os.pread(descriptor, min(end, _BYTES), 0)))


def spent_at_end(entries: Iterable[Entry], before: Spent | None) -> Spent | None:
    """What a worker had spent at its end, where that is known.

    Args:
        before: the same of the worker before it, which it went on from.
    """
    month, amounts = before or ("", {})
    amounts = {**amounts}
    for _, spent in entries:
        if spent is None:
            continue
        if spent[0] != month:
            month, amounts = spent[0], {}
        amounts |= spent[1]
    return (month, amounts) if month else None


def _entries(data: bytes) -> Iterator[Entry]:
    place = _END.size
    while place < len(data):
        (length,) = _LENGTH.unpack_from(data, place)
        start, place = place + _LENGTH.size, place + _LENGTH.size + length
        try:
            row, spent = _decode(data[start:place])
        except msgspec.MsgspecError:
            continue  # of another version, installed since the supervisor began
        if len(row) == len(COLUMNS):
            yield Entry(tuple(row), spent)


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
        insert(file, missing, is_outbox=is_outbox(file))
        file.execute("COMMIT")
    return len(missing)
