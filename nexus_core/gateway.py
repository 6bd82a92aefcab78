"""Put the parts together from a Config; start and stop them; the operator's commands."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from random import Random

from nexus_core.agents import create_agent
from nexus_core.capture import Captures
from nexus_core.commands import CapturedExchange, Command, Outcome
from nexus_core.config import Config
from nexus_core.errors import NexusError
from nexus_core.event_log import EventLog
from nexus_core.events import EventBus
from nexus_core.explain import Explanation, Question, Situation, explain
from nexus_core.health import HealthChecks
from nexus_core.operator import Operator
from nexus_core.proxy.forward import Forwarder
from nexus_core.proxy.queue import WaitingRoom
from nexus_core.proxy.reply import ProxyRequest, Reply
from nexus_core.recent import RecentRequests
from nexus_core.registry import Registry
from nexus_core.routing.requirements import read_requirements
from nexus_core.routing.strategies import Strategy
from nexus_core.stats import Stats
from nexus_core.types import QueueState
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
        is_demo: bool = False,
    ) -> None:
        self.config = config
        self.is_demo = is_demo
        self.started_at = now()  # seconds since the epoch
        self.stats = Stats()
        self.recent = RecentRequests()
        self.event_log = EventLog()
        self.bus = EventBus(self.stats.apply, self.recent.apply, self.event_log.add)
        self.registry = Registry(config.backends, self.bus, now)
        self.now = now
        # Chooses among backends, and hides nothing: no secret depends on it.
        self.strategy = Strategy(config.routing, Random())  # noqa: S311
        self._engine = engine or create_engine(config.server.upstream)
        agents = {
            backend.name: create_agent(
                backend,
                self._engine,
                connect_timeout_seconds=config.server.connect_timeout_seconds,
            )
            for backend in config.backends
        }
        self.queue = WaitingRoom(config.queue, self.registry) if config.queue.enabled else None
        self.health = HealthChecks(agents, self.registry, config.health_check)
        self.forwarder = Forwarder(
            agents,
            self.registry,
            self.bus,
            config.server,
            config.routing,
            self.strategy,
            self.queue,
            now=now,
            models_known=self.health.first_round,
        )
        self.captures = Captures()
        self._tasks: asyncio.TaskGroup | None = None
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
    async def running(self) -> AsyncIterator[None]:
        """Health checks and replays run inside the block; connections are closed after it."""
        try:
            async with asyncio.TaskGroup() as tasks:
                checks = tasks.create_task(self.health.run(), name="health-checks")
                self._tasks = tasks
                try:
                    yield
                finally:
                    self._tasks = None
                    checks.cancel()
                    self.forwarder.end_all()
        finally:
            await self._engine.close()

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
        return explain(decision, situation)

    def _situation(self, usable: Collection[str]) -> Situation:
        queued = 0 if self.queue is None else len(self.queue)
        has_room = self.queue is not None and queued < self.config.queue.max_size
        return Situation(
            fleet=self.registry.snapshots(),
            strategy=self.strategy,
            at=self.registry.clock(),
            queued=queued,
            wait_seconds=self.config.queue.max_wait_seconds if has_room else None,
        ).with_usable(usable)

    async def execute(self, command: Command) -> Outcome:
        """Carry out an operator's command; the screen and the control API have no other way.

        Raises:
            NexusError: it can't be done; nothing was changed.
        """
        return await self.operator.execute(command)

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
        """Carry a request of the operator's own beside those of clients.

        Raises:
            NexusError: nobody would look after it.
        """
        if self._tasks is None:
            raise NexusError("Nexus is not running")
        self._tasks.create_task(self._forward(request, reply), name=f"replay-{request.id}")

    async def _forward(self, request: ProxyRequest, reply: Reply) -> None:
        try:
            await self.forwarder.forward(request, reply)
        except Exception:
            log.exception("failed request=%s", request.id)  # told by its events, too
