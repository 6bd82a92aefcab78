"""LocalSource: the gateway of this process as data source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from nexus_core.config.schema import Config
from nexus_core.control.commands import Command, Outcome
from nexus_core.control.unsaved import Unsaved
from nexus_core.errors import LedgerUnreadableError
from nexus_core.fleet.registry import BackendSnapshot, Registry
from nexus_core.money.cost_lines import CostLines
from nexus_core.money.ledger_queries import By
from nexus_core.money.months import Period
from nexus_core.money.report import CostReport
from nexus_core.observe.bus import EventBus, Subscription
from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.events import NexusEvent, OperatorActed
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.requests import SCREEN_CAPACITY, RecentRequests
from nexus_core.observe.stats import Stats
from nexus_core.observe.windows.counted import Counted
from nexus_core.observe.windows.marks import Marks
from nexus_core.observe.windows.window import Window
from nexus_core.routing.explain import Explanation, Question
from nexus_core.types import Actor, PrivacyZone, QueueState
from nexus_tui.sources.base import (
    LAST_ACTIONS,
    NO_LEDGER,
    DiscoverySource,
    Status,
    refuse_if_read_only,
)
from nexus_tui.sources.changes import ChangedRequests
from nexus_tui.sources.client_keys import (
    KeyAnswer,
    KeyChange,
    KeyList,
    read_answer,
    read_keys,
)
from nexus_tui.sources.fleet.replica import Roll, read_roll
from nexus_tui.sources.local_actor import local_actor
from nexus_tui.sources.local_keys import Keys, change_key

if TYPE_CHECKING:
    from nexus_core.control.shared.process import Shared


class Kept(Protocol):
    """The bodies that are kept."""

    @property
    def is_on(self) -> bool: ...

    def get(self, request_id: str) -> CapturedExchange | None:
        """A request and its answer; None where their bodies are not kept."""
        ...


class Commands(Protocol):
    """Who carries an operator's commands out."""

    async def execute(self, command: Command, by: Actor) -> Outcome: ...


class Acted(Protocol):
    """Who knows what operators did."""

    def newest(self, limit: int) -> Sequence[OperatorActed]:
        """So many at most, the newest first."""
        ...


class Costs(Protocol):
    """Who knows what was spent."""

    async def cost_report(self) -> CostReport | None:
        """What was spent; None where no ledger is kept.

        Raises:
            LedgerUnreadableError: it can't be read.
        """
        ...

    async def cost_lines(self, by: By, period: Period, /) -> CostLines | None:
        """What a month or day has cost; None and errors as of `cost_report`."""
        ...


class Explains(Protocol):
    """Who knows where a request would go."""

    async def explain(self, question: Question) -> Explanation: ...


class Core(Protocol):
    """Interface of the gateway for the dashboard."""

    @property
    def config(self) -> Config: ...
    @property
    def bus(self) -> EventBus: ...
    @property
    def stats(self) -> Stats: ...
    @property
    def windows(self) -> Marks: ...
    @property
    def recent(self) -> RecentRequests: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def started_at(self) -> float: ...  # seconds since the epoch
    @property
    def queue_state(self) -> QueueState | None: ...
    @property
    def captures(self) -> Kept: ...
    @property
    def operator(self) -> Commands: ...
    @property
    def actions(self) -> Acted: ...
    @property
    def unsaved(self) -> Sequence[Unsaved]: ...
    @property
    def cost_tracker(self) -> Costs: ...
    @property
    def shared(self) -> Shared | None: ...  # with other processes; None: nothing, as no [fleet]

    @property
    def explainer(self) -> Explains: ...
    @property
    def key_control(self) -> Keys: ...

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


