"""What operators did is in the ledger beside the requests."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from nexus_core.money.ledger import Ledger
from nexus_core.money.ledger_queries import last_actions
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
        first, second = last_actions(connection, 5)
    assert (first.by.name, first.by.via, first.action) == ("r\\ud800t", "screen", "zone_cut")
    assert second == first


def last(path: Path) -> int:
    """How many things that operators did are in the file."""
    with closing(sqlite3.connect(path)) as connection:
        try:
            return len(last_actions(connection, 5))
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


def test_without_a_file_what_operators_did_is_not_kept() -> None:
    ledger = Ledger(None)

    ledger.append_action((AT, "api", None, None, "tier_set", "a", "set it", None, None))

    assert not ledger._actions
