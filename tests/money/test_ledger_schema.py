"""Ledgers of other versions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from nexus_core.money.ledger_schema import SCHEMA_VERSION, migrate
from tests.money.ledger_rows import row, stored
from tests.money.test_ledger import ROOT, opened


def version_1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((ROOT / "tests/data/ledger_v1.sql").read_text())


def shape(path: Path) -> set[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        columns = connection.execute("PRAGMA table_info(requests)").fetchall()
        indexes = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")
        return {column[1:4] for column in columns} | set(indexes.fetchall())


def test_a_ledger_of_the_first_version_is_brought_up_to_date(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    version_1(old)

    for path in (old, new):
        with opened(path) as ledger:
            ledger.append(row(request_id="new"))

    assert stored(old) == ["req-1", "req-2", "req-3", "new"]
    assert stored(old, "cost_nano_usd, saved_model")[0] == (3_500_000, None)
    assert shape(old) == shape(new)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    version_1(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE requests_model (in_the_way)")  # the new index's name
        before = shape(path)

        with pytest.raises(sqlite3.OperationalError):
            migrate(connection)

    assert shape(path) == before


def test_a_ledger_of_a_later_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")

    with opened(path) as ledger:
        assert ledger.problem is not None
        assert f"schema version {SCHEMA_VERSION + 1}" in ledger.problem
        assert "[storage] path" in ledger.problem