class LocalSource:
    """Data source on the gateway of this process; nothing is copied.

    Receives from the moment it is made, so events before the first drain are kept.
    """

    def __init__(
        self,
        gateway: Core,
        address: str = "127.0.0.1:8000",
        *,
        is_demo: bool = False,
        is_read_only: bool = False,
        discovery: DiscoverySource | None = None,
    ) -> None:
        self.address = address
        self.is_demo = is_demo
        self.is_read_only = is_read_only
        self.status: Status = "live"
        self.is_remote = False
        self.stale_since: float | None = None
        self.notice: str | None = None
        self.epoch = 0
        self.costs: CostReport | None = None
        self.costs_problem: str | None = None
        self.discovery = discovery
        self._core = gateway
        self._subscription, self._changes = self._watch()

    def _watch(self) -> tuple[Subscription, ChangedRequests]:
        recent = self._core.recent
        recent.keep(SCREEN_CAPACITY)
        return self._core.bus.subscribe(wants_requests=False), ChangedRequests(recent)

    def follow(self, gateway: Core) -> None:
        """Go on with another gateway, which took the place of one that died."""
        self._subscription.close()
        self._core = gateway
        self._subscription, self._changes = self._watch()
        self.epoch += 1

    @property
    def started_at(self) -> float:
        return self._core.started_at

    @property
    def config(self) -> Config:
        return self._core.config

    @property
    def stats(self) -> Stats:
        return self._core.stats

    @property
    def requests(self) -> RecentRequests:
        return self._core.recent

    @property
    def queue(self) -> QueueState | None:
        return self._core.queue_state

    @property
    def is_capturing(self) -> bool:
        return self._core.captures.is_on

    def now(self) -> float:
        return self._core.now()

    @property
    def has_windows(self) -> bool:
        return True

    def counted_before(self, window: Window) -> Counted | None:
        return self._core.windows.beginning(window)

    def is_zone_enabled(self, zone: PrivacyZone) -> bool:
        return self._core.registry.is_zone_enabled(zone)

    def backends(self) -> tuple[BackendSnapshot, ...]:
        return self._core.registry.snapshots()

    def changed(self) -> list[RequestRecord]:
        self._core.bus.settle()
        return self._changes.take()

    def drain(self) -> list[NexusEvent]:
        return self._subscription.drain()

    def unseen(self) -> int:
        return 0

    async def wait(self) -> None:
        await self._subscription.wait()

    async def explain(self, question: Question) -> Explanation:
        return await self._core.explainer.explain(question)

    async def captured(self, request_id: str) -> CapturedExchange | None:
        return self._core.captures.get(request_id)

    async def command(self, command: Command) -> Outcome:
        refuse_if_read_only(self)
        return await self._core.operator.execute(command, local_actor())

    async def client_keys(self) -> KeyList:
        return read_keys(await self._core.key_control.listed())

    async def change_key(self, change: KeyChange) -> KeyAnswer:
        refuse_if_read_only(self)
        return read_answer(await change_key(self._core.key_control, change, local_actor()))

    @property
    def session(self) -> str:
        return local_actor().session or ""

    @property
    def actions(self) -> Sequence[OperatorActed]:
        return self._core.actions.newest(LAST_ACTIONS)

    @property
    def unsaved(self) -> Sequence[Unsaved]:
        return self._core.unsaved

    @property
    def speaker(self) -> str | None:
        return None

    @property
    def fleet(self) -> Roll | None:
        return None

    def watch(self) -> Callable[[], None]:
        return lambda: None

    async def roll(self) -> Roll | None:
        shared = self._core.shared
        if shared is None:
            return None
        from nexus_core.control.shared.as_json import fleet_at

        return read_roll(fleet_at(shared, self.now()))

    async def refresh_costs(self) -> None:
        try:
            self.costs = await self._core.cost_tracker.cost_report()
        except LedgerUnreadableError as error:
            self.costs_problem = error.message
        else:
            self.costs_problem = NO_LEDGER if self.costs is None else None

    async def cost_lines(self, by: By, period: Period) -> CostLines | None:
        return await self._core.cost_tracker.cost_lines(by, period)

    def close(self) -> None:
        self._subscription.close()
