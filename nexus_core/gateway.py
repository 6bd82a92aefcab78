"""Put the parts together from a Config; start and stop them; the operator's commands."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

from nexus_core.books import Books
from nexus_core.commands import Command, Outcome, ProbeBackend, SwitchBackend, SwitchZone
from nexus_core.config import BackendConfig, Config
from nexus_core.config_write import Change
from nexus_core.discovery.watch import Discovery
from nexus_core.errors import BackendNotFoundError, InvalidRequestError
from nexus_core.events import ConfigReloaded, EventBus, ZoneToggled
from nexus_core.explain import (
    Chosen,
    Explanation,
    Question,
    Situation,
    TranslationReport,
    explain,
)
from nexus_core.fleet import Fleet
from nexus_core.proxy.forward import Forwarder
from nexus_core.proxy.queue import WaitingRoom
from nexus_core.registry import ProbeResult, Registry
from nexus_core.reload import ReloadPlan, plan_reload
from nexus_core.routing.requirements import read_requirements
from nexus_core.routing.strategies import Strategy
from nexus_core.stats import Stats
from nexus_core.translation.openai import OpenAIRequest
from nexus_core.translation.report import UnsupportedFieldsError
from nexus_core.types import Endpoint, PrivacyZone
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
        clock: Callable[[], float] = time.monotonic,
        is_read_only: bool = False,
    ) -> None:
        """With `is_read_only` nothing is written to the ledger: for one that serves nobody."""
        self.config = config  # what is in force; found backends are in the registry only
        self.started_at = now()  # seconds since the epoch
        self.stats = Stats()
        self.bus = EventBus(self.stats.apply)
        self.registry = Registry(config.backends, self.bus, now, clock)
        self.now = now
        # Chooses among backends, and hides nothing: no secret depends on it.
        self.strategy = Strategy(config.routing, Random())  # noqa: S311
        self.engine = engine or create_engine(config.server.upstream)
        self.discovery: Discovery | None = None  # set before `running`: it looks for servers
        self.fleet = Fleet(config, self.engine, self.registry)
        self.health = self.fleet.health
        self.books = Books(config, now, is_read_only=is_read_only)
        self.queue = WaitingRoom(config.queue, self.registry) if config.queue.enabled else None
        self.forwarder = Forwarder(
            self.fleet.agents,
            self.registry,
            self.bus,
            config.server,
            config.routing,
            self.strategy,
            self.queue,
            self.books,
            now=now,
            models_known=self.health.first_round,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Books, health checks and discovery run inside the block; all is closed after it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = [
                    tasks.create_task(self._open_books(), name="books"),
                    tasks.create_task(self.health.run(), name="health-checks"),
                ]
                if self.discovery is not None:
                    watching.append(tasks.create_task(self.discovery.run(), name="discovery"))
                try:
                    yield
                finally:
                    for task in watching:
                        task.cancel()
        finally:
            await self.engine.close()
            await self.books.close()

    async def _open_books(self) -> None:
        await self.books.open()
        await self.books.load(backend.type for backend in self.registry.snapshots())

    def add_backend(self, backend: BackendConfig, found: ProbeResult | None = None) -> None:
        """Take in a backend until restart; requests may go to it once this returns.

        Args:
            found: what a look at it has just shown; its models can be asked for at once.

        Raises:
            ValueError: there is one of that name.
        """
        self.fleet.add(backend, found)

    def remove_backend(self, name: str) -> None:
        """Leave a backend out until restart. No request goes to it once this returns.

        What is under way there finishes.

        Raises:
            KeyError: there is no backend of that name.
        """
        self.fleet.remove(name)

    def unsaved_changes(self) -> tuple[Change, ...]:
        """What lasts until restart only, for `config_write.plan_changes`."""
        return tuple(self.fleet.unsaved(self.config))

    def plan_reload(self, config: Config) -> ReloadPlan:
        """What putting another configuration in force would change."""
        fleet, at = self.registry.snapshots(), self.registry.clock()
        return plan_reload(self.config, config, fleet, self.strategy, at)

    def reload(self, config: Config) -> ReloadPlan:
        """Put another configuration in force: whole, for every decision from now on, or not at all.

        Requests under way go on with the one they came in under. What only a restart changes
        stays as it is; the plan names it.
        """
        plan = self.plan_reload(config)
        with self.registry.together():
            self.fleet.apply(plan, self.config)
            self.config = plan.config
            self.strategy.routing = plan.config.routing
            self.forwarder.configure(plan.config.server, plan.config.routing)
            self.books.configure(plan.config)
        self.bus.publish(ConfigReloaded(at=self.now(), lines=plan.lines))
        log.info("config reloaded from %s", config.path)
        return plan

    @property
    def queued(self) -> int:
        """How many requests wait for a slot."""
        return 0 if self.queue is None else len(self.queue)

    async def explain(self, question: Question) -> Explanation:
        """Where such a request would go now, and why; nothing is sent and nothing counted."""
        need = read_requirements(
            question.model, question.hints, self.config.routing, question.traits
        )
        situation = self._situation(question.usable)
        decision = situation.decide(need)
        if not decision.order and not all(drop.backend.models_known for drop in decision.dropped):
            await self.health.first_round()  # as the forwarder does
            situation = self._situation(question.usable)
            decision = situation.decide(need)
        explanation = explain(decision, situation)
        if explanation.chosen is None or question.request is None:
            return explanation
        report = self._translation(question.request, explanation.chosen)
        return replace(explanation, translation=report)

    def _translation(self, request: OpenAIRequest, chosen: Chosen) -> TranslationReport | None:
        try:
            agent = self.fleet.agents[chosen.backend]
            call = agent.prepare(Endpoint.CHAT_COMPLETIONS, request, chosen.model)
        except UnsupportedFieldsError as error:
            return TranslationReport(unsupported=error.fields)
        made = call.translation
        if made is None:
            return None
        return TranslationReport(made.dropped, made.ignored, made.changed)

    def _situation(self, usable: Collection[str]) -> Situation:
        has_room = self.queue is not None and self.queued < self.config.queue.max_size
        return Situation(
            fleet=self.registry.snapshots(),
            strategy=self.strategy,
            at=self.registry.clock(),
            queued=self.queued,
            wait_seconds=self.config.queue.max_wait_seconds if has_room else None,
            money=self.books.rule(None),
            prefers_local=self.books.prefers_local(None),
            budget_resets_in_seconds=self.books.resets_in_seconds(),
        ).with_usable(usable)

    async def execute(self, command: Command) -> Outcome:
        """Carry out an operator's command; the screen and the control API have no other way.

        Raises:
            NexusError: it can't be done; nothing was changed.
        """
        match command:
            case SwitchZone():
                return self._switch_zone(command)
            case SwitchBackend():
                return self._switch_backend(command)
            case ProbeBackend():
                return await self._probe(command.backend)
            case _:
                raise InvalidRequestError(f"{type(command).__name__} is not available")

    async def _probe(self, name: str) -> Outcome:
        self._check_backend(name)
        result = await self.health.probe(name)
        found = result.detail if result.models is None else f"{len(result.models)} models"
        return Outcome(message=f"{name}: {found} ({result.elapsed_ms:.0f} ms)")

    def _check_backend(self, name: str) -> None:
        if all(known.name != name for known in self.registry.snapshots()):
            raise BackendNotFoundError(f"there is no backend {name!r}", param="backend")

    def _switch_backend(self, command: SwitchBackend) -> Outcome:
        self._check_backend(command.backend)
        ended = self.set_backend_enabled(
            command.backend, command.enabled, end_running=command.end_running
        )
        return Outcome(
            message=f"{command.backend} is {_on_or_off(command.enabled)} until restart",
            data={"ended": ended},
        )

    def _switch_zone(self, command: SwitchZone) -> Outcome:
        ended = self.set_zone_enabled(
            command.zone, command.enabled, end_running=command.end_running
        )
        return Outcome(
            message=f"the {command.zone} zone is {_on_or_off(command.enabled)} until restart",
            data={"ended": ended},
        )

    def set_backend_enabled(self, name: str, enabled: bool, *, end_running: bool = False) -> int:
        """Switch a backend on or off until restart. No request goes to it once this returns.

        Args:
            end_running: end what is under way there, too.

        Returns:
            How many requests under way were ended.

        Raises:
            KeyError: there is no backend of that name.
        """
        self.registry.set_enabled(name, enabled)
        return self.forwarder.end_backend(name) if end_running and not enabled else 0

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


def _on_or_off(enabled: bool) -> str:
    return "on" if enabled else "off"
