import asyncio

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, HealthCheckConfig
from nexus_core.fleet.health import HealthChecks
from nexus_core.fleet.registry import Registry
from nexus_core.observe.bus import EventBus, Subscription
from nexus_core.observe.events import BackendProbed
from nexus_core.types import HealthCause, HealthStatus, PrivacyZone, ProbeResult
from tests.proxy.test_forward import ScriptedAgent
from tests.waiting import settled

UP = ProbeResult(elapsed_ms=1, models=("m",))
DOWN = ProbeResult(elapsed_ms=1, cause=HealthCause.UNREACHABLE, detail="refused")


class ProbedAgent(ScriptedAgent):
    def __init__(self, name: str, *results: ProbeResult) -> None:
        super().__init__(name)
        self.results = list(results)

    async def ask_apis(self) -> tuple[str, ...] | None:
        return None

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


class DoubtedAgent(ProbedAgent):
    """Answers when it may, and counts how often it was asked."""

    def __init__(self, name: str, *results: ProbeResult) -> None:
        super().__init__(name, *results)
        self.may_answer = asyncio.Event()
        self.asked = 0
        self.was_asked = asyncio.Event()

    async def ask_apis(self) -> tuple[str, ...] | None:
        return None

    async def probe(self, *, timeout_seconds: float) -> ProbeResult:
        self.asked += 1
        self.was_asked.set()
        await self.may_answer.wait()
        return await super().probe(timeout_seconds=timeout_seconds)


REFUSED = ProbeResult(elapsed_ms=1, cause=HealthCause.AUTH, detail="403: check A_KEY")


@pytest.mark.parametrize(
    ("found", "expected"),
    [(UP, HealthStatus.HEALTHY), (REFUSED, HealthStatus.UNHEALTHY)],
    ids=["it was about the prompt", "it was the key"],
)
async def test_a_403_has_the_backend_asked_once_at_a_time_and_only_a_refused_probe_counts(
    found: ProbeResult, expected: HealthStatus
) -> None:
    agent = DoubtedAgent("a", UP, found)
    health, registry, _ = checks(HealthCheckConfig(enabled=False), agent)

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(health.run())
        agent.may_answer.set()
        await health.first_round()
        agent.may_answer.clear()
        agent.was_asked.clear()
        for _ in range(5):
            health.doubt("a")
        await agent.was_asked.wait()
        health.doubt("a")
        agent.may_answer.set()
        await settled()
        running.cancel()

    assert agent.asked == 2
    assert registry.snapshot("a").health is expected


async def test_a_403_while_nothing_is_probed_or_of_a_backend_that_is_gone_does_no_harm() -> None:
    agent = DoubtedAgent("a", UP)
    health, registry, _ = checks(HealthCheckConfig(enabled=False), agent)
    health.doubt("a")  # health checks do not run yet

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(health.run())
        agent.may_answer.set()
        await health.first_round()
        registry.remove("a")
        health.doubt("a")
        await settled()
        running.cancel()

    assert agent.asked == 1


@pytest.mark.parametrize(("found", "is_left_alone"), [(UP, False), (DOWN, True)])
async def test_what_another_replica_cannot_reach_is_asked_once_and_counts_as_it_is_found_here(
    found: ProbeResult, is_left_alone: bool
) -> None:
    agent = DoubtedAgent("a", UP, found)
    health, registry, _ = checks(HealthCheckConfig(enabled=False), agent)
    health.confirm("a")  # health checks do not run yet

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(health.run())
        agent.may_answer.set()
        await health.first_round()
        for _ in range(3):
            health.confirm("a")
        health.confirm("gone")
        await settled()
        has_cooldown = registry.snapshot("a").cooldown is not None
        registry.set_enabled("a", False)
        health.confirm("a")
        await settled()
        running.cancel()

    assert (agent.asked, has_cooldown) == (2, is_left_alone)
