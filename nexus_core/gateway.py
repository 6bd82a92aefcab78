"""The gateway: wires the parts together from a Config, starts and stops them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib import import_module
from random import Random
from typing import TYPE_CHECKING

import msgspec

from nexus_core import descriptors
from nexus_core.background import load_in_background
from nexus_core.config.schema import Config
from nexus_core.control.actions import Actions
from nexus_core.control.live_config import LiveConfig
from nexus_core.control.own_requests import OwnRequests
from nexus_core.control.unsaved import Unsaved
from nexus_core.fleet.lifecycle import Fleet
from nexus_core.fleet.registry import Registry
from nexus_core.keys.live import LiveKeys, keys_path
from nexus_core.known_secrets import SECRETS
from nexus_core.money.accounting import CostTracker
from nexus_core.observe.bus import EventBus
from nexus_core.observe.event_log import EventLog
from nexus_core.observe.log_ring import LogRing
from nexus_core.observe.requests import RecentRequests
from nexus_core.observe.stats import Stats
from nexus_core.observe.windows.marks import Marks
from nexus_core.proxy.capture import Captures
from nexus_core.proxy.forward import Forwarder
from nexus_core.proxy.in_flight import ProxyParts
from nexus_core.proxy.queue import WaitingRoom
from nexus_core.routing.scoring import Strategy
from nexus_core.types import QueueState
from nexus_core.upstream import create_engine
from nexus_core.upstream.base import UpstreamEngine
from nexus_core.worker import WorkerPlace

if TYPE_CHECKING:
    from nexus_core.control.config_file import ConfigControl, Configurable
    from nexus_core.control.execute import Operator
    from nexus_core.control.explainer import Explainer
    from nexus_core.control.keys import KeyControl
    from nexus_core.control.shared.process import Shared
    from nexus_core.discovery.watch import Discoverable, Discovery

_FOR_IMPORTS = 8  # descriptors
_LAST_SECONDS = 1.0  # for the last requests to end
_SOON_SECONDS = 1.0  # after the start, when the first requests have been served
# Not needed to serve requests, so imported then.
_FOR_PEOPLE = (
    "nexus_core.control.execute",
    "nexus_core.control.explainer",
    "nexus_core.money.report",
)


class GatewayOptions(msgspec.Struct, frozen=True, kw_only=True):
    """In what one gateway differs from another of the same configuration."""

    is_demo: bool = False
    is_read_only: bool = False  # nothing is written to the ledger; for one that serves nobody
    logs: LogRing | None = None  # where the log lines of this process are kept; None: nowhere
    discover: Callable[[Discoverable, UpstreamEngine], Discovery] | None = None  # None: no search
    # How its configuration is read again and written; None: it is in no file.
    files: Callable[[Configurable, Discovery | None], ConfigControl] | None = None
    worker: WorkerPlace | None = None  # None: it serves its port alone


_DEFAULT = GatewayOptions()


class Gateway:
    """Everything but the HTTP surface and the screen; both are front ends of it."""

    def __init__(
        self,
        config: Config,
        *,
        engine: UpstreamEngine | None = None,
        now: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        options: GatewayOptions = _DEFAULT,
    ) -> None:
        self.is_demo = options.is_demo
        self.worker = options.worker
        SECRETS.learn(config.auth, config.backends)
        self.started_at = now()  # seconds since the epoch
        self.is_draining = False  # it will stop soon, and balancers should send requests elsewhere
        self._stats = Stats()
        self._recent = RecentRequests()
        self._event_log = EventLog()
        self.logs = LogRing() if options.logs is None else options.logs
        self.bus = EventBus(self._stats, self._recent, log=self._event_log)
        self.windows = Marks(self._stats, clock, self.bus.settle)
        self.registry = Registry(config.backends, self.bus, now, clock)
        self.now = now
        # Chooses among backends, and hides nothing: no secret depends on it.
        self.strategy = Strategy(config.routing, Random())  # noqa: S311
        self.engine = engine or create_engine(config.server.upstream)
        self.fleet = Fleet(config, self.engine, self.registry)
        self.health = self.fleet.health
        self.cost_tracker = CostTracker(
            config,
            now,
            is_read_only=options.is_read_only,
            journal=None if options.worker is None else options.worker.journal,
        )
        self.keys = _created_keys(
            config,
            now,
            time.monotonic_ns if clock is time.monotonic else lambda: int(clock() * 1e9),
            self.cost_tracker.limit_created,
            options,
        )
        self.queue = WaitingRoom(config.queue, self.registry) if config.queue.enabled else None
        parts = ProxyParts(
            agents=self.fleet.agents,
            registry=self.registry,
            strategy=self.strategy,
            cost_tracker=self.cost_tracker,
            bus=self.bus,
            now=now,
            models_known=self.health.first_round,
            doubt=self.health.doubt,
        )
        self.forwarder = Forwarder(parts, self.queue, config.server, config.routing)
        self.captures = Captures()
        self.actions = Actions(self.bus, now, self.cost_tracker.keep_action)
        self.live = live = LiveConfig(config, parts, self.fleet, self.forwarder)
        self._limit_keys(config)
        live.on_reload.append(self._limit_keys)
        self.discovery = options.discover(live, self.engine) if options.discover else None
        self._files = options.files
        self._parts = parts
        self._own = OwnRequests(live, self.forwarder, self.captures)
        self._operator: Operator | None = None
        self._key_control: KeyControl | None = None
        self._explainer: Explainer | None = None
        self.shared: Shared | None = None  # None: nothing is shared with other processes
        if config.fleet is not None and not options.is_read_only:
            from nexus_core.control.shared.process import Shared

            number = None if options.worker is None else options.worker.number
            self.shared = Shared(
                live,
                self.forwarder,
                lambda: self.operator,
                self.health.confirm,
                self.engine.stop_unsent,
                number,
            )
            self.keys.join(self.shared.link)
            self.shared.lease(self.cost_tracker, self.queue, self.keys, options.worker)

    @property
    def config(self) -> Config:
        """What is in force; found backends are in the registry only."""
        return self.live.config

    @property
    def stats(self) -> Stats:
        """What was counted until now."""
        self.bus.settle()
        return self._stats

    @property
    def recent(self) -> RecentRequests:
        """The newest requests, those that came just now included."""
        self.bus.settle()
        return self._recent

    @property
    def event_log(self) -> EventLog:
        """The newest events, those of just now included."""
        self.bus.settle()
        return self._event_log

    @property
    def unsaved(self) -> tuple[Unsaved, ...]:
        """What differs from the configuration file until restart."""
        return self.live.unsaved

    def _limit_keys(self, config: Config) -> None:
        self.keys.limit(config.limits)

    @property
    def operator(self) -> Operator:
        """Who carries out operators' commands; made when first asked for."""
        if self._operator is None:
            from nexus_core.control.execute import Operator

            files = self._files(self.live, self.discovery) if self._files else None
            self._operator = Operator(
                self.live,
                self.forwarder,
                self.fleet,
                self.captures,
                self._own,
                files,
                self.actions,
            )
            if self.shared is not None:
                self._operator.spread = self.shared.spread
        return self._operator

    @property
    def key_control(self) -> KeyControl:
        """Who carries out operators' commands on client keys; made when first asked for."""
        if self._key_control is None:
            from nexus_core.control.key_use import KeyUse
            from nexus_core.control.keys import KeyControl

            use = KeyUse(
                lambda: self.recent,
                lambda: self.forwarder.in_flight_by_client,
                self.cost_tracker.last_use,
                self.now,
            )
            self._key_control = KeyControl(
                self.keys,
                self.actions,
                use,
                lambda: self.cost_tracker.budget,
                self.now,
                lambda: tuple(key.name for key in self.config.auth.api_keys),
            )
        return self._key_control

    @property
    def explainer(self) -> Explainer:
        """Who explains where a request would go; made when first asked for."""
        if self._explainer is None:
            from nexus_core.control.explainer import Explainer

            self._explainer = Explainer(
                self.live, self._parts, self.forwarder.contexts, self.keys.named
            )
        return self._explainer

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Accounting, checks, counts, windows, discovery, replays run inside the block and end."""
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = [
                    tasks.create_task(self.live.run(self.actions.recall), name="accounting"),
                    tasks.create_task(self.health.run(), name="health-checks"),
                    tasks.create_task(self.cost_tracker.counter.run(), name="token-counts"),
                    tasks.create_task(self.windows.run(), name="window-marks"),
                    tasks.create_task(self.keys.run(), name="client-keys"),
                    tasks.create_task(_import_for_people(), name="late-imports"),
                ]
                sharing = None
                if self.shared is not None:
                    sharing = tasks.create_task(self.shared.run(), name="fleet-link")
                if self.discovery is not None:
                    watching.append(tasks.create_task(self.discovery.run(), name="discovery"))
                try:
                    with self._own.carried_by(tasks):
                        yield
                finally:
                    for task in watching:
                        task.cancel()
                    self.forwarder.end_all()
                    if sharing is not None:  # which is told what the last requests used
                        with suppress(TimeoutError):
                            async with asyncio.timeout(_LAST_SECONDS):
                                await self.forwarder.idle()
                        sharing.cancel()
        finally:
            try:
                await self.engine.close()
            finally:
                await self.cost_tracker.close()

    @property
    def queued(self) -> int:
        """How many requests wait for a slot."""
        return 0 if self.queue is None else len(self.queue)

    @property
    def queue_state(self) -> QueueState | None:
        """How many requests wait, and how many may; None where none may."""
        if self.queue is None:
            return None
        return QueueState(waiting=len(self.queue), max_size=self.config.queue.max_size)


def _created_keys(
    config: Config,
    now: Callable[[], float],
    clock: Callable[[], int],
    budgets: Callable[[Mapping[str, float | None]], None],
    options: GatewayOptions,
) -> LiveKeys:
    """Created keys: of PostgreSQL where it is set, else of the file beside the ledger."""
    environment = [key.name for key in config.auth.api_keys]
    if config.storage.url is not None and not options.is_read_only:
        from nexus_core.keys.shared import SharedKeys, warn_of_file

        file = keys_path(config)
        warn_of_file(file)
        mark = None if file is None else file.with_name("keys.seen")
        return SharedKeys(config.storage, now, clock, budgets, environment, mark)
    keys = LiveKeys(
        None if options.is_read_only else keys_path(config),
        now,
        clock,
        budgets,
        environment=environment,
        is_optional=options.is_demo,
    )
    if config.fleet is not None:
        from nexus_core.keys.changes import why_no_new_keys

        keys.refuses_new = why_no_new_keys(config)
    return keys


async def _import_for_people() -> None:
    """Import, beside the loop, what a command or a report would else hold it up for."""
    await asyncio.sleep(_SOON_SECONDS)
    for module in _FOR_PEOPLE:
        with suppress(OSError, ImportError):  # no descriptor left: then it is imported by its user
            descriptors.require(_FOR_IMPORTS)
            await load_in_background(partial(import_module, module))
