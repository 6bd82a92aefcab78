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
_BYTES = 8 * 1024 * 1024  # twice what several seconds bring
# At the beginning: which half is written to, and where the rows of each end.
_WORD = struct.Struct("=Q")
_WORDS = struct.Struct("=QQQ")
_HALVES = ((_WORDS.size, _BYTES // 2), (_BYTES // 2, _BYTES))  # from, to
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
        self._half = 0
        self._end = _HALVES[0][0]
        self._numbers = [0, 0]  # of the last row in each half
        # What its worker has spent by now, with a client's row, for the one that goes on from it.
        self.spent_by: Callable[[str | None], Spent | None] = lambda _: None

    def write(self, row: LedgerRow, number: int, kept: int) -> None:
        """Note a row; never fails.

        While rows keep coming, the file never has all of them: so one half is written to until it
        is full, and then the other, once all of its rows are in the file.

        Args:
            number: of the row among all; a later one does no harm.
            kept: the number up to which the ledger's file has them.
        """
        try:
            client = row[_CLIENT]
            spent = self.spent_by(client if isinstance(client, str) else None)
            data = _encode((row, spent))
        except (TypeError, ValueError, OverflowError):
            return
        end = self._end + _LENGTH.size + len(data)
        if end > _HALVES[self._half][1]:
            other = 1 - self._half
            first, last = _HALVES[other]
            end = first + _LENGTH.size + len(data)
            if self._numbers[other] > kept or end > last:
                return  # the ledger can't be written to for long: it tells what it loses
            self._end_at(other, first)
            _WORD.pack_into(self._memory, 0, other)
            self._half, self._end = other, first
        _LENGTH.pack_into(self._memory, self._end, len(data))
        self._memory[self._end + _LENGTH.size : end] = data
        self._end_at(self._half, end)  # last: whoever reads it finds whole rows
        self._end, self._numbers[self._half] = end, number

    def _end_at(self, half: int, end: int) -> None:
        _WORD.pack_into(self._memory, (1 + half) * _WORD.size, end)


def make_journal() -> int:
    """The descriptor of the memory for a journal, which a child process inherits by its number."""
    return shared_memory(_BYTES)


def journal_entries(descriptor: int) -> list[Entry]:
    """What a journal holds, oldest first."""
    # Read, not mapped: that takes no other descriptor, of which there may be none.
    words: tuple[int, int, int] = _WORDS.unpack(os.pread(descriptor, _WORDS.size, 0))
    half, ends = words[0], words[1:]
    found: list[Entry] = []
    for one in (1 - half, half):
        first, last = _HALVES[one]
        found += _entries(os.pread(descriptor, max(0, min(ends[one], last) - first), first))
    return found


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
    place = 0
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
