"""Ask each backend how it is and which models it serves; thresholds decide; tell the registry."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from nexus_core.agents import InferenceAgent
from nexus_core.config import HealthCheckConfig
from nexus_core.registry import ProbeResult, Registry

log = logging.getLogger(__name__)


class HealthChecks:
    """Probe every backend at an interval. A probe lists models and never costs money."""

    def __init__(
        self,
        agents: Mapping[str, InferenceAgent],
        registry: Registry,
        config: HealthCheckConfig,
    ) -> None:
        self._agents = agents
        self._registry = registry
        self._config = config
        self._first_round = asyncio.Event()

    async def run(self) -> None:
        """Probe until cancelled; once only when health checks are off, to learn the models."""
        await self._probe_all()
        self._first_round.set()
        while self._config.enabled:
            await asyncio.sleep(self._config.interval_seconds)
            await self._probe_all()

    async def first_round(self) -> None:
        """Return once every backend was asked for the first time."""
        await self._first_round.wait()

    async def probe(self, name: str) -> ProbeResult:
        """Ask one backend now.

        Raises:
            KeyError: there is no backend of that name.
        """
        before = self._registry.snapshot(name).health
        result = await self._agents[name].probe(timeout_seconds=self._config.timeout_seconds)
        self._registry.record_probe(
            name,
            result,
            failure_threshold=self._config.failure_threshold,
            recovery_threshold=self._config.recovery_threshold,
        )
        after = self._registry.snapshot(name)
        if after.health is not before:
            log.info("health backend=%s now=%s detail=%s", name, after.health, after.detail or "-")
        return result

    async def _probe_all(self) -> None:
        async with asyncio.TaskGroup() as probes:
            for name in self._agents:
                probes.create_task(self.probe(name), name=f"probe-{name}")
