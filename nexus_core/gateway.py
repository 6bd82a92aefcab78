"""Put the parts together from a Config; start and stop them; the operator's commands."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import Random

from nexus_core.agents import InferenceAgent, create_agent
from nexus_core.config import BackendConfig, Config
from nexus_core.discovery.watch import Discovery
from nexus_core.events import ConfigReloaded, EventBus, ZoneToggled
from nexus_core.health import HealthChecks
from nexus_core.proxy.forward import Forwarder
from nexus_core.proxy.queue import WaitingRoom
from nexus_core.registry import ProbeResult, Registry
from nexus_core.reload import ReloadPlan, fleet_after, plan_reload
from nexus_core.routing.strategies import Strategy
from nexus_core.stats import Stats
from nexus_core.types import PrivacyZone
from nexus_core.upstream import create_engine
from nexus_core.upstream.base import UpstreamEngine

log = logging.getLogger(__name__)


class Gateway:
    """Everything but the HTTP surface and the screen; both are front ends of it."""

    def __init__(
        self,
        config: Config,
        *,
        engine: UpstreamEngine | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.config = config  # what is in force; found backends are in the registry only
        self.started_at = now()  # seconds since the epoch
        self.stats = Stats()
        self.bus = EventBus(self.stats.apply)
        self.registry = Registry(config.backends, self.bus, now)
        self.now = now
        # Chooses among backends, and hides nothing: no secret depends on it.
        self.strategy = Strategy(config.routing, Random())  # noqa: S311
        self.engine = engine or create_engine(config.server.upstream)
        self.discovery: Discovery | None = None  # set before `running`: it looks for servers
        self._agents = {backend.name: self._agent(backend) for backend in config.backends}
        self.queue = WaitingRoom(config.queue, self.registry) if config.queue.enabled else None
        self.health = HealthChecks(self._agents, self.registry, config.health_check)
        self.forwarder = Forwarder(
            self._agents,
            self.registry,
            self.bus,
            config.server,
            config.routing,
            self.strategy,
            self.queue,
            now=now,
            models_known=self.health.first_round,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Health checks and discovery run inside the block; connections are closed after it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = [tasks.create_task(self.health.run(), name="health-checks")]
                if self.discovery is not None:
                    watching.append(tasks.create_task(self.discovery.run(), name="discovery"))
                try:
                    yield
                finally:
                    for task in watching:
                        task.cancel()
        finally:
            await self.engine.close()

    def add_backend(self, backend: BackendConfig, found: ProbeResult | None = None) -> None:
        """Take in a backend until restart; requests may go to it once this returns.

        Args:
            found: what asking it has just shown, so that it is not asked again at once.

        Raises:
            ValueError: there is one of that name, or no agent for its type.
        """
        agent = self._agent(backend)
        self.registry.add(backend)
        self._agents[backend.name] = agent
        if found is None:
            self.health.look_at(backend.name)
        else:
            self.health.take_in(backend.name, found)
        self._forget_agents()

    def remove_backend(self, name: str) -> None:
        """Leave a backend out until restart. No request goes to it once this returns.

        What is under way there finishes.

        Raises:
            KeyError: there is no backend of that name.
        """
        self.registry.remove(name)
        self.health.forget(name)
        self._forget_agents()

    def plan_reload(self, config: Config) -> ReloadPlan:
        """What putting another configuration in force would change."""
        fleet, at = self.registry.snapshots(), self.registry.clock()
        return plan_reload(self.config, config, fleet, self.strategy, at)

    def reload(self, config: Config) -> ReloadPlan:
        """Put another configuration in force: whole, for every decision from now on, or not at all.

        Requests under way go on with the one they came in under. What only a restart changes
        stays as it is; the plan names it.

        Raises:
            ValueError: there is no agent for a backend's type.
        """
        plan = self.plan_reload(config)
        after = fleet_after(self.config, config, self.registry.snapshots())
        old, new = self.config, plan.config
        is_timing_new = old.server.connect_timeout_seconds != new.server.connect_timeout_seconds
        agents = {
            backend.name: self._agent(backend, new)
            for backend in new.backends
            if is_timing_new or backend not in old.backends
        }
        self.config = new
        with self.registry.together():
            self.strategy.routing = new.routing
            self.forwarder.configure(new.server, new.routing)
            self.health.config = new.health_check
            self._agents |= agents
            for name in plan.removed:
                self.registry.remove(name)
                self.health.forget(name)
            by_name = {snapshot.name: snapshot for snapshot in after}
            for backend in new.backends:
                if backend.name in plan.added:
                    self.registry.add(backend)
                else:
                    is_table = backend.models is not None
                    self.registry.change(by_name[backend.name], models_are_configured=is_table)
                if backend.name in agents:
                    self.health.look_at(backend.name)
            self.registry.arrange(by_name)
        self._forget_agents()
        self.bus.publish(ConfigReloaded(at=self.now(), lines=plan.lines))
        log.info("config reloaded from %s", config.path)
        return plan

    def set_backend_enabled(self, name: str, enabled: bool) -> None:
        """Switch a backend on or off until restart. No request goes to it once this returns.

        Raises:
            KeyError: there is no backend of that name.
        """
        self.registry.set_enabled(name, enabled)

    def set_zone_enabled(
        self, zone: PrivacyZone, enabled: bool, *, end_running: bool = False
    ) -> int:
        """Switch a zone on or off until restart. No request goes to it once this returns.

        Args:
            end_running: end what is under way there, too.

        Returns:
            How many requests under way were ended.
        """
        changed = self.registry.set_zone_enabled(zone, enabled)
        ended = self.forwarder.end_zone(zone) if end_running and not enabled else 0
        if changed or ended:
            self.bus.publish(ZoneToggled(at=self.now(), zone=zone, enabled=enabled, ended=ended))
        return ended

    async def probe(self, name: str) -> ProbeResult:
        """Ask a backend now how it is.

        Raises:
            KeyError: there is no backend of that name.
        """
        return await self.health.probe(name)

    def _agent(self, backend: BackendConfig, config: Config | None = None) -> InferenceAgent:
        seconds = (config or self.config).server.connect_timeout_seconds
        return create_agent(backend, self.engine, connect_timeout_seconds=seconds)

    def _forget_agents(self) -> None:
        """Drop those of backends that are gone and serve nobody any more."""
        for name in [name for name in self._agents if not self.registry.knows(name)]:
            del self._agents[name]
