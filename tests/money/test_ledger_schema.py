"""Ledgers of other versions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec.structs import replace

from nexus_core.money.ledger_schema import (
    _AT_ONCE_ROWS,
    _STATEMENT_ROWS,
    COLUMNS,
    SCHEMA_VERSION,
    insert,
    ledger_row,
    migrate,
    stored_as,
)
from nexus_core.observe.facts import LEDGER
from tests.money.ledger_rows import row, stored
from tests.money.test_ledger import ROOT, opened
from tests.observe.test_facts import FINISHED, OVER, over

PLAIN_TYPES = {int, float, str, type(None)}


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


def test_the_file_has_the_columns_that_the_facts_name(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "n.db", isolation_level=None)) as connection:
        migrate(connection)
        found = connection.execute("PRAGMA table_info(requests)").fetchall()

    types = {name: kind + " NOT NULL" * required for _, name, kind, required, *_ in found}
    assert set(types) == {*COLUMNS, "waiting"}
    assert {key: fact.column for key, fact in LEDGER} == {key: types[key] for key, _ in LEDGER}


def test_a_request_is_a_row_in_the_order_of_the_columns() -> None:
    row = dict(zip(COLUMNS, ledger_row(OVER), strict=True))
    nobody = over(replace(FINISHED, backend=None, usage=None, cost=None, attempts=()))
    refused = dict(zip(COLUMNS, ledger_row(nobody), strict=True))

    assert (row["at"], row["client"], row["asked_model"]) == (2.0, "laptop", "fast")
    assert (row["model"], row["attempts"], row["cost_nano_usd"]) == ("gpt-4o", 2, 2_900_000)
    assert (row["prompt_tokens"], row["cached_tokens"]) == (3, 1)
    assert (refused["model"], refused["attempts"], refused["price_source"]) == (None, 0, None)
    assert (refused["prompt_tokens"], refused["cached_tokens"]) == (None, 0)


def test_rows_are_bound_as_plain_values() -> None:
    nobody = over(replace(FINISHED, backend=None, usage=None, cost=None, attempts=()))

    keys, rows = stored_as([ledger_row(OVER), ledger_row(nobody)])

    found = [dict(zip(keys, each, strict=True)) for each in rows]
    assert {type(value) for each in found for value in each.values()} <= PLAIN_TYPES
    assert [(each["zone"], each["failed"]) for each in found] == [("open", 0), ("open", 0)]
    assert [each["price_source"] for each in found] == ["config", None]
    assert "saved_model" not in keys


@pytest.mark.parametrize("count", [1, 22, 23, 24, 191, 192, 401])
def test_any_number_of_rows_is_inserted_in_order(count: int) -> None:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)

        rows = [row(request_id=str(each), client=None, attempts=each) for each in range(count)]
        insert(connection, [*rows, row(saved_model="gpt-4o")])

        asked = f"SELECT {', '.join(COLUMNS)} FROM requests ORDER BY rowid"  # noqa: S608 - our names
        found = connection.execute(asked)
        assert found.fetchall() == [*rows, row(saved_model="gpt-4o")]


def test_a_statement_has_no_more_parameters_than_any_sqlite_takes() -> None:
    assert _STATEMENT_ROWS * len(COLUMNS) <= 999
    assert _AT_ONCE_ROWS % _STATEMENT_ROWS == 0
