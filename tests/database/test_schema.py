"""The tables in PostgreSQL: made once, also by several at once, and left alone if later."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from nexus_core.database import schema
from nexus_core.database.connection import Database, DatabaseError
from nexus_core.money.ledger_schema import ACTION_COLUMNS, COLUMNS, SCHEMA_VERSION
from nexus_core.observe.facts import LEDGER, Fact
from tests.database.server import Place

_COLUMNS = "SELECT column_name FROM information_schema.columns WHERE table_schema = 'nexus' AND "


def test_several_replicas_that_start_at_once_make_the_tables_once(database: Place) -> None:
    replicas = [Database(database.storage()) for _ in range(8)]

    def start(replica: Database) -> str:
        with replica.transaction() as connection:
            return schema.database_id(connection)

    with ThreadPoolExecutor(8) as threads:
        found = {*threads.map(start, replicas)}

    assert len(found) == 1
    assert database.ask("SELECT version FROM nexus.schema_version") == [schema.VERSION]
    assert database.ask("SELECT count(*) FROM nexus.keys_version") == [1]
    for replica in replicas:
        replica.close()


def test_the_tables_have_the_columns_of_the_file(database: Place) -> None:
    with database.connected() as connected, connected.transaction():
        pass

    requests = database.ask(f"{_COLUMNS} table_name = 'requests'")
    actions = database.ask(f"{_COLUMNS} table_name = 'operator_actions'")
    assert set(requests) == {*COLUMNS, "replica", "ledger"}
    assert set(actions) == {*ACTION_COLUMNS, "replica", "ledger", "action_id"}
    assert schema.VERSION >= SCHEMA_VERSION


def test_tables_of_a_later_version_are_left_alone(database: Place) -> None:
    with database.connected() as connected, connected.transaction():
        pass
    database.ask("UPDATE nexus.schema_version SET version = version + 1")

    for is_reader in (False, True):
        with (
            database.connected(is_reader=is_reader) as connected,
            pytest.raises(DatabaseError, match="use a newer Nexus"),
            connected.transaction(),
        ):
            pass
    assert database.ask("SELECT version FROM nexus.schema_version") == [schema.VERSION + 1]


def test_a_fact_of_a_later_version_adds_its_column(
    database: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with database.connected() as connected, connected.transaction():
        pass
    later = schema.VERSION + 1
    monkeypatch.setattr(schema, "VERSION", later)
    monkeypatch.setattr(schema, "LEDGER", (*LEDGER, ("mood", Fact("mood", "TEXT", since=later))))

    for _ in range(2):
        with database.connected() as connected, connected.transaction():
            pass

    assert "mood" in database.ask(f"{_COLUMNS} table_name = 'requests'")
    assert database.ask("SELECT version FROM nexus.schema_version") == [later]


def test_who_only_reads_makes_no_tables(database: Place) -> None:
    with (
        database.connected(is_reader=True) as connected,
        pytest.raises(DatabaseError, match="has no ledger yet"),
        connected.transaction(),
    ):
        pass

    assert database.ask("SELECT to_regnamespace('nexus')") == [None]


def test_a_schema_that_somebody_made_for_it_is_used(database: Place) -> None:
    database.ask("CREATE SCHEMA nexus")
    database.ask("CREATE ROLE gateway LOGIN")
    database.ask("GRANT ALL ON SCHEMA nexus TO gateway")
    database.ask(f"REVOKE CREATE ON DATABASE {database.name} FROM PUBLIC")
    url = database.url.replace("nexus:", "gateway:", 1)

    with database.connected(url=url) as connected, connected.transaction() as connection:
        found = connection.execute("SELECT current_user::text, version FROM nexus.schema_version")
        assert found.fetchone() == ("gateway", schema.VERSION)
    database.ask("DROP OWNED BY gateway")
    database.ask("DROP ROLE gateway")
