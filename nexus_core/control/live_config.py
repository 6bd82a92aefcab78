"""The live configuration: adding and removing backends, and reloading the file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from nexus_core.config.changes import Change
from nexus_core.config.schema import BackendConfig, Config
from nexus_core.control.unsaved import Unsaved, unsaved, with_saved
from nexus_core.fleet.lifecycle import Fleet
from nexus_core.known_secrets import SECRETS
from nexus_core.observe.events import ConfigReloaded, OperatorActed
from nexus_core.proxy.forward import Forwarder
from nexus_core.proxy.in_flight import ProxyParts
from nexus_core.types import CooldownEnd, ProbeResult

if TYPE_CHECKING:
    from nexus_core.control.reload import ReloadPlan

log = logging.getLogger(__name__)


class LiveConfig:
    """The configuration in force, and the only place that changes it."""

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
        self.on_reload: list[Callable[[Config], None]] = []  # told of what is in force now
        # What differs from the file, and the configuration and backends that this was found from.
        self._unsaved: tuple[tuple[object, object], tuple[Unsaved, ...]] | None = None
        self._has_grown = asyncio.Event()  # there may be backends of another type

    async def run(self, recall: Callable[[Iterable[OperatorActed]], None]) -> None:
        """Load spending, and data that the backends' types need, until cancelled.

        `recall` is given what operators did before, as the ledger tells it.
        """
        tracker = self._parts.cost_tracker
        await tracker.open()
        recall(tracker.past_actions)
        while True:
            self._has_grown.clear()
            await tracker.load({backend.type for backend in self.registry.snapshots()})
            await self._has_grown.wait()

    def add_backend(self, backend: BackendConfig, found: ProbeResult | None = None) -> None:
        """Add a backend until restart; requests may go to it once this returns.

        Args:
            found: result of a probe just made; its models can be requested at once.

        Raises:
            ValueError: the name is taken.
        """
        SECRETS.learn(None, (backend,))
        self._fleet.add(backend, found)
        self._has_grown.set()

    def remove_backend(self, name: str) -> None:
        """Remove a backend until restart. No request goes to it once this returns.

        Requests in progress there finish.

        Raises:
            KeyError: there is no backend of that name.
        """
        self._fleet.remove(name)

    def unsaved_changes(self) -> tuple[Change, ...]:
        """Changes that last until restart, as changes of the configuration file."""
        return tuple(self._fleet.unsaved(self.config))

    @property
    def unsaved(self) -> tuple[Unsaved, ...]:
        """What differs from the configuration file; nothing where there is no file."""
        made_of = (self.config, self.registry.snapshots())
        if self._unsaved is None or any(
            one is not other for one, other in zip(self._unsaved[0], made_of, strict=True)
        ):
            found = unsaved(self.unsaved_changes(), self.config) if self.config.path else ()
            self._unsaved = (made_of, found)
        return self._unsaved[1]

    def saved(self, changes: Sequence[Change]) -> None:
        """The file has these changes now: they last longer than until restart."""
        self.config = with_saved(self.config, changes)

    def plan_reload(self, config: Config) -> ReloadPlan:
        """Plan a reload: the changes that another configuration would make."""
        from nexus_core.control.reload import plan_reload  # not needed to serve

        fleet, at = self.registry.snapshots(), self.registry.clock()
        return plan_reload(self.config, config, fleet, self._parts.strategy, at)

    def reload(self, config: Config) -> ReloadPlan:
        """Apply another configuration, as a whole or not at all.

        Requests in progress keep the one they began with. Keys that need a restart stay unchanged;
        the plan names them.
        """
        plan, parts = self.plan_reload(config), self._parts
        SECRETS.learn(plan.config.auth, plan.config.backends)
        with self.registry.wakes.together():
            self.clear_cooldowns()
            self._fleet.apply(plan.config, self.config, plan.fleet)
            self.config = plan.config
            parts.strategy.configure(plan.config.routing)
            self._forwarder.configure(plan.config.server, plan.config.routing)
            parts.cost_tracker.configure(plan.config)
            for tell in self.on_reload:
                tell(plan.config)
        self.bus.publish(ConfigReloaded(at=self.now(), lines=plan.lines))
        self._has_grown.set()
        log.info("config reloaded from %s", config.path)
        return plan

    def clear_cooldowns(self) -> int:
        """End the cooldowns of all backends, as a reload does; gives their number."""
        return self.registry.cooldowns.clear_all(CooldownEnd.RELOADED)
