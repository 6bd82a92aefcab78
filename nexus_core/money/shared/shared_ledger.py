"""The shared ledger: PostgreSQL, read for the whole fleet, and the shipper that fills it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from nexus_core.config.schema import StorageConfig
from nexus_core.database.connection import START_SECONDS, Database, DatabaseError
from nexus_core.money.ledger_queries import (
    NoLedgerError,
    completion_averages,
    read_ledger,
)
from nexus_core.money.ledger_reader import POSTGRES, LedgerReader
from nexus_core.money.months import Month
from nexus_core.money.shared.shipper import Shipper

if TYPE_CHECKING:
    from nexus_core.database.driver import Connection

_AVERAGED_SECONDS = 7 * 86_400.0  # answers of a fleet are many: only the newest are looked at
_ASKED_ROWS = 5_000  # at a time, whether they are there


# Nano-dollars by the id of a ledger, which is a node's, and by client key name.
SpentByLedger: TypeAlias = dict[str, dict[str | None, int]]


class SharedPast(NamedTuple):
    """What the ledger of the fleet says at a start."""

    spent: dict[str | None, int]  # nano-dollars of the month, by client key name
    averages: dict[str, float]  # completion tokens by model
    by_ledger: SpentByLedger  # of the month, without what waits here


class SharedLedger:
    """PostgreSQL as the ledger of the fleet. All but `wake` and the attributes blocks."""

    def __init__(
        self, path: Path, storage: StorageConfig, replica: str, now: Callable[[], float] = time.time
    ) -> None:
        """
        Args:
            path: the file of this node's ledger, where rows wait.
            replica: the name of this node in it.
            now: seconds since the epoch.
        """
        self.shipper = Shipper(path, storage, replica, now)
        self._path = path
        self._now = now
        self._reads = Database(storage, connect_seconds=START_SECONDS)
        self.name = self._reads.name  # for people

    def load(self) -> None:
        """Import the client of PostgreSQL, before threads want it beside requests."""
        with suppress(ImportError):
            import_module("nexus_core.database.driver")

    @contextmanager
    def reading(self, seconds: float = 10.0) -> Generator[LedgerReader]:
        """Read what PostgreSQL has: rows come there about a second after a request ended.

        Raises:
            DatabaseError: it can't be read now; the message says why.
        """
        if (why := self.shipper.problem) is not None:
            raise DatabaseError(why)  # it was tried some seconds ago: nobody waits for it again
        with read_database(self._reads, seconds) as ledger:
            yield ledger

    def past(self, month: Month) -> SharedPast:
        """The fleet's month, and how long answers are, with what waits here.

        Raises:
            DatabaseError: PostgreSQL can't be read.
        """
        waiting = self._waiting(month)  # first: a row is in one of both then
        with self._reads.transaction() as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            ledger = LedgerReader(connection, POSTGRES)
            by_ledger = _spent_by_ledger(connection, month)
            there = _those_there(connection, [row[0] for row in waiting])
            averages = completion_averages(ledger, self._now() - _AVERAGED_SECONDS)
        spent: dict[str | None, int] = {}
        for client, cost in (one for found in by_ledger.values() for one in found.items()):
            spent[client] = spent.get(client, 0) + cost
        for request_id, client, cost in waiting:
            if request_id not in there:
                spent[client] = spent.get(client, 0) + cost
        return SharedPast(spent, averages, by_ledger)

    def _waiting(self, month: Month) -> list[tuple[str, str | None, int]]:
        """Id, client key and nano-dollars of the month's requests that wait here."""
        with suppress(NoLedgerError), read_ledger(self._path) as ledger:
            return ledger.execute(
                "SELECT request_id, client, cost_nano_usd FROM requests "
                "WHERE waiting = 1 AND at >= ? AND at < ? AND cost_nano_usd IS NOT NULL",
                (month.start, month.end),
            ).fetchall()
        return []

    def spent_by_ledger(self, month: Month) -> SpentByLedger:
        """What each ledger's rows cost in a month.

        Raises:
            DatabaseError: it can't be read.
        """
        with self._reads.transaction() as connection:
            return _spent_by_ledger(connection, month)

    def close(self) -> None:
        """Ship what waits, for a few seconds at most."""
        self.shipper.close()
        self._reads.close()


@contextmanager
def read_database(database: Database, seconds: float = 10.0) -> Generator[LedgerReader]:
    """A ledger in PostgreSQL, open for reading.

    Raises:
        DatabaseError: it can't be read.
    """
    with database.transaction(seconds) as connection:
        yield LedgerReader(connection, POSTGRES)


def _spent_by_ledger(connection: Connection, month: Month) -> SpentByLedger:
    rows: Iterable[tuple[str, str | None, int]] = connection.execute(
        "SELECT ledger, client, sum(cost_nano_usd)::bigint FROM nexus.requests "
        "WHERE at >= %s AND at < %s AND cost_nano_usd IS NOT NULL GROUP BY 1, 2",
        (month.start, month.end),
    )
    spent: SpentByLedger = {}
    for ledger, client, cost in rows:
        spent.setdefault(ledger, {})[client] = cost
    return spent


def _those_there(connection: Connection, ids: list[str]) -> set[str]:
    """Those of the ids that are in the database: a crash may have left their mark here."""
    found: set[str] = set()
    for at in range(0, len(ids), _ASKED_ROWS):
        rows: Iterable[tuple[str]] = connection.execute(
            "SELECT request_id FROM nexus.requests WHERE request_id = ANY(%s)",
            (ids[at : at + _ASKED_ROWS],),
        )
        found.update(request_id for (request_id,) in rows)
    return found
