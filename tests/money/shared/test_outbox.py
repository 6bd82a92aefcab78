"""The outbox: what waits, what is marked, and what becomes of rows from before."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from nexus_core.money.ledger import Ledger
from nexus_core.money.shared.outbox import ACTIONS, REQUESTS, Outbox, Waiting
from tests.money.ledger_rows import AT, row

ACTION = (AT, "screen", "root", None, "zone_cut", "open", "cut it", None, None)


def write(path: Path, *ids: str, at: float = AT, ships: bool = True, actions: int = 0) -> None:
    ledger = Ledger(path, written=(lambda: None) if ships else None)
    ledger.open()
    for number, one in enumerate(ids):
        ledger.append(row(request_id=one, at=at + number))
    for _ in range(actions):
        ledger.append_action(ACTION)
    ledger.close()
    assert (ledger.lost, ledger.problem) == (0, None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nexus.db"


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    made = Outbox(path)
    yield made
    made.close()


def ids(outbox: Outbox, limit: int = 100) -> list[object]:
    return [one[0] for one in outbox.take(REQUESTS, limit)]


def test_rows_wait_until_they_are_shipped_the_oldest_first(path: Path, outbox: Outbox) -> None:
    write(path, "b", "a", "c", actions=1)

    assert outbox.waiting() == Waiting(4, AT)
    assert ids(outbox, limit=2) == ["b", "a"]
    outbox.shipped(REQUESTS, outbox.take(REQUESTS, 2))
    assert ids(outbox) == ["c"]
    outbox.refused(REQUESTS, outbox.take(REQUESTS, 1))
    (action,) = outbox.take(ACTIONS, 10)
    assert action[: len(ACTION)] == ACTION
    outbox.shipped(ACTIONS, [action])

    assert outbox.waiting() == Waiting(0, None)
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT request_id, waiting FROM requests ORDER BY at")
        assert found.fetchall() == [("b", None), ("a", None), ("c", 2)]


def test_rows_that_wait_outlive_a_vacuum(path: Path, outbox: Outbox) -> None:
    write(path, *"abcdef")
    outbox.shipped(REQUESTS, outbox.take(REQUESTS, 3))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM requests WHERE request_id IN ('a', 'b', 'e')")
        connection.commit()
        connection.execute("VACUUM")

    assert ids(outbox) == ["d", "f"]


def test_without_postgresql_no_row_is_marked(path: Path, outbox: Outbox) -> None:
    write(path, "a", ships=False, actions=1)

    assert outbox.waiting() == Waiting(0, None)


def test_rows_of_before_are_adopted_once_for_each_database(path: Path, outbox: Outbox) -> None:
    write(path, "a", "b", ships=False, actions=2)

    assert outbox.adopt("one") == 4
    assert ids(outbox) == ["a", "b"]
    names = [one[-1] for one in outbox.take(ACTIONS, 9)]
    assert len({*names}) == 2
    outbox.shipped(REQUESTS, outbox.take(REQUESTS, 9))
    assert outbox.adopt("one") == 0
    assert ids(outbox) == []
    assert outbox.adopt("made anew") == 2  # the actions still wait
    assert ids(outbox) == ["a", "b"]
    assert [one[-1] for one in outbox.take(ACTIONS, 9)] == names


def test_rows_that_are_written_while_nothing_ships_are_shipped_later(
    path: Path, outbox: Outbox
) -> None:
    write(path, "a")
    outbox.adopt("one")
    outbox.shipped(REQUESTS, outbox.take(REQUESTS, 9))

    write(path, "b", ships=False)

    assert outbox.adopt("one") == 0
    assert ids(outbox) == ["b"]


def test_one_of_several_processes_ships(path: Path, outbox: Outbox) -> None:
    write(path, "a")
    other = Outbox(path)

    assert outbox.is_ours()
    assert not other.is_ours()
    assert outbox.is_ours()
    outbox.close()
    assert other.is_ours()
    other.close()


def test_a_ledger_that_is_not_there_is_not_made(path: Path, outbox: Outbox) -> None:
    with pytest.raises(sqlite3.Error):
        outbox.waiting()

    assert not path.exists()
