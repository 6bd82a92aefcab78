"""What the ledger says: of the whole fleet where PostgreSQL answers, else of this node's file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from nexus_core import descriptors
from nexus_core.money.ledger import Ledger
from nexus_core.money.ledger_queries import (
    By,
    NoLedgerError,
    completion_averages,
    costs,
    last_actions,
    last_use_by_client,
    read_ledger,
    spent_by_client,
)
from nexus_core.money.ledger_reader import LedgerReader
from nexus_core.money.months import Month, Period
from nexus_core.observe.events import OperatorActed

if TYPE_CHECKING:
    from nexus_core.money.cost_lines import CostLines
    from nexus_core.money.report import CostReport, LiveBudget
    from nexus_core.money.shared.shared_ledger import SharedLedger, SpentByLedger

log = logging.getLogger(__name__)

_LAST_ACTIONS = 50  # of operators, read at the start

_Found = TypeVar("_Found")


class Past(NamedTuple):
    """What the ledger says at the start."""

    spent: dict[str | None, int] | None  # nano-dollars of the month by client; None: not known
    averages: dict[str, float]  # completion tokens of each model's answers
    actions: list[OperatorActed]  # the last of operators at this node
    here: dict[str | None, int] | None = None  # what was spent through this node only
    by_ledger: SpentByLedger | None = None  # what PostgreSQL has; None: there is none, or no answer


class LedgerReadings:
    """Readings of the ledger. Every method blocks: call it in a thread."""

    def __init__(self, path: Path, ledger: Ledger, shared: SharedLedger | None) -> None:
        """
        Args:
            path: of this node's file.
            ledger: that writes there.
            shared: None without PostgreSQL.
        """
        self._path = path
        self._ledger = ledger
        self._shared = shared

    def past(self, month: Month) -> Past:
        """What the month has cost so far, and what else a start goes on from.

        Raises:
            OutOfDescriptorsError: it can't be read now.
        """
        found = self._past_here(month)
        if self._shared is None:
            return found
        from nexus_core.database.connection import DatabaseError

        try:
            spent, averages, by_ledger = self._shared.past(month)
        except DatabaseError as error:
            log.warning("budget: the month's spending is that of this node only: %s", error)
            return found
        averages = {**found.averages, **averages}
        return found._replace(spent=spent, averages=averages, by_ledger=by_ledger)

    def _past_here(self, month: Month) -> Past:
        try:
            return _read_past(self._path, month)
        except NoLedgerError:
            descriptors.require(1)  # SQLite does not say why it can't open a file
        try:  # again: a descriptor may have become free just now
            return _read_past(self._path, month)
        except NoLedgerError as error:
            descriptors.require(1)
            if self._ledger.path is not None and self._ledger.problem is None:
                log.warning("budget: this month's spending starts at zero: %s", error)
            return Past(None if self._path.exists() else {}, {}, [])

    def report(self, live: LiveBudget, at: float) -> CostReport:
        """The cost report.

        Raises:
            NoLedgerError: neither can be read.
        """
        from nexus_core.money.report import Outbox, read_cost_report

        problem = self._ledger.problem

        def read(ledger: LedgerReader, is_fleet: bool, why: str | None) -> CostReport:
            outbox = None
            if self._shared is not None:
                waiting = self._shared.shipper.waiting
                outbox = Outbox(
                    rows=waiting.rows, oldest=waiting.oldest, is_fleet=is_fleet, problem=why
                )
            return read_cost_report(ledger, live, at, problem, outbox)

        return self._read(read)

    def lines(self, by: By, period: Period) -> CostLines:
        """What a period has cost, in groups.

        Raises:
            NoLedgerError: neither can be read.
        """
        from nexus_core.money.cost_lines import CostLines, Scope

        def read(ledger: LedgerReader, is_fleet: bool, why: str | None) -> CostLines:
            scope = Scope.FLEET if is_fleet else Scope.NODE
            return CostLines(by, period, tuple(costs(ledger, by, period)), scope, why)

        return self._read(read)

    def last_use(self) -> dict[str, float]:
        """When the last request of each client key came.

        Raises:
            NoLedgerError: neither can be read.
        """
        return self._read(lambda ledger, _is_fleet, _why: last_use_by_client(ledger))

    def _read(self, read: Callable[[LedgerReader, bool, str | None], _Found]) -> _Found:
        """What `read` makes of the ledger, whether that is the fleet's, and why it is not."""
        if self._shared is None:
            with read_ledger(self._path) as ledger:
                return read(ledger, False, None)
        from nexus_core.database.connection import DatabaseError

        try:
            with self._shared.reading() as ledger:
                return read(ledger, True, None)
        except DatabaseError as error:
            with read_ledger(self._path) as ledger:
                return read(ledger, False, str(error))


def _read_past(path: Path, month: Month) -> Past:
    """Raises: NoLedgerError: there is none, or it can't be read."""
    with read_ledger(path) as ledger:
        spent, averages = spent_by_client(ledger, month), completion_averages(ledger)
        return Past(spent, averages, last_actions(ledger, _LAST_ACTIONS), spent)
