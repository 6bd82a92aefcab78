"""What of this process' limits is shared with others: money, slots, and limits of keys."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from nexus_core.background import in_background
from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.database.connection import DatabaseError
from nexus_core.keys.live import LiveKeys
from nexus_core.keys.meter import KeyMeter
from nexus_core.keys.shared_limits import SharedLimits
from nexus_core.money.accounting import CostTracker
from nexus_core.proxy.forward import Forwarder
from nexus_core.proxy.leases import Leases
from nexus_core.proxy.queue import WaitingRoom
from nexus_core.proxy.wordless import Wordless
from nexus_core.state.clock import lease_clock
from nexus_core.state.leases.counts import Counts
from nexus_core.state.leases.lease import Term
from nexus_core.state.leases.money import MoneyLeases
from nexus_core.state.leases.rates import Rates
from nexus_core.state.leases.recovery import Identity
from nexus_core.state.valkey.link import ValkeyLink
from nexus_core.worker import WorkerPlace

if TYPE_CHECKING:
    from nexus_core.money.shared.shared_ledger import SharedLedger

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 2.0  # between two tries to read PostgreSQL


class Leasing:
    """Leases behind the budget, the registry's slots and the meters of client keys."""

    def __init__(
        self,
        link: ValkeyLink,
        config: FleetConfig,
        cost_tracker: CostTracker,
        place: WorkerPlace | None = None,
    ) -> None:
        """`place`: of this process among the workers of one port."""
        term = Term(config.dead_after_seconds, lease_clock)
        self.counts = Counts(link, term, _later)
        self.rates = Rates(link, term, lease_clock)
        self.money = MoneyLeases(link, term, lease_clock, config.budget_when_alone, self._has_heard)
        self._wordless: Wordless | None = None
        self._config = config
        self._link = link
        self._cost_tracker = cost_tracker
        self._place = place
        self._has_lost = asyncio.Event()  # the store, its data
        self.money.on_loss = self._has_lost.set
        cost_tracker.share(self.money)
        for part in (self.counts, self.rates, self.money):
            link.add(part)

    def serve(self, forwarder: Forwarder, queue: WaitingRoom | None, keys: LiveKeys) -> None:
        """Have requests ask for what they need of shared limits."""
        tracker, registry = self._cost_tracker, forwarder.contexts.registry
        forwarder.leases = leases = Leases(registry, tracker, self.counts, self.money)
        if queue is not None:
            queue.on_wait = leases.waits
        keys.share(self._share_key)
        self._wordless = forwarder.wordless

    def _has_heard(self) -> None:
        self._cost_tracker.budget.heard()
        if self._wordless is not None:
            self._wordless.tell()

    def _share_key(self, name: str, meter: KeyMeter) -> None:
        when_alone = self._config.limits_when_alone
        meter.shared = SharedLimits(name, meter, self.counts, self.rates, when_alone)

    async def run(self) -> None:
        """Begin to count money once the ledger was read."""
        await asyncio.sleep(0)
        tracker = self._cost_tracker
        await tracker.opened.wait()
        ledger = tracker.ledger.id if tracker.is_month_known else None
        spent: Mapping[str | None, int] = tracker.spent_here
        if ledger is None:  # nothing tells of this process after its end
            identity = Identity(self._link.process)
            spent = {}
        elif self._place is None:
            identity = Identity(ledger)
        else:
            place = self._place
            month, at_end = place.spent or ("", None)
            boot = f"{place.supervisor}-{place.folder.name}"
            is_of_now = month == str(tracker.budget.month)
            identity = Identity(ledger, place.number, boot, at_end if is_of_now else None)
        if (told := tracker.spent_by_ledger) is not None:
            self.money.raise_to(told, str(tracker.budget.month))
        self.money.join(identity, spent, tracker.recalled, tracker.recover)
        if tracker.shared is not None:
            await self._write_back(tracker.shared, is_known=told is not None)

    async def _write_back(self, shared: SharedLedger, *, is_known: bool) -> None:
        """Tell the store what PostgreSQL has of the month, whenever it lost its data."""
        while True:
            if is_known:
                await self._has_lost.wait()
            self._has_lost.clear()
            month = self._cost_tracker.budget.month
            try:
                spent = await in_background(partial(shared.spent_by_ledger, month))
            except DatabaseError as error:
                if is_known:
                    log.warning("budget: what the store lost is not written back yet: %s", error)
                is_known = False
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                is_known = True
                self.money.raise_to(spent, str(month))


def _later(seconds: float, call: Callable[[], None]) -> object:
    return asyncio.get_running_loop().call_later(seconds, call)
