"""The configuration in force: backends that come and go, and its change as a whole by a reload."""

from __future__ import annotations

import asyncio
import logging

from nexus_core.config.save import Change
from nexus_core.config.schema import BackendConfig, Config
from nexus_core.control.reload import ReloadPlan, plan_reload
from nexus_core.fleet.lifecycle import Fleet
from nexus_core.observe.events import ConfigReloaded
from nexus_core.proxy.attempt import ProxyParts
from nexus_core.proxy.forward import Forwarder
from nexus_core.types import CooldownEnd, ProbeResult

log = logging.getLogger(__name__)


class LiveConfig:
    """What is in force, for every decision from now on; whoever changes it does so here."""

    def __init__(
        self, config: Config, parts: ProxyParts, fleet: Fleet, forwarder: Forwarder
    ) -> None:
        self.config = config  # found backends are in the registry only
        self.registry = parts.registry
        self.bus = parts.bus
        self.now = parts.now
        self._parts = parts
        self._fleet = fleet
        self._forwarder = forwarder
        self._has_grown = asyncio.Event()  # there may be backends of another type

    async def run(self) -> None:
        """Read what was spent, and load what the backends' types need, until cancelled."""
        tracker = self._parts.cost_tracker
        await tracker.open()
        while True:
            self._has_grown.clear()
            await tracker.load({backend.type for backend in self.registry.snapshots()})
            await self._has_grown.wait()

    def add_backend(self, backend: BackendConfig, found: ProbeResult | None = None) -> None:
        """Take in a backend until restart; requests may go to it once this returns.

        Args:
            found: what a probe of it has just shown; its models can be asked for at once.

        Raises:
            ValueError: there is one of that name.
        """
        self._fleet.add(backend, found)
        self._has_grown.set()

    def remove_backend(self, name: str) -> None:
        """Leave a backend out until restart. No request goes to it once this returns.

        What is under way there finishes.

        Raises:
            KeyError: there is no backend of that name.
        """
        self._fleet.remove(name)

    def unsaved_changes(self) -> tuple[Change, ...]:
        """What lasts until restart only, as changes of the configuration file."""
        return tuple(self._fleet.unsaved(self.config))

    def plan_reload(self, config: Config) -> ReloadPlan:
        """What putting another configuration in force would change."""
        fleet, at = self.registry.snapshots(), self.registry.clock()
        return plan_reload(self.config, config, fleet, self._parts.strategy, at)

    def reload(self, config: Config) -> ReloadPlan:
        """Put another configuration in force: whole, for every decision from now on, or not at all.

        Requests under way go on with the one they came in under. What only a restart changes
        stays as it is; the plan names it.
        """
        plan, parts = self.plan_reload(config), self._parts
        with self.registry.together():
            self.clear_cooldowns()
            self._fleet.apply(plan.config, self.config, plan.fleet)
            self.config = plan.config
            parts.strategy.configure(plan.config.routing)
            self._forwarder.configure(plan.config.server, plan.config.routing)
            parts.cost_tracker.configure(plan.config)
        self.bus.publish(ConfigReloaded(at=self.now(), lines=plan.lines))
        self._has_grown.set()
        log.info("config reloaded from %s", config.path)
        return plan

    def clear_cooldowns(self) -> int:
        """End the cooldowns of all backends, as a reload does; how many there were."""
        return self.registry.cooldowns.clear_all(CooldownEnd.RELOADED)
