"""What operators did is in the ledger beside the requests."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from nexus_core.money import ledger as ledger_module
from nexus_core.money.ledger import HINT, Ledger
from nexus_core.money.ledger_queries import last_actions
from nexus_core.money.ledger_reader import SQLITE, LedgerReader
from nexus_core.money.ledger_schema import ActionRow
from tests.money.ledger_rows import AT, PLAIN, stored
from tests.money.test_ledger import DAY, opened
from tests.waiting import wait_until


def test_what_operators_did_is_kept_beside_the_requests(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    action = (AT, "screen", "r\ud800t", None, "zone_cut", "open", "cut it", "2 ended", None)

    with opened(path) as ledger:
        ledger.append_action(action)
        wait_until(lambda: path.exists() and last(path) == 1, seconds=1)
        ledger.append(PLAIN)
        ledger.append_action(action)

    assert stored(path) == ["req-1"]
    with closing(sqlite3.connect(path)) as connection:
        first, second = last_actions(LedgerReader(connection, SQLITE), 5)
    assert (first.by.name, first.by.via, first.action) == ("r\\ud800t", "screen", "zone_cut")
    assert second == first


def last(path: Path) -> int:
    """How many things that operators did are in the file."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            return len(last_actions(LedgerReader(connection, SQLITE), 5))
        except sqlite3.OperationalError:  # not made yet
            return 0


def test_old_actions_of_operators_are_swept_with_old_requests(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    with opened(path) as ledger:
        for at in (AT - 10 * DAY, AT):
            ledger.append_action((at, "api", None, None, "tier_set", "a", "set it", None, None))

    with opened(path, retention_days=5):
        pass

    assert last(path) == 1


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try again at once, and do not wait long for a lock."""
    monkeypatch.setattr(ledger_module, "BATCH_SECONDS", 0.02)
    monkeypatch.setattr(ledger_module, "_BUSY_SECONDS", 0.02)


def numbered(number: int) -> ActionRow:
    return (AT, "api", None, None, "tier_set", "a", f"set it {number}", None, None)


def told(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        query = "SELECT text FROM operator_actions ORDER BY rowid"
        return [text for (text,) in connection.execute(query)]


@pytest.mark.usefixtures("_hasty")
def test_thousands_of_actions_wait_for_a_file_that_cannot_be_written_and_none_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "nexus.db"

    with opened(path) as ledger:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for number in range(3000):
                ledger.append_action(numbered(number))
            wait_until(lambda: ledger.problem is not None)
            for number in range(3000, 5000):
                ledger.append_action(numbered(number))
        wait_until(lambda: ledger.problem is None)
        ledger.append_action(numbered(5000))

    assert told(path) == [f"set it {number}" for number in range(5001)]
    assert ledger.lost_actions == 0
    assert "database is locked; requests are served but not recorded" in caplog.text
    assert "recording again" in caplog.text


@pytest.mark.usefixtures("_hasty")
def test_actions_that_come_while_others_are_written_are_written_too(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"

    with opened(path) as ledger:

        def act(start: int) -> None:
            for number in range(start, start + 2000):
                ledger.append_action(numbered(number))

        threads = [threading.Thread(target=act, args=(start,)) for start in range(0, 8000, 2000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(told(path)) == sorted(f"set it {number}" for number in range(8000))


@pytest.mark.usefixtures("_hasty")
def test_what_a_full_disk_leaves_no_room_for_is_counted_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ledger_module, "CAPACITY", 10)
    (tmp_path / "file").touch()  # where the folder should be: nothing can be written

    with opened(tmp_path / "file" / "nexus.db") as ledger:
        for number in range(25):
            ledger.append_action(numbered(number))

    assert ledger.lost_actions == 25
    assert "ledger: 25 actions of operators were not recorded" in caplog.text
    assert HINT in caplog.text


def test_without_a_file_what_operators_did_is_not_kept() -> None:
    ledger = Ledger(None)

    ledger.append_action((AT, "api", None, None, "tier_set", "a", "set it", None, None))

    assert not ledger._actions
