"""Rows that outlive a worker which was killed before they were in the ledger."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from nexus_core.money.journal import Journal, journal_rows, keep_rows
from nexus_core.money.ledger import Ledger, hold
from nexus_core.money.ledger_schema import stored_as
from tests.money.ledger_rows import row


def ids(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return [one for (one,) in connection.execute("SELECT request_id FROM requests")]


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [row(request_id="a"), row(request_id="b")]
    journal = Journal(tmp_path / "1.rows")

    for one in rows:
        journal.write(one, is_all_kept=False)

    read = journal_rows(tmp_path / "1.rows")
    assert [*stored_as(read)[1]] == [*stored_as(rows)[1]]
    assert journal_rows(tmp_path / "2.rows") == []


def test_a_row_that_was_cut_off_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "1.rows"
    journal = Journal(path)
    journal.write(row(request_id="a"), is_all_kept=False)
    journal.write(row(request_id="b"), is_all_kept=False)

    path.write_bytes(path.read_bytes()[:-3])

    assert len(journal_rows(path)) == 1


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
    first, second = (Ledger(path, journal=tmp_path / f"{number}.rows") for number in (1, 2))
    first.open()
    first.append(row(request_id="a"))
    second.append(row(request_id="b"))  # never opened: it has no writer

    first.close()
    keep_rows(path, journal_rows(tmp_path / "2.rows"))

    assert sorted(ids(path)) == ["a", "b"]
    assert first.problem is None
