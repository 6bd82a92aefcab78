"""How long a routing decision over 50 backends takes, per strategy, against sorting them.

The reference in the same run is what a decision cannot do without: sorting the 50 snapshots by a
key. Wanted: a decision below 100 microseconds. Two lines show what comes on top: a fallback model,
which half of the backends serve, and what the decision tells events and the screen (`considered`).
The last lines are what a request takes: a decision by a plan, as one, three or fifty backends serve
its model, and taking and giving back its slot. Wanted: below 5 for one, 10 for three.
Run: python benchmarks/routing.py
"""

from __future__ import annotations

import time
import timeit
from functools import partial
from random import Random
from types import MappingProxyType

from msgspec.structs import replace

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config, RoutingConfig, StorageConfig
from nexus_core.dialects.request import Demand
from nexus_core.fleet.registry import BackendSnapshot, Registry
from nexus_core.money.accounting import CostTracker
from nexus_core.observe.bus import EventBus
from nexus_core.routing.context import ContextBuilder, RoutingContext
from nexus_core.routing.plan_table import PlanTable
from nexus_core.routing.requirements import NO_HINTS, Requirements, read_requirements
from nexus_core.routing.router import route
from nexus_core.routing.scoring import Strategy
from nexus_core.types import HealthStatus, PrivacyZone

FLEET = 50
ROUTING = RoutingConfig()
NUMBER = 2000


def fleet() -> tuple[BackendSnapshot, ...]:
    """Half of them serve the model; a few of those are full, off or unhealthy."""
    return tuple(
        BackendSnapshot(
            name=f"backend-{number}",
            type=BackendType.OPENAI if number % 5 == 0 else BackendType.VLLM,
            zone=PrivacyZone.OPEN if number % 5 == 0 else PrivacyZone.RESTRICTED,
            tier=number % 5,
            priority=number,
            max_concurrent=4,
            url="http://127.0.0.1:1",
            models=MappingProxyType({"m": "m"} if number % 2 else {"other": "other"}),
            enabled=number % 7 != 0,
            health=HealthStatus.UNHEALTHY if number % 11 == 0 else HealthStatus.HEALTHY,
            in_flight=number % 5,
            latency_ms=float(number * 10),
        )
        for number in range(FLEET)
    )


def planned(serving: int) -> tuple[Registry, PlanTable]:
    """The plans over so many backends, all of which serve the model."""
    configs = [
        BackendConfig(
            name=f"backend-{number}",
            url="http://127.0.0.1:1",
            type=BackendType.VLLM,
            zone=PrivacyZone.RESTRICTED,
            max_concurrent=4,
            models={"m": "m"},
        )
        for number in range(serving)
    ]
    registry = Registry(configs, EventBus(), time.time)
    tracker = CostTracker(Config(storage=StorageConfig(path=":memory:")), time.time)
    strategy = Strategy(ROUTING, Random(0))
    return registry, PlanTable(ContextBuilder(registry, strategy, tracker, None))


def use_slot(registry: Registry) -> None:
    registry.acquire("backend-0")
    registry.record_success("backend-0", 80.0)
    registry.release("backend-0")


def microseconds(statement: object) -> float:
    assert callable(statement)
    return min(timeit.repeat(statement, number=NUMBER, repeat=5)) / NUMBER * 1e6


def main() -> None:
    backends = fleet()
    need = Requirements("m", ("m",), min_tier=1)
    reference = microseconds(lambda: sorted(backends, key=lambda b: (-b.priority, b.in_flight)))
    print(f"{'reference':15} {reference:7.1f} us   sorting {FLEET} snapshots")
    contexts = {
        name: RoutingContext(
            backends, Strategy(RoutingConfig.model_validate({"strategy": name}), Random(0))
        )
        for name in ("smart", "round_robin", "priority_only", "random")
    }
    smart = contexts["smart"]
    both = replace(need, fallbacks=(Requirements("other", ("other",), min_tier=1),))
    measured = {
        name: microseconds(lambda c=context: route(need, c)) for name, context in contexts.items()
    }
    measured["smart, 2 models"] = microseconds(lambda: route(both, smart))
    measured["smart, told"] = microseconds(lambda: route(need, smart).considered)
    for serving in (1, 3, FLEET):
        registry, table = planned(serving)
        asked = read_requirements("m", NO_HINTS, ROUTING)
        measured[f"plan, {serving}"] = microseconds(partial(table.decide, asked, Demand(), None))
        measured["slot"] = microseconds(partial(use_slot, registry))
    for name, taken in measured.items():
        print(f"{name:15} {taken:7.1f} us   {taken / reference:5.1f} x the reference")


if __name__ == "__main__":
    main()
