"""Cost accounting of a running Nexus: token counts, prices, budget and ledger together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from nexus_core import descriptors
from nexus_core.background import in_background, load_in_background
from nexus_core.catalog import BackendType
from nexus_core.config.schema import Config
from nexus_core.config.sections.fleet import host_name
from nexus_core.dialects.request import Demand
from nexus_core.errors import LedgerUnreadableError, OutOfDescriptorsError
from nexus_core.fleet.snapshot import BackendSnapshot
from nexus_core.money.averages import CompletionAverages
from nexus_core.money.budget import Budget, Verdict
from nexus_core.money.ledger import HINT, NO_HOME, Ledger, ledger_path
from nexus_core.money.ledger_queries import By, NoLedgerError
from nexus_core.money.ledger_schema import action_row
from nexus_core.money.months import Month, Period
from nexus_core.money.priced_model import Estimate, PricedModel
from nexus_core.money.prices import Prices
from nexus_core.money.reading import LedgerReadings, Past
from nexus_core.observe.events import OperatorActed
from nexus_core.tokens.counter import TokenCounter
from nexus_core.types import Capability, Cost

if TYPE_CHECKING:
    from nexus_core.money.cost_lines import CostLines
    from nexus_core.money.report import CostReport
    from nexus_core.money.shared.shared_ledger import SharedLedger, SpentByLedger
    from nexus_core.state.leases.money import MoneyLeases
    from nexus_core.state.leases.recovery import Recovered

log = logging.getLogger(__name__)

_LOOK_AGAIN_SECONDS = 1.0  # after a want of descriptors
_MAX_PRICED = 10_000  # models of backends whose prices are kept at hand
_REPORT_SECONDS = 1.0  # a report so old at most is given to whoever asks next

_Read = TypeVar("_Read")
_Spending = tuple[int | None, int, int | None]  # spent, reserved, limit

# Why money keeps a request from a backend, for its upstream model; None where it does not.
MoneyRule = Callable[[BackendSnapshot, str], str | None]


class CostTracker:
    """Cost tracker, one per process; everything but `open`, `load` and `close` is quick."""

    def __init__(
        self,
        config: Config,
        now: Callable[[], float],
        *,
        is_read_only: bool = False,
        journal: int | None = None,
    ) -> None:
        """
        Args:
            is_read_only: the ledger is only read, for a Nexus that serves nobody.
            journal: the descriptor of its memory, for one of several workers, which write to the
                same ledger.
        """
        self._config = config
        self._is_read_only = is_read_only
        self._path = ledger_path(config)
        self.now = now
        self._priced: dict[tuple[str, str], PricedModel] = {}  # once the price list is there
        self.counter = TokenCounter()
        self.prices = Prices(config.pricing)
        self.averages = CompletionAverages()
        self.budget = Budget(config.budget, Month.of(now()))
        self.shared = self._shared_ledger()
        self.ledger = Ledger(
            None if is_read_only else self._path,
            retention_days=config.storage.retention_days,
            now=now,
            written=None if self.shared is None else self.shared.shipper.wake,
            journal=journal,
        )
        # What the ledger said of the month at the start, by client; and of this node alone.
        self.recalled: Mapping[str | None, int] = {}
        self.spent_here: Mapping[str | None, int] = {}
        self.spent_by_ledger: SpentByLedger | None = None  # None: not known
        self._readings = (
            None if self._path is None else LedgerReadings(self._path, self.ledger, self.shared)
        )
        self._report: CostReport | None = None
        self._reporting = asyncio.Lock()
        self.opened = asyncio.Event()
        self.opened.set()  # but for the moment that `open` takes: see `is_read`
        # What the month has cost so far; without a ledger it begins with this process.
        self.is_month_known = self._path is None
        self.past_actions: list[OperatorActed] = []  # what the ledger tells of operators
        self._is_short = False  # what has to be read can't be, for want of descriptors

    # --- life ----------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the ledger and go on from what it says; never fails."""
        self.opened.clear()
        month = Month.of(self.now())
        await asyncio.to_thread(self.ledger.open)
        if self.shared is not None:
            await load_in_background(self.shared.load)
        read = partial(self._read, month)
        past = await self._until_read("the ledger", read)
        self.past_actions = past.actions
        self.budget.recall(past.spent or {}, month)
        if month == self.budget.month:
            self.recalled, self.spent_here = past.spent or {}, past.here or {}
            self.spent_by_ledger = past.by_ledger
        self.averages = CompletionAverages(past.averages)
        self.is_month_known = past.spent is not None
        self.opened.set()
        if self.shared is not None:
            self.shared.shipper.start()  # not before: what waits was counted above
        self._warn_of_unknown_clients()

    def share(self, leases: MoneyLeases) -> None:
        """Share limits with other processes; before `open`."""
        self.ledger.wants_id = True
        if self.ledger.journal is not None:
            self.ledger.journal.spent_by = leases.spent_by
        leases.before_report = lambda: self.budget.turn(self.now())
        self.budget.share(leases)

    def recover(self, missing: Iterable[Recovered]) -> None:
        """Put into the ledger, and count, what was spent in a crash and is in no row."""
        from nexus_core.money.shared.recovery import keep

        keep(missing, self.ledger, self.budget, self.now())

    def _shared_ledger(self) -> SharedLedger | None:
        """PostgreSQL as the ledger of the fleet; None where none is set, and nothing is written."""
        config = self._config
        if config.storage.url is None or self._path is None or self._is_read_only:
            return None
        from nexus_core.money.shared.shared_ledger import SharedLedger

        replica = host_name() if config.fleet is None else config.fleet.replica_name
        return SharedLedger(self._path, config.storage, replica, self.now)

    def limit_created(self, created: Mapping[str, float | None]) -> None:
        """Go by these monthly limits of created keys, in dollars by name, from now on."""
        self.budget.limit_created(created)

    def _warn_of_unknown_clients(self) -> None:
        names = [key.name for key in self._config.auth.api_keys]
        for client in self.budget.unknown_clients(names):
            log.warning(
                "[budget.keys.%s]: no client key has this name; the limit has no effect",
                client,
            )

    def _read(self, month: Month) -> Past:
        if self._readings is None:
            if self._config.storage.path != ":memory:" and not self._is_read_only:
                log.warning("%s: requests are served but not recorded; %s", NO_HOME, HINT)
            return Past({}, {}, [])
        return self._readings.past(month)

    @property
    def is_read(self) -> bool:
        """The ledger was read after the start, or found to be unreadable."""
        return self.opened.is_set()

    async def ready(self, *, wants_prices: bool) -> None:
        """Return once the ledger was read and, if wanted, the price list is there.

        Raises:
            OutOfDescriptorsError: they can't be read now; it goes on being tried.
        """
        while not self.opened.is_set():
            if self._is_short:
                raise OutOfDescriptorsError.now()
            with suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                    await self.opened.wait()
        if wants_prices:
            await self.load_prices()

    async def load(self, types: Iterable[BackendType]) -> None:
        """Load the prices that these backends need, in a thread."""
        wanted, routing = set(types), self._config.routing
        # With another name for a local model, what it saves has a price as well.
        renames = bool(routing.aliases) or any(
            name != upstream
            for backend in self._config.backends
            for name, upstream in (backend.models or {}).items()
        )
        if renames or any(kind.is_cloud for kind in wanted):
            await self._until_read("the price list", lambda: self.prices.load())

    async def load_prices(self) -> None:
        """Return once prices are known; at once if they are already.

        Raises:
            OutOfDescriptorsError: the list can't be read now.
        """
        try:
            while not self.prices.is_loaded:  # a reload may have put others in their place
                await load_in_background(self.prices.load)
        except (OSError, ImportError) as error:
            if descriptors.is_shortage(error):
                raise OutOfDescriptorsError.now() from error
            raise

    async def _until_read(self, what: str, read: Callable[[], _Read]) -> _Read:
        """What `read` gives in a thread, tried again for as long as descriptors are short."""
        while True:
            try:
                found = await load_in_background(read)
            except (OSError, ImportError) as error:
                if not descriptors.is_shortage(error):
                    raise
                if not self._is_short:
                    log.warning("out of file descriptors: %s can't be read; trying again", what)
                self._is_short = True
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            else:
                self._is_short = False
                return found

    async def close(self) -> None:
        """Write what is left of the ledger."""
        await asyncio.to_thread(self.ledger.close)
        if self.shared is not None:
            await asyncio.to_thread(self.shared.close)

    def configure(self, config: Config) -> None:
        """Go by these prices and limits from now on; what is spent stays spent."""
        self._config = config
        self.prices = self.prices.configured(config.pricing)
        self.budget.configure(config.budget)
        self._warn_of_unknown_clients()

    # --- what requests ask ---------------------------------------------------------------

    def priced(self, backend: BackendSnapshot, model: str) -> PricedModel:
        """A cloud backend's model, by the backend's own name, and its price."""
        key = (backend.name, model)
        known = self._priced.get(key)
        if known is None or not known.holds_for(self.prices, backend):
            known = PricedModel(self.prices, backend, model)
            if self.prices.is_loaded:  # it also tells whose prices hold
                if len(self._priced) >= _MAX_PRICED:
                    self._priced.clear()
                self._priced[key] = known
        return known

    def is_priced(self, backend: BackendSnapshot, model: str) -> bool:
        """It is a cloud backend's model, and its price is known."""
        return backend.type.is_cloud and self.priced(backend, model).price(self.now()) is not None

    def expected_completion(self, model: str, demand: Demand) -> int:
        """The tokens of a request's answers, if each is as long as the model's others."""
        if Capability.EMBEDDINGS in demand.capabilities:
            return 0
        return demand.choices * self.averages.expected(model, demand.completion_limit)

    async def expected_cost(
        self, backend: BackendSnapshot, model: str, demand: Demand
    ) -> Cost | None:
        """About what such a request costs there; None: nothing at all, or nobody knows."""
        if not backend.type.is_cloud:
            return None
        await self.load_prices()
        completion = self.expected_completion(model, demand)
        return self.priced(backend, model).expected_cost(
            demand.prompt_tokens, completion, self.now()
        )

    def verdict(self, client: str | None) -> Verdict:
        """What the budget lets a client's next attempt use."""
        return self.budget.verdict(client, self.now())

    def rule(self, client: str | None) -> MoneyRule | None:
        """What the budget says about the client's next attempt; None where nothing is limited."""
        return self.rule_of(self.verdict(client))

    def rule_of(self, verdict: Verdict) -> MoneyRule | None:
        """A verdict of this moment, asked about single backends; None: nothing is limited."""
        if verdict.is_free:
            return None
        days = max(1, round(verdict.resets_in_seconds(self.now()) / 86_400))
        spent = f"the monthly budget is spent; it resets in {days} d"
        if verdict.is_cut_off:
            spent = "replicas share the budget, and their store can't be reached"

        def objection(backend: BackendSnapshot, model: str) -> str | None:
            if not backend.type.is_cloud:
                return None if verdict.may_use_local else spent
            if not verdict.may_use_cloud:
                return spent
            if verdict.may_use_unpriced:
                return None
            is_priced = self.is_priced(backend, model)
            return (
                None if is_priced else f"no price is known for {model}, and the budget requires one"
            )

        return objection

    def estimate(self, backend: BackendSnapshot, model: str, demand: Demand, at: float) -> Estimate:
        """About what a request costs at a cloud backend, if its answer is as long as others."""
        completion = self.expected_completion(model, demand)
        priced = self.priced(backend, model)
        cost = priced.expected_cost(demand.prompt_tokens, completion, at)
        return Estimate(backend, model, priced, cost)

    def resets_in_seconds(self) -> int:
        """Until the month's limits start anew."""
        return self.verdict(None).resets_in_seconds(self.now())

    def keep_action(self, acted: OperatorActed) -> None:
        """Put what an operator did into the ledger; never fails."""
        self.ledger.append_action(action_row(acted))

    # --- what people ask -----------------------------------------------------------------

    async def cost_report(self) -> CostReport | None:
        """What today and this month have cost; None where no ledger is kept.

        However many ask, the ledger is read once at a time, in a thread.

        Raises:
            LedgerUnreadableError: there is one, and it can't be read.
        """
        readings = self._readings
        if readings is None:
            return None
        await self.opened.wait()  # before it the budget knows nothing of the month
        async with self._reporting:
            age = self.now() - self._report.at if self._report else None
            if age is None or not 0 <= age < _REPORT_SECONDS:
                try:
                    self._report = await in_background(
                        partial(self._read_report, readings, self._live_budget(), self.now())
                    )
                except NoLedgerError as error:
                    raise LedgerUnreadableError(str(error)) from error
            return self._report

    async def cost_lines(self, by: By, period: Period) -> CostLines | None:
        """What a period has cost, in groups; None where no ledger is kept.

        Raises:
            LedgerUnreadableError: there is one, and it can't be read.
        """
        readings = self._readings
        if readings is None:
            return None
        await self.opened.wait()  # the file may not be there before
        async with self._reporting:
            try:
                return await in_background(lambda: readings.lines(by, period))
            except NoLedgerError as error:
                raise LedgerUnreadableError(str(error)) from error

    async def last_use(self) -> dict[str, float]:
        """When each client key's last request came, as far as the ledger tells; never fails."""
        if self._readings is None or not self.opened.is_set():
            return {}
        try:
            return await in_background(self._readings.last_use)
        except NoLedgerError:
            return {}

    def _live_budget(self) -> _Spending:
        budget = self.budget
        budget.turn(self.now())
        spent = budget.spent_nano_usd if self.is_month_known else None
        return spent, budget.reserved_nano_usd, budget.limit_nano_usd

    def _read_report(self, readings: LedgerReadings, spending: _Spending, at: float) -> CostReport:
        from nexus_core.money.report import LiveBudget

        spent, reserved, limit = spending
        return readings.report(LiveBudget(spent=spent, reserved=reserved, limit=limit), at)
