"""PostgreSQL as it is reached: who can't be, how long it is waited for, and what messages tell."""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import pytest

import nexus_core.database
from nexus_core.database.connection import Database, DatabaseError, RowRefusedError
from tests.database.server import SECRET, Place
from tests.fleet.cut import silent_port
from tests.waiting import wait_until


def refusal(connected: Database) -> str:
    with pytest.raises(DatabaseError) as refused, connected.transaction():
        pass
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None
    return str(refused.value)


def test_a_transaction_is_done_as_a_whole_or_not_at_all(database: Place) -> None:
    connected = Database(database.storage())
    with connected.transaction() as connection:
        connection.execute("CREATE TABLE t (n bigint)")
        connection.execute("INSERT INTO t VALUES (1), (2)")

    with suppress(KeyError), connected.transaction() as connection:
        connection.execute("INSERT INTO t VALUES (3)")
        raise KeyError

    assert database.ask("SELECT n FROM t") == [1, 2]
    with connected.transaction() as connection:
        found = connection.execute("SELECT sum(n), avg(n) FROM t").fetchone()
    assert found == (3, 1.5)
    assert [type(one) for one in found or ()] == [int, float]
    connected.close()


def test_a_refused_value_is_told_from_a_lost_connection(database: Place) -> None:
    connected = Database(database.storage())
    with connected.transaction() as connection:
        connection.execute("CREATE TABLE t (n bigint PRIMARY KEY)")
        first = connection.info.backend_pid
    for statement in ("INSERT INTO t VALUES ('one')", "INSERT INTO t VALUES (NULL)"):
        with pytest.raises(RowRefusedError), connected.transaction() as connection:
            connection.execute(statement.encode())

    with connected.transaction() as connection:
        assert connection.info.backend_pid == first
    database.ask(f"SELECT pg_terminate_backend({first})")
    with pytest.raises(DatabaseError), connected.transaction() as connection:
        connection.execute("SELECT 1")
    with connected.transaction() as connection:
        assert connection.info.backend_pid != first
    connected.close()


def test_messages_name_the_variable_and_never_the_password(database: Place) -> None:
    port = database.server.port
    urls = {
        database.url_at(1): "refused",
        database.url_at(port).replace(database.name, "nowhere"): "does not exist",
        f"{database.url_at(port)}?nonsense={SECRET}": "invalid URI query parameter",
    }
    for url, why in urls.items():
        told = refusal(Database(database.storage(url=url)))

        assert told.startswith("PostgreSQL (NEXUS_DATABASE_URL): ")
        assert why in told
        assert "\n" not in told


def test_a_server_that_never_answers_is_not_waited_for(database: Place) -> None:
    connected = Database(database.storage())
    with connected.transaction():
        pass

    began = time.monotonic()
    with pytest.raises(DatabaseError), connected.transaction(seconds=0.2) as connection:
        connection.execute("SELECT pg_sleep(20)")

    assert time.monotonic() - began < 5
    with connected.transaction() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    connected.close()


@contextmanager
def silent() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_silent_port_is_given_up(database: Place) -> None:
    with silent() as port:
        url = f"{database.url_at(port)}?connect_timeout=2"
        began = time.monotonic()
        told = refusal(Database(database.storage(url=url)))

    assert "timeout" in told
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("port_of", [silent, silent_port])
def test_a_start_waits_a_second_for_a_port_that_does_not_answer(
    database: Place, port_of: Callable[[], AbstractContextManager[int]]
) -> None:
    with port_of() as port:
        began = time.monotonic()
        hurried = Database(database.storage(url=database.url_at(port)), connect_seconds=0.3)
        told = refusal(hurried)
        waited = time.monotonic() - began
        patient = f"{database.url_at(port)}?connect_timeout=2"
        own = refusal(Database(database.storage(url=patient), connect_seconds=0.3))

        assert "no connection within 0.3 s" in told
        assert 0.29 < waited < 1.5  # libpq itself waits for 2 at least
        assert "0.3 s" not in own
        assert time.monotonic() - began - waited > 1.9


def test_a_connection_that_comes_too_late_is_closed(
    database: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nexus_core.database import driver

    may_come, came = threading.Event(), list[driver.Connection]()
    connected = driver._connected

    def late(told: dict[str, Any]) -> driver.Connection:
        may_come.wait()
        came.append(connected(told))
        return came[0]

    monkeypatch.setattr(driver, "_connected", late)
    told = refusal(Database(database.storage(), connect_seconds=0.01))
    may_come.set()

    wait_until(lambda: bool(came) and came[0].closed)
    assert "no connection within 0.01 s" in told


def test_who_waits_for_an_answer_can_be_sent_away(database: Place) -> None:
    connected = Database(database.storage())
    with connected.transaction():
        pass
    timer = threading.Timer(0.1, connected.hang_up)
    timer.start()

    with pytest.raises(DatabaseError), connected.transaction() as connection:
        connection.execute("SELECT pg_sleep(20)")

    timer.join()
    connected.close()


def test_a_missing_client_is_told_with_what_to_install(
    database: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(nexus_core.database, "driver", raising=False)
    monkeypatch.setitem(sys.modules, "nexus_core.database.driver", None)

    assert "pip install 'nexus-gateway[fleet]'" in refusal(Database(database.storage()))
