"""Health checks: probe each backend, apply thresholds, update the registry."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping

from nexus_core.config.schema import HealthCheckConfig
from nexus_core.fleet.bad_news import BadNews
from nexus_core.fleet.registry import Registry
from nexus_core.providers import InferenceAgent
from nexus_core.types import HealthCause, HealthStatus, ProbeResult

log = logging.getLogger(__name__)

_AFTER_SHORTAGE_SECONDS = 1.0  # a probe that could not be made is made up for so soon


class HealthChecks:
    """Probe all backends at an interval. A probe lists models and never costs money."""

    def __init__(
        self,
        agents: Mapping[str, InferenceAgent],
        registry: Registry,
        config: HealthCheckConfig,
    ) -> None:
        self._config = config
        self._agents = agents  # changes with the backends
        self._registry = registry
        self._bad_news = BadNews(time.monotonic)
        self._unasked = set(agents)
        self._all_asked = asyncio.Event()
        self._looks: asyncio.TaskGroup | None = None  # while it runs
        self._doubted: set[str] = set()  # being asked because of what a request was answered

    async def run(self) -> None:
        """Probe until cancelled; each backend once only when health checks are off.

        That once is to learn the models.
        """
        try:
            async with asyncio.TaskGroup() as self._looks:
                await self._probe_all()
                self._tell_if_all_were_asked()
                while True:
                    await asyncio.sleep(self._config.interval_seconds)
                    if self._config.enabled:
                        await self._probe_all()
        finally:
            self._looks = None

    def configure(self, config: HealthCheckConfig) -> None:
        """Go by this from the next probe on."""
        self._config = config

    async def first_round(self) -> None:
        """Return once every backend was asked for the first time."""
        await self._all_asked.wait()

    def probe_place(self, name: str) -> None:
        """A backend is new or another one now: ask it without waiting for the interval."""
        self._unasked.add(name)
        self._all_asked.clear()
        if self._looks is not None:
            self._looks.create_task(self._look(name), name=f"probe-{name}")

    def doubt(self, name: str) -> None:
        """A request's 403 may mean the key or only that request: ask, once at a time."""
        if self._looks is not None and name not in self._doubted:
            self._doubted.add(name)
            self._looks.create_task(self._settle_doubt(name), name=f"probe-{name}")

    def confirm(self, name: str) -> None:
        """Another process can't reach a backend: ask it, and leave it alone if that is so here.

        Nothing is asked of one that may not be used, or that is left alone already.
        """
        if self._looks is None or name in self._doubted or name not in self._registry.names:
            return
        backend = self._registry.snapshot(name)
        if backend.is_usable(self._registry.clock()) and backend.cooldown is None:
            self._doubted.add(name)
            self._looks.create_task(self._settle_hint(name), name=f"probe-{name}")

    async def _settle_doubt(self, name: str) -> None:
        try:
            await self._look(name)
        finally:
            self._doubted.discard(name)

    async def _settle_hint(self, name: str) -> None:
        try:
            result = await self._check(name)
        finally:
            self._doubted.discard(name)
        if result.cause is HealthCause.UNREACHABLE and not result.is_inconclusive:
            self._registry.cooldowns.unreachable(name, result.detail or "it can't be reached")

    def forget(self, name: str) -> None:
        """A backend is gone, or known already."""
        self._unasked.discard(name)
        self._tell_if_all_were_asked()

    async def probe(self, name: str) -> ProbeResult:
        """Ask one backend now.

        Raises:
            KeyError: there is no backend of that name.
        """
        result = await self._check(name)
        await self._ask_apis(name, result)
        return result

    async def _ask_apis(self, name: str, result: ProbeResult) -> None:
        """Find out what a healthy backend speaks itself. Nobody waits for that."""
        agent = self._agents.get(name)
        if not result.ok or agent is None:
            return
        apis = await agent.ask_apis()
        if apis is not None and self._is_still(name, agent):
            self._registry.record_apis(name, apis)

    def _is_still(self, name: str, agent: InferenceAgent) -> bool:
        """Neither removed nor changed meanwhile."""
        return self._agents.get(name) is agent and name in self._registry.names

    async def _check(self, name: str) -> ProbeResult:
        before = self._registry.snapshot(name).health
        agent = self._agents[name]
        result = await agent.probe(timeout_seconds=self._config.timeout_seconds)
        if not self._is_still(name, agent):
            return result  # removed or changed meanwhile: this says nothing of what is there now
        self.take_in(name, result)
        after = self._registry.snapshot(name)
        if after.health is not before:
            is_bad = after.health is HealthStatus.UNHEALTHY
            level = self._bad_news.level(name) if is_bad else logging.INFO
            told = (name, after.health, after.detail or "-")
            log.log(level, "health backend=%s now=%s detail=%s", *told)
        return result

    def take_in(self, name: str, result: ProbeResult) -> None:
        """Tell the registry what a probe found; one that could not be made found nothing."""
        self._unasked.discard(name)
        if result.is_inconclusive:
            return
        self._registry.record_probe(
            name,
            result,
            failure_threshold=self._config.failure_threshold,
            recovery_threshold=self._config.recovery_threshold,
        )

    async def _probe_all(self) -> None:
        async with asyncio.TaskGroup() as probes:
            for name in self._registry.names:
                probes.create_task(self._look(name), name=f"probe-{name}")

    async def _look(self, name: str) -> None:
        """Probe a backend, and again until it could be asked; nobody else waits for that."""
        while name in self._registry.names:
            result = await self._check(name)
            self._tell_if_all_were_asked()
            if not result.is_inconclusive:
                await self._ask_apis(name, result)
                return
            await asyncio.sleep(_AFTER_SHORTAGE_SECONDS)
        self._tell_if_all_were_asked()

    def _tell_if_all_were_asked(self) -> None:
        if self._looks is not None and not self._unasked:
            self._all_asked.set()
