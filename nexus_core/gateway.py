"""Put the parts together from a Config; start and stop them; the operator's commands."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from random import Random

from nexus_core.config.save import Change
from nexus_core.config.schema import BackendConfig, Config
from nexus_core.control.commands import Command, Outcome
from nexus_core.control.execute import Operator
from nexus_core.control.reload import ReloadPlan, plan_reload
from nexus_core.dialects.request import Request
from nexus_core.discovery.watch import Discovery
from nexus_core.errors import NexusError, UnsupportedFieldsError
from nexus_core.fleet.lifecycle import Fleet
from nexus_core.fleet.registry import Registry
from nexus_core.money.accounting import CostTracker
from nexus_core.money.report import CostReport
from nexus_core.near_names import shortlist
from nexus_core.observe.bus import EventBus
from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.event_log import EventLog
from nexus_core.observe.events import ConfigReloaded
from nexus_core.observe.log_ring import LogRing
from nexus_core.observe.requests import RecentRequests
from nexus_core.observe.stats import Stats
from nexus_core.providers.base import prepared
from nexus_core.proxy.capture import Captures
from nexus_core.proxy.forward import Forwarder
from nexus_core.proxy.queue import WaitingRoom
from nexus_core.proxy.reply import ProxyRequest, Reply
from nexus_core.routing.explain import (
    Chosen,
    Explanation,
    Question,
    TranslationReport,
    explain,
)
from nexus_core.routing.known_names import KnownNames
from nexus_core.routing.refusal import asked_name, is_unknown
from nexus_core.routing.requirements import read_requirements
from nexus_core.routing.router import RouteDecision, foresee
from nexus_core.routing.scoring import Strategy
from nexus_core.routing.what_if import with_usable
from nexus_core.types import BackendType, CooldownEnd, ProbeResult, QueueState
from nexus_core.upstream import create_engine
from nexus_core.upstream.base import UpstreamEngine

log = logging.getLogger(__name__)


MAX_OWN_REQUESTS = 16  # of the operator, under way at once


class TooManyOwnRequestsError(NexusError):
    """Nobody waits at the other end of an operator's request, so their number is bounded."""

    status = 503
    code = "too_many_requests"


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
        is_demo: bool = False,
        logs: LogRing | None = None,
    ) -> None:
        """
        Args:
            is_read_only: nothing is written to the ledger; for one that serves nobody.
            logs: where the log lines of this process are kept; None: nowhere.
        """
        self.config = config  # what is in force; found backends are in the registry only
        self.is_demo = is_demo
        self.started_at = now()  # seconds since the epoch
        self.stats = Stats()
        self.recent = RecentRequests()
        self.event_log = EventLog()
        self.logs = LogRing() if logs is None else logs
        self.bus = EventBus(self.stats.apply, self.recent.apply, self.event_log.add)
        self.registry = Registry(config.backends, self.bus, now, clock)
        self.now = now
        # Chooses among backends, and hides nothing: no secret depends on it.
        self.strategy = Strategy(config.routing, Random())  # noqa: S311
        self.engine = engine or create_engine(config.server.upstream)
        self.discovery: Discovery | None = None  # set before `running`: it looks for servers
        self.fleet = Fleet(config, self.engine, self.registry)
        self.health = self.fleet.health
        self.cost_tracker = CostTracker(config, now, is_read_only=is_read_only)
        self.queue = WaitingRoom(config.queue, self.registry) if config.queue.enabled else None
        self.forwarder = Forwarder(
            self.fleet.agents,
            self.registry,
            self.bus,
            config.server,
            config.routing,
            self.strategy,
            self.queue,
            self.cost_tracker,
            now=now,
            models_known=self.health.first_round,
            doubt=self.health.doubt,
        )
        self.captures = Captures()
        self._tasks: asyncio.TaskGroup | None = None
        self._own: dict[str, int] = {}  # requests of the operator under way, and their bytes
        self.operator = Operator(
            self.registry,
            self.forwarder,
            self.health,
            self.captures,
            self.bus,
            now=now,
            config=lambda: self.config,
            send=self._begin,
        )

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Accounting, checks, discovery and replays run inside the block, and end with it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                watching = [
                    tasks.create_task(self._open_cost_tracker(), name="accounting"),
                    tasks.create_task(self.health.run(), name="health-checks"),
                ]
                if self.discovery is not None:
                    watching.append(tasks.create_task(self.discovery.run(), name="discovery"))
                self._tasks = tasks
                try:
                    yield
                finally:
                    self._tasks = None
                    for task in watching:
                        task.cancel()
                    self.forwarder.end_all()
        finally:
            try:
                await self.engine.close()
            finally:
                await self.cost_tracker.close()

    async def _open_cost_tracker(self) -> None:
        await self.cost_tracker.open()
        await self.cost_tracker.load(self._types())

    def _load_cost_tracker(self) -> None:
        """What backends that came later need."""
        if self._tasks is not None:
            self._tasks.create_task(self.cost_tracker.load(self._types()), name="accounting")

    def _types(self) -> set[BackendType]:
        return {backend.type for backend in self.registry.snapshots()}

    def add_backend(self, backend: BackendConfig, found: ProbeResult | None = None) -> None:
        """Take in a backend until restart; requests may go to it once this returns.

        Args:
            found: what a look at it has just shown; its models can be asked for at once.

        Raises:
            ValueError: there is one of that name.
        """
        self.fleet.add(backend, found)
        self._load_cost_tracker()

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
            self.clear_cooldowns()
            self.fleet.apply(plan.config, self.config, plan.fleet)
            self.config = plan.config
            self.strategy.routing = plan.config.routing
            self.forwarder.configure(plan.config.server, plan.config.routing)
            self.cost_tracker.configure(plan.config)
        self.bus.publish(ConfigReloaded(at=self.now(), lines=plan.lines))
        self._load_cost_tracker()
        log.info("config reloaded from %s", config.path)
        return plan

    def clear_cooldowns(self) -> int:
        """End the cooldowns of all backends, as a reload does; how many there were."""
        return self.registry.cooldowns.clear_all(CooldownEnd.RELOADED)

    @property
    def queued(self) -> int:
        """How many requests wait for a slot."""
        return 0 if self.queue is None else len(self.queue)

    async def explain(self, question: Question, request: Request | None = None) -> Explanation:
        """Where such a request would go now, and why; nothing is sent and nothing counted.

        Args:
            request: to be translated for whoever is chosen.
        """
        # As the forwarder does: what is spent counts.
        await self.cost_tracker.ready(wants_prices=False)
        decision = self._foresee(question)
        if not decision.order and not all(drop.backend.models_known for drop in decision.dropped):
            await self.health.first_round()  # as the forwarder does
            decision = self._foresee(question)
        near: Sequence[str] = ()
        if is_unknown(decision):
            near = await shortlist(asked_name(decision), KnownNames(decision.context))
        explanation = explain(decision, near)
        chosen = explanation.chosen
        if chosen is None:
            return explanation
        backend = self.registry.snapshot(chosen.backend)
        cost = await self.cost_tracker.expected_cost(backend, chosen.model, question.demand)
        if cost is not None:
            explanation = replace(
                explanation, chosen=replace(chosen, estimated_usd=float(cost.usd))
            )
        if request is None:
            return explanation
        translation = await self._translation(request, chosen)
        return replace(explanation, translation=translation)

    def _foresee(self, question: Question) -> RouteDecision:
        need = read_requirements(
            question.model, question.hints, self.config.routing, question.demand
        )
        context = self.forwarder.contexts.build(question.client)
        return foresee(need, with_usable(context, question.usable))

    async def _translation(self, request: Request, chosen: Chosen) -> TranslationReport | None:
        try:
            agent = self.fleet.agents[chosen.backend]
            call = await prepared(agent, request, chosen.model)
        except UnsupportedFieldsError as error:
            return TranslationReport(unsupported=error.fields)
        made = call.translation
        if made is None:
            return None
        return TranslationReport(made.dropped, made.ignored, made.changed)

    async def execute(self, command: Command) -> Outcome:
        """Carry out an operator's command; the screen and the control API have no other way.

        Raises:
            NexusError: it can't be done; nothing was changed.
        """
        return await self.operator.execute(command)

    async def cost_report(self) -> CostReport | None:
        """What today and this month have cost; None where no ledger is kept.

        Raises:
            LedgerUnreadableError: there is one, and it can't be read.
        """
        return await self.cost_tracker.cost_report()

    @property
    def is_capturing(self) -> bool:
        """Whether bodies are kept."""
        return self.captures.is_on

    def captured(self, request_id: str) -> CapturedExchange | None:
        """A request and its answer; None where their bodies are not kept."""
        return self.captures.get(request_id)

    @property
    def queue_state(self) -> QueueState | None:
        """How many requests wait, and how many may; None where none may."""
        if self.queue is None:
            return None
        return QueueState(waiting=len(self.queue), max_size=self.config.queue.max_size)

    def _begin(self, request: ProxyRequest, reply: Reply) -> None:
        """Carry a request of the operator's own beside those of clients, and keep its answer.

        Raises:
            NexusError: nobody would look after it, or too much of the kind is under way: there is
                no connection of whose client that could be said.
        """
        if self._tasks is None:
            raise NexusError("Nexus is not running")
        size = len(request.envelope.body)
        waiting = sum(self._own.values())
        is_full = waiting and waiting + size > self.config.server.max_body_bytes
        if len(self._own) >= MAX_OWN_REQUESTS or is_full:
            raise TooManyOwnRequestsError(
                f"{len(self._own)} requests from the dashboard or the control API are in progress; "
                "retry when some of them have finished"
            )
        self._own[request.envelope.id] = size
        kept = self.captures.record(request, reply)
        self._tasks.create_task(
            self._forward(request, kept), name=f"operator-{request.envelope.id}"
        )

    async def _forward(self, request: ProxyRequest, reply: Reply) -> None:
        try:
            await self.forwarder.forward(request, reply)
        except Exception:
            log.exception("failed request=%s", request.envelope.id)  # told by its events, too
        finally:
            del self._own[request.envelope.id]
