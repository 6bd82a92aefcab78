"""How long a routing decision over 50 backends takes, per strategy, against sorting them.

The reference in the same run is what a decision cannot do without: sorting the 50 snapshots by a
key. Wanted: a decision below 100 microseconds. Two lines show what comes on top: a fallback model,
which half of the backends serve, and what the decision tells events and the screen (`considered`).
Run: python benchmarks/routing.py
"""

from __future__ import annotations

import timeit
from dataclasses import replace
from random import Random
from types import MappingProxyType

from nexus_core.catalog import BackendType
from nexus_core.config.schema import RoutingConfig
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import route
from nexus_core.routing.scoring import Strategy
from nexus_core.types import HealthStatus, PrivacyZone

FLEET = 50
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
    for name, taken in measured.items():
        print(f"{name:15} {taken:7.1f} us   {taken / reference:5.1f} x the reference")


if __name__ == "__main__":
    main()
