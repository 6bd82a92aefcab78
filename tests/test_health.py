import asyncio

import pytest

from nexus_core.config import BackendConfig, HealthCheckConfig
from nexus_core.events import BackendProbed, EventBus, Subscription
from nexus_core.health import HealthChecks
from nexus_core.registry import ProbeResult, Registry
from nexus_core.types import BackendType, HealthCause, HealthStatus, PrivacyZone
from tests.proxy.test_forward import ScriptedAgent

UP = ProbeResult(elapsed_ms=1, models=("m",))
DOWN = ProbeResult(elapsed_ms=1, cause=HealthCause.UNREACHABLE, detail="refused")


class ProbedAgent(ScriptedAgent):
    def __init__(self, name: str, *results: ProbeResult) -> None:
        super().__init__(name)
        self.results = list(results)

    async def probe(self, *, timeout_seconds: float) -> ProbeResult:
        return self.results.pop(0) if len(self.results) > 1 else self.results[0]


def checks(
    config: HealthCheckConfig, *agents: ProbedAgent
) -> tuple[HealthChecks, Registry, Subscription]:
    bus = EventBus()
    backends = [
        BackendConfig(
            name=agent.name,
            url="http://127.0.0.1:1",
            type=BackendType.VLLM,
            zone=PrivacyZone.RESTRICTED,
        )
        for agent in agents
    ]
    registry = Registry(backends, bus, lambda: 0.0)
    watched = bus.subscribe()
    return (
        HealthChecks({agent.name: agent for agent in agents}, registry, config),
        registry,
        watched,
    )


async def test_every_backend_is_asked_again_and_again() -> None:
    config = HealthCheckConfig(interval_seconds=0.001, failure_threshold=2)
    health, registry, watched = checks(config, ProbedAgent("a", UP, DOWN), ProbedAgent("b", UP))
    probes = 0

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(health.run())
        await health.first_round()
        while probes < 8:
            await watched.wait()
            probes += sum(isinstance(event, BackendProbed) for event in watched.drain())
        running.cancel()

    assert registry.snapshot("a").health is HealthStatus.UNHEALTHY
    assert registry.snapshot("b").health is HealthStatus.HEALTHY


async def test_when_switched_off_the_models_are_still_learned_once() -> None:
    health, registry, _ = checks(HealthCheckConfig(enabled=False), ProbedAgent("a", UP))

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(health.run())
        await health.first_round()
        running.cancel()

    assert list(registry.snapshot("a").models) == ["m"]


async def test_an_unknown_backend_is_a_key_error() -> None:
    health, _, _ = checks(HealthCheckConfig(), ProbedAgent("a", UP))

    with pytest.raises(KeyError):
        await health.probe("b")
