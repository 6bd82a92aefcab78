"""Shipping: every row comes to PostgreSQL once, whatever happens on the way."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from nexus_core.money.ledger import Ledger
from nexus_core.money.ledger_schema import COLUMNS, insert, migrate
from nexus_core.money.shared import shipper as shipper_module
from nexus_core.money.shared.outbox import Outbox, Waiting
from nexus_core.money.shared.shared_ledger import SharedLedger
from nexus_core.money.shared.shipper import Shipper
from tests.database.server import SECRET, Place, own_server, server
from tests.money.ledger_rows import AT, PLAIN, row
from tests.money.shared.shipping_child import ROWS
from tests.money.shared.test_outbox import ACTION, write
from tests.waiting import wait_until

ROOT = Path(__file__).parents[3]
_IDS = "SELECT request_id FROM nexus.requests ORDER BY request_id"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nexus.db"


@contextmanager
def shipping(path: Path, database: Place, replica: str = "box-1", **more: Any) -> Iterator[Shipper]:
    shipper = Shipper(path, database.storage(**more), replica)
    shipper.start()
    try:
        yield shipper
    finally:
        shipper.close()


def shipped(shipper: Shipper, database: Place, rows: int) -> None:
    wait_until(
        lambda: (
            _count(database) == rows and (shipper.problem, shipper.waiting) == (None, Waiting())
        ),
        what=lambda: f"{shipper.problem} {shipper.waiting} {_count(database)}",
        every=0.05,
        seconds=50,
    )


def ship(path: Path, database: Place, **more: Any) -> None:
    """All that waits, as at a start and an end."""
    shipper = Shipper(path, database.storage(**more), "box-1")
    shipper.start()
    shipper.close()
    assert (shipper.problem, shipper.waiting) == (None, Waiting())


def test_a_row_comes_as_it_was_given_with_the_replica_s_name(path: Path, database: Place) -> None:
    write(path, "req-2", actions=1)
    ledger = Ledger(path, written=lambda: None)
    ledger.open()
    ledger.append(PLAIN)
    ledger.close()

    ship(path, database)

    names = ", ".join(COLUMNS)
    (found,) = database.ask(f"SELECT {names} FROM nexus.requests WHERE request_id = 'req-1'")  # noqa: S608
    assert found == PLAIN
    assert database.ask("SELECT DISTINCT replica FROM nexus.requests") == ["box-1"]
    actions = database.ask(
        "SELECT at, via, name, address, action, target, text, effect, error "
        "FROM nexus.operator_actions"
    )
    assert actions == [ACTION]


def test_rows_are_shipped_as_they_are_written(path: Path, database: Place) -> None:
    shipper = Shipper(path, database.storage(), "box-1")
    ledger = Ledger(path, written=shipper.wake)
    ledger.open()
    shipper.start()
    for number in range(3):
        ledger.append(row(request_id=str(number)))
        wait_until(lambda n=number: _count(database) == n + 1, seconds=5)  # type: ignore[misc]
    ledger.close()
    shipper.close()


def _count(database: Place) -> int:
    exists = "SELECT count(*) FROM pg_tables WHERE schemaname = 'nexus'"
    if database.ask(exists) == [0]:
        return 0
    found: int = database.ask("SELECT count(*) FROM nexus.requests")[0]
    return found


def test_what_was_there_before_is_shipped_and_nothing_twice(path: Path, database: Place) -> None:
    write(path, "a", "b", ships=False)
    write(path, "c")
    ship(path, database)
    ship(path, database)

    assert database.ask(_IDS) == ["a", "b", "c"]


def test_a_database_made_anew_gets_everything_again(path: Path, database: Place) -> None:
    write(path, "a", "b")
    ship(path, database)
    database.ask("DROP SCHEMA nexus CASCADE")

    ship(path, database)

    assert database.ask(_IDS) == ["a", "b"]


def test_text_that_postgresql_can_t_hold_is_written_out(path: Path, database: Place) -> None:
    write(path, "a")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE requests SET asked_model = 'a' || char(0) || 'b\\N\tc\n'")
        connection.commit()

    ship(path, database)

    assert database.ask("SELECT asked_model FROM nexus.requests") == ["a\\x00b\\N\tc\n"]


def test_a_row_that_is_refused_holds_up_no_other(
    path: Path, database: Place, caplog: pytest.LogCaptureFixture
) -> None:
    write(path, *"abcdefgh")
    with database.connected() as connected, connected.transaction():
        pass
    database.ask("ALTER TABLE nexus.requests ADD CHECK (request_id <> 'd')")

    with shipping(path, database) as shipper:
        shipped(shipper, database, 7)
        assert shipper.refused == 1

    assert database.ask(_IDS) == [*"abcefgh"]
    assert "request_id=d stays in the file only" in caplog.text


_SCRIPTS = ["plain", "mod\u00e8le", "\u4e2d\u6587\u6a21\u578b"]


def write_scripts(path: Path) -> None:
    write(path, *"abc")
    with closing(sqlite3.connect(path)) as connection:
        for name, model in zip("abc", _SCRIPTS, strict=True):
            connection.execute(
                "UPDATE requests SET asked_model = ? WHERE request_id = ?", (model, name)
            )
        connection.commit()


def models(path: Path, database: Place) -> list[str]:
    """As Nexus reads them."""
    shared = SharedLedger(path, database.storage(), "box-1")
    with shared.reading() as ledger:
        rows = ledger.execute("SELECT asked_model FROM nexus.requests ORDER BY request_id")
        found = [model for (model,) in rows]
    shared.close()
    return found


@pytest.mark.parametrize("encoding", ["UTF8", "SQL_ASCII"])
def test_texts_of_any_script_come_as_they_are_whatever_the_environment_says(
    path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    database = server().new_database(encoding)
    write_scripts(path)
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")

    ship(path, database)

    assert models(path, database) == _SCRIPTS


def test_a_database_of_few_scripts_gets_the_others_written_out(path: Path) -> None:
    database = server().new_database("LATIN1")
    write_scripts(path)

    with shipping(path, database) as shipper:
        shipped(shipper, database, 3)
        assert shipper.refused == 0

    assert models(path, database) == ["plain", "mod\u00e8le", "\\u4e2d\\u6587\\u6a21\\u578b"]


def test_a_server_too_slow_for_many_rows_gets_fewer_at_a_time(
    path: Path, database: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shipper_module, "SEND_SECONDS", 0.4)
    monkeypatch.setattr(shipper_module, "LONGEST_PAUSE_SECONDS", 0.05)
    write(path, *map(str, range(100)))
    with database.connected() as connected, connected.transaction():
        pass
    database.ask(
        "CREATE FUNCTION nexus.slow() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(0.006); RETURN NEW; END'"
    )
    database.ask(
        "CREATE TRIGGER slow BEFORE INSERT ON nexus.requests FOR EACH ROW "
        "EXECUTE FUNCTION nexus.slow()"
    )

    with shipping(path, database) as shipper:
        shipped(shipper, database, 100)


def test_whatever_goes_wrong_is_told_and_tried_again(
    path: Path, database: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shipper_module, "LONGEST_PAUSE_SECONDS", 0.05)
    write(path, "a")
    is_broken = True

    def adopt(self: Outbox, database_id: str) -> int:
        if is_broken:
            raise ValueError("of no kind that was thought of")
        return 0

    monkeypatch.setattr(Outbox, "adopt", adopt)
    with shipping(path, database) as shipper:
        wait_until(lambda: shipper.problem is not None)
        assert shipper.waiting.rows == 1
        is_broken = False
        shipped(shipper, database, 1)
    assert caplog.text.count("rows could not be shipped") == 1


def test_a_crash_between_the_two_steps_neither_loses_nor_doubles(
    path: Path, database: Place
) -> None:
    for crashes in (1, 2):
        child = subprocess.run(  # noqa: S603 - our own child
            [sys.executable, "-m", "tests.money.shared.shipping_child", str(path), database.url],
            cwd=ROOT,
            timeout=40,
            check=False,
        )
        assert child.returncode == -signal.SIGKILL
        with closing(sqlite3.connect(path)) as connection:
            (waiting,) = connection.execute(
                "SELECT count(*) FROM requests WHERE waiting = 1"
            ).fetchone()
        assert waiting == ROWS * crashes  # nothing was marked
        assert _count(database) == ROWS * crashes

    ship(path, database)

    assert _count(database) == ROWS * 2


def test_rows_wait_while_postgresql_is_down(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with own_server() as server:
        database = server.new_database()
        write(path, "a")
        with shipping(path, database, url=database.url_at(server.port)) as shipper:
            shipped(shipper, database, 1)
            server.stop()
            write(path, "b", "c")
            shipper.wake()
            wait_until(lambda: shipper.problem is not None)
            assert shipper.waiting == Waiting(2, AT)
            server.start()
            shipped(shipper, database, 3)

        assert database.ask(_IDS) == ["a", "b", "c"]
    assert caplog.text.count("rows wait in the file") == 1
    assert "takes rows again" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("count", [12_000, pytest.param(100_000, marks=pytest.mark.slow_fleet)])
def test_many_rows_are_shipped_in_bounded_memory(path: Path, database: Place, count: int) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migrate(connection)
        connection.execute("BEGIN")
        for first in range(0, count, 4_000):
            rows = [row(request_id=str(n), at=AT + n) for n in range(first, first + 4_000)]
            insert(connection, rows, is_outbox=True)
        connection.execute("COMMIT")
    with database.connected() as connected, connected.transaction():
        pass

    tracemalloc.start()
    try:
        with shipping(path, database) as shipper:
            shipped(shipper, database, count)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 16_000_000


def test_the_end_does_not_wait_for_a_server_that_hangs(path: Path, database: Place) -> None:
    write(path, *"abc")
    with database.connected() as connected, connected.transaction() as connection:
        connection.execute("LOCK TABLE nexus.requests")
        shipper = Shipper(path, database.storage(), "box-1")
        shipper.start()
        wait_until(lambda: database.ask("SELECT count(*) FROM pg_locks WHERE NOT granted") == [1])
        shipper.close(0.2)
        assert not any(thread.name == "shipper" for thread in threading.enumerate())

    assert shipper.waiting.rows == 3
    ship(path, database)
    assert database.ask(_IDS) == [*"abc"]


def test_old_rows_are_deleted_there_too(path: Path, database: Place) -> None:
    write(path, "new", at=AT)
    write(path, "old", at=AT - 40 * 86_400)
    ship(path, database)

    shipper = Shipper(path, database.storage(retention_days=33), "box-1", now=lambda: AT)
    shipper.start()
    wait_until(lambda: database.ask(_IDS) == ["new"])
    shipper.close()


def test_of_two_processes_with_one_file_the_last_one_leaves_nothing(
    path: Path, database: Place
) -> None:
    first, second = (Shipper(path, database.storage(), "box-1") for _ in range(2))
    write(path, "a")
    first.start()
    shipped(first, database, 1)
    second.start()
    write(path, "b")
    shipped(first, database, 2)  # though nobody told it
    write(path, "c")
    ending = threading.Thread(target=second.close)
    ending.start()
    first.close()
    ending.join()

    assert database.ask(_IDS) == ["a", "b", "c"]
    assert second.waiting == Waiting()
