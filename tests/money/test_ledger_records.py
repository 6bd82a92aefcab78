"""Requests that are over, handed to the ledger as they are: it makes their rows itself."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from msgspec.structs import replace

from nexus_core.money.ledger import _AT_ONCE_ROWS, Ledger
from nexus_core.money.ledger_schema import COLUMNS, ledger_row, stored_as
from nexus_core.money.shared.journal import journal_entries, make_journal
from nexus_core.observe.record import RequestRecord
from tests.money.ledger_rows import row, stored
from tests.observe.test_facts import OVER
from tests.waiting import wait_until


def over(number: int) -> RequestRecord:
    return replace(OVER, request_id=f"req-{number}")


def test_a_record_is_kept_as_its_row(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "nexus.db")) as ledger:
        ledger.open()
        ledger.append(OVER)

    (kept,) = stored(tmp_path / "nexus.db", ", ".join(COLUMNS))
    keys, (expected,) = stored_as([ledger_row(OVER)])
    assert {key: value for key, value in zip(COLUMNS, kept, strict=True) if key in keys} == dict(
        zip(keys, expected, strict=True)
    )


def test_records_and_rows_keep_their_order(tmp_path: Path) -> None:
    count = 2 * _AT_ONCE_ROWS + 1

    with closing(Ledger(tmp_path / "nexus.db")) as ledger:
        ledger.open()
        for number in range(count):
            ledger.append(over(number) if number % 3 else row(request_id=f"req-{number}"))

    assert stored(tmp_path / "nexus.db") == [f"req-{number}" for number in range(count)]
    assert ledger.lost == 0


def test_a_request_that_makes_no_row_is_counted_as_lost_and_holds_up_no_other(
    tmp_path: Path,
) -> None:
    bad = replace(OVER, usage="none")

    with closing(Ledger(tmp_path / "nexus.db")) as ledger:
        ledger.open()
        ledger.append(bad)
        ledger.append(over(1))
        wait_until(lambda: stored(tmp_path / "nexus.db") == ["req-1"])
        ledger.append(over(2))

    assert stored(tmp_path / "nexus.db") == ["req-1", "req-2"]
    assert ledger.lost == 1


def test_what_waits_for_a_file_that_can_not_be_written_is_kept_small(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with closing(Ledger(tmp_path / "file" / "nexus.db")) as ledger:
        ledger.open()
        wait_until(lambda: ledger.problem is not None)
        ledger.append(OVER)

        waiting = [*ledger._rows, *ledger._batch]
        assert waiting == [ledger_row(OVER)]


def test_a_record_is_in_the_journal_before_the_writer_had_it(tmp_path: Path) -> None:
    memory = make_journal()
    ledger = Ledger(tmp_path / "nexus.db", journal=memory)

    ledger.append(OVER)

    assert [one.row[0] for one in journal_entries(memory)] == [OVER.request_id]
