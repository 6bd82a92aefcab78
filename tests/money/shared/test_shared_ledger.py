"""The ledger of the fleet: what it says, what it adds of this node, and the same as a file says."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from nexus_core.database.connection import DatabaseError
from nexus_core.money.ledger import Ledger
from nexus_core.money.ledger_queries import By, completion_averages, costs, read_ledger
from nexus_core.money.ledger_schema import LedgerRow
from nexus_core.money.months import Day, Month
from nexus_core.money.report import LiveBudget, read_cost_report
from nexus_core.money.shared.ledger_id import ledger_id
from nexus_core.money.shared.shared_ledger import SharedLedger
from nexus_core.types import PrivacyZone
from tests.database.server import Place
from tests.money.ledger_rows import AT, row

MONTH = Month.of(AT)


def write(path: Path, *rows: LedgerRow) -> Path:
    ledger = Ledger(path, written=lambda: None)
    ledger.open()
    for one in rows:
        ledger.append(one)
    ledger.close()
    return path


@contextmanager
def shared(path: Path, database: Place, replica: str, **more: Any) -> Iterator[SharedLedger]:
    ledger = SharedLedger(path, database.storage(**more), replica, lambda: AT)
    try:
        yield ledger
    finally:
        ledger.close()


def ship(path: Path, database: Place, replica: str) -> None:
    with shared(path, database, replica) as ledger:
        ledger.shipper.start()


def some(count: int, chance: random.Random, name: str) -> list[LedgerRow]:
    """Rows that differ in all that costs are grouped by, and end at different times."""
    return [
        row(
            request_id=f"{name}-{number}",
            at=MONTH.start + chance.random() * 86_400 * 30,
            client=chance.choice(["laptop", "phone", None]),
            model=chance.choice(["a", "b", None]),
            backend=chance.choice(["x", "y", None]),
            agent=chance.choice(["claude-code", None]),
            session=chance.choice(["s1", "s2", None]),
            endpoint=chance.choice(["/v1/chat/completions", "/v1/messages", "/api/chat"]),
            counted=chance.choice(["reported", "estimated", None]),
            price_source=chance.choice(["config", "list 2026-10", None]),
            cost_nano_usd=chance.choice([None, 1, 10**15, chance.randrange(10**9)]),
            saved_nano_usd=chance.choice([None, 7]),
            prompt_tokens=chance.choice([None, 1000]),
            completion_tokens=chance.choice([None, chance.randrange(1000)]),
            is_unpriced=chance.random() < 0.2,
            is_partial=chance.random() < 0.2,
            failed=chance.random() < 0.2,
            zone=PrivacyZone.OPEN,
        )
        for number in range(count)
    ]


def test_postgresql_says_what_one_file_with_all_rows_would_say(
    tmp_path: Path, database: Place
) -> None:
    chance = random.Random(7)
    rows = {name: some(300, chance, name) for name in ("box-1", "box-2")}
    for name, own in rows.items():
        ship(write(tmp_path / f"{name}.db", *own), database, name)
    whole = write(tmp_path / "whole.db", *rows["box-1"], *rows["box-2"])

    at, live = AT + 3_600, LiveBudget(spent=None, reserved=0, limit=None)
    with (
        read_ledger(whole) as file,
        shared(tmp_path / "box-1.db", database, "box-1") as fleet,
        fleet.reading() as server,
    ):
        for by in By:
            for period in (MONTH, Day.of(AT)):
                assert costs(server, by, period) == costs(file, by, period), by
        there, here = (read_cost_report(one, live, at) for one in (server, file))
        averages = [completion_averages(one) for one in (server, file)]

    for name in there.__slots__:
        if not name.startswith("by_"):
            assert getattr(there, name) == getattr(here, name), name
    assert averages[0] == pytest.approx(averages[1])
    for table in ("by_model", "by_backend", "by_key"):
        assert {(one.name, one.where): one.actual for one in getattr(there, table)} == {
            (one.name, one.where): one.actual for one in getattr(here, table)
        }


def test_a_start_counts_the_fleet_and_what_waits_here(tmp_path: Path, database: Place) -> None:
    other = write(tmp_path / "other.db", row(request_id="o", client="phone", cost_nano_usd=5))
    ship(other, database, "box-2")
    own = write(tmp_path / "own.db", row(request_id="1", cost_nano_usd=10))
    ship(own, database, "box-1")
    write(
        own,
        row(request_id="2", cost_nano_usd=100),
        row(request_id="3", at=MONTH.start - 1, cost_nano_usd=1000),
        row(request_id="4", cost_nano_usd=None),
    )

    with shared(own, database, "box-1") as ledger:
        past = ledger.past(MONTH)

        assert past.spent == {"laptop": 110, "phone": 5}
        assert past.averages == {"gpt-4o-2024-11-20": 100}


def test_what_a_crash_left_unmarked_is_not_counted_twice(tmp_path: Path, database: Place) -> None:
    path = write(tmp_path / "n.db", row(request_id="1", cost_nano_usd=10))
    ship(path, database, "box-1")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE requests SET waiting = 1")
        connection.commit()

    with shared(path, database, "box-1") as ledger:
        assert ledger.past(MONTH).spent == {"laptop": 10}


def test_a_lost_disk_is_made_up_for(tmp_path: Path, database: Place) -> None:
    path = write(tmp_path / "n.db", row(cost_nano_usd=10))
    ship(path, database, "box-1")

    with shared(tmp_path / "new.db", database, "box-1") as ledger:
        assert ledger.past(MONTH).spent == {"laptop": 10}


def test_spending_is_told_by_ledger(tmp_path: Path, database: Place) -> None:
    ids = []
    for name, cost in (("box-1", 10), ("box-2", 5)):
        path = tmp_path / f"{name}.db"
        rows = (
            row(request_id=name, cost_nano_usd=cost),
            row(request_id=f"{name}-n", client=None, cost_nano_usd=1),
            row(request_id=f"{name}-before", at=MONTH.start - 1),
        )
        ship(write(path, *rows), database, name)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            ids.append(ledger_id(connection))

    told = {ids[0]: {"laptop": 10, None: 1}, ids[1]: {"laptop": 5, None: 1}}
    with shared(tmp_path / "box-1.db", database, "box-1") as ledger:
        assert ledger.spent_by_ledger(MONTH) == told
        assert ledger.past(MONTH).by_ledger == told


def test_nobody_waits_again_for_a_server_that_was_just_tried(
    tmp_path: Path, database: Place
) -> None:
    path = write(tmp_path / "n.db", row())
    with shared(path, database, "box-1") as ledger:
        ledger.shipper.problem = "it is down"

        with pytest.raises(DatabaseError, match="it is down"), ledger.reading():
            pass
