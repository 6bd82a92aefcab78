"""Rows that outlive a worker which was killed before they were in the ledger."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from types import FrameType
from typing import Any

from nexus_core.money.ledger import Ledger, hold
from nexus_core.money.ledger_schema import LedgerRow, stored_as
from nexus_core.money.shared.journal import (
    Journal,
    journal_entries,
    keep_rows,
    make_journal,
    spent_at_end,
)
from tests.money.ledger_rows import row


def ids(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [one for (one,) in connection.execute("SELECT request_id FROM requests")]


def journal_rows(memory: int) -> list[LedgerRow]:
    return [entry.row for entry in journal_entries(memory)]


def test_rows_are_read_as_they_were_written() -> None:
    rows = [row(request_id="a"), row(request_id="b")]
    memory = make_journal()
    journal = Journal(memory)

    for number, one in enumerate(rows, 1):
        journal.write(one, number, 0)

    read = journal_rows(memory)
    assert [*stored_as(read)[1]] == [*stored_as(rows)[1]]
    assert journal_rows(make_journal()) == []


def test_while_rows_keep_coming_those_that_the_ledger_lacks_are_in_it() -> None:
    memory = make_journal()
    journal, behind = Journal(memory), 20  # so many rows the ledger is always behind

    for number in range(1, 101):
        journal.write(
            row(request_id=f"{number}", asked_model="m" * 100_000), number, number - behind
        )

        held = [int(str(one[0])) for one in journal_rows(memory)]
        assert held == [*range(number - len(held) + 1, number + 1)]
        assert len(held) >= min(number, behind)


def test_it_goes_on_where_nothing_is_kept_in_a_file() -> None:
    memory = make_journal()
    journal = Journal(memory)

    for number in range(30):
        journal.write(row(request_id=f"{number}", asked_model="m" * 1_000_000), 0, 0)

    assert [one[0] for one in journal_rows(memory)][-1:] == ["29"]


def test_wherever_its_worker_is_killed_whole_rows_are_read() -> None:
    memory = make_journal()
    journal = Journal(memory)
    for number, one in enumerate("aaabbb", 1):  # both halves are full
        journal.write(row(request_id=one, asked_model="m" * 1_300_000), number, 0)
    found = list[tuple[str, ...]]()

    def look(frame: FrameType, _event: str, _told: object) -> Any:
        if frame.f_code is Journal.write.__code__:
            found.append(tuple(str(one[0]) for one in journal_rows(memory)))
            return look
        return None

    before = sys.gettrace()
    sys.settrace(look)
    try:
        journal.write(row(request_id="c", asked_model="m" * 1_300_000), 7, 3)
    finally:
        sys.settrace(before)

    assert {*found} == {("a", "a", "a", "b", "b", "b"), ("b", "b", "b"), ("b", "b", "b", "c")}
    assert found[-1] == ("b", "b", "b", "c")


def test_a_row_that_a_worker_of_another_version_wrote_costs_no_other_row() -> None:
    memory = make_journal()
    journal = Journal(memory)
    for number, one in enumerate("ab", 1):
        journal.write(row(request_id=one), number, 0)

    os.pwrite(memory, b"\xc1", 28)  # where the first one begins

    assert [one[0] for one in journal_rows(memory)] == ["b"]


def test_what_it_has_no_room_for_is_left_out() -> None:
    memory = make_journal()
    journal, long = Journal(memory), row(asked_model="m" * 1_000_000)

    for number in range(1, 21):
        journal.write(long, number, 0)
    journal.write(row(asked_model="m" * 5_000_000), 21, 21)

    assert 5 < len(journal_rows(memory)) < 10


def test_what_the_ledger_lacks_is_written_once(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    hold(path)
    rows = [row(request_id=one) for one in ("a", "b", "c")]
    keep_rows(path, rows[:2])

    kept = keep_rows(path, rows)

    assert kept == 1
    assert sorted(ids(path)) == ["a", "b", "c"]
    assert keep_rows(path, rows) == keep_rows(path, []) == 0


def test_workers_write_to_one_ledger_and_what_one_had_no_time_for_is_in_its_journal(
    tmp_path: Path,
) -> None:
    path = tmp_path / "nexus.db"
    hold(path)
    memories = [make_journal() for _ in range(2)]
    first, second = (Ledger(path, journal=memory) for memory in memories)
    first.open()
    first.append(row(request_id="a"))
    second.append(row(request_id="b"))  # never opened: it has no writer

    first.close()
    keep_rows(path, journal_rows(memories[1]))

    assert sorted(ids(path)) == ["a", "b"]
    assert first.problem is None


def test_it_tells_what_its_worker_had_spent_with_the_last_row_of_each_account() -> None:
    memory = make_journal()
    journal = Journal(memory)
    journal.write(row(request_id="a"), 1, 0)  # before that is known
    assert spent_at_end(journal_entries(memory), None) is None

    spent = {"*": 5}
    journal.spent_by = lambda client: ("2026-12", {**spent, f"key:{client}": spent["*"]})
    journal.write(row(request_id="b", client="phone"), 2, 0)
    spent["*"] = 8
    journal.write(row(request_id="c", client="laptop"), 3, 0)

    known = spent_at_end(journal_entries(memory), ("2026-12", {"*": 2, "key:desk": 1}))
    amounts = {"*": 8, "key:phone": 5, "key:laptop": 8}
    assert known == ("2026-12", {**amounts, "key:desk": 1})
    later = spent_at_end(journal_entries(memory), ("2026-11", {"*": 900}))
    assert later == ("2026-12", amounts)
    # A clock was wrong for a while.
    assert spent_at_end(journal_entries(memory), ("2027-01", {"key:desk": 900})) == later


def test_a_worker_that_notes_nothing_leaves_what_the_one_before_it_had_spent() -> None:
    before = ("2026-12", {"*": 7})

    assert spent_at_end([], before) == before
    assert spent_at_end([], None) is None
