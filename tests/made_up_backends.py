"""Backends for tests of pure parts: one snapshot with sensible values, changed by keyword."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st

from nexus_core.catalog import BackendType
from nexus_core.config.schema import Config, RoutingConfig, StorageConfig
from nexus_core.dialects.request import Demand
from nexus_core.fleet.circuit import Cooldown
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.money.accounting import CostTracker, MoneyRule
from nexus_core.routing.context import RoutingContext
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import RouteDecision, route
from nexus_core.routing.scoring import Strategy
from nexus_core.types import Capability, HealthStatus, ModelDetails, PrivacyZone

MODEL = "llama3:70b"


def no_ledger(**sections: Any) -> CostTracker:
    """A cost tracker that keeps nothing on disk and stands still at time zero."""
    config = Config(storage=StorageConfig(path=":memory:"), **sections)
    return CostTracker(config, lambda: 0.0)


def context_of(
    *fleet: BackendSnapshot, strategy: str = "priority_only", **more: Any
) -> RoutingContext:
    """The context of these backends, with what is given besides."""
    routing = RoutingConfig.model_validate({"strategy": strategy})
    return RoutingContext(fleet, Strategy(routing, Random(0)), **more)


def contexts(fleet: tuple[BackendSnapshot, ...], strategy: Strategy) -> Any:
    """Any moment of these backends: some tried, some too dear, a queue or none."""
    names = st.sampled_from([backend.name for backend in fleet] or ["none"])

    def rule(dear: frozenset[str]) -> MoneyRule:
        return lambda backend, _: "the budget is spent" if backend.name in dear else None

    return st.builds(
        RoutingContext,
        fleet=st.just(fleet),
        strategy=st.just(strategy),
        at=st.floats(0, 20),
        tried=st.dictionaries(names, st.just("answered 500"), max_size=2),
        money=st.none() | st.frozensets(names).map(rule),
        prefers_local=st.booleans(),
        budget_resets_in_seconds=st.none() | st.integers(1, 3_000_000),
        queued=st.integers(0, 5),
        wait_seconds=st.none() | st.just(30.0),
    )


def decide(need: Requirements, *fleet: BackendSnapshot, **more: Any) -> RouteDecision:
    """A decision with what it depends on beside the fleet filled in."""
    return route(need, context_of(*fleet, **more))


def snapshot(name: str = "a", **changes: Any) -> BackendSnapshot:
    """A healthy restricted backend that serves MODEL, with what is given changed."""
    values: dict[str, Any] = {
        "name": name,
        "type": BackendType.VLLM,
        "zone": PrivacyZone.RESTRICTED,
        "tier": 3,
        "priority": 50,
        "max_concurrent": None,
        "url": "http://127.0.0.1:1",
        "models": MappingProxyType({MODEL: MODEL}),
        "health": HealthStatus.HEALTHY,
    }
    return BackendSnapshot(**{**values, **changes})


def cooldown(
    until: float,
    why: str = "answered 429",
    *,
    is_circuit_open: bool = False,
    is_tried: bool = False,
) -> Cooldown:
    """One that a half-open circuit alone may be tried in."""
    return Cooldown(
        until=until,
        why=why,
        is_circuit_open=is_circuit_open,
        is_tried=is_circuit_open and is_tried,
    )


def serving(fleet: Iterable[BackendSnapshot], model: str = MODEL) -> list[BackendSnapshot]:
    """Those of the fleet that serve the model."""
    return [backend for backend in fleet if model in backend.models]


DETAILS = st.builds(
    ModelDetails,
    is_loaded=st.none() | st.booleans(),
    context_tokens=st.none() | st.sampled_from((10, 10_000)),
    lacks=st.frozensets(st.sampled_from((Capability.VISION, Capability.TOOLS))),
)
DEMANDS = st.builds(
    Demand,
    capabilities=st.frozensets(st.sampled_from((Capability.VISION, Capability.TOOLS))),
    prompt_tokens=st.sampled_from((0, 100)),
    prefixes=st.sampled_from(((), (1,), (1, 2))),
)

COOLDOWNS = st.builds(
    cooldown,
    st.floats(0, 20),
    is_circuit_open=st.booleans(),
    is_tried=st.booleans(),
)


@st.composite
def fleets(draw: st.DrawFn) -> tuple[BackendSnapshot, ...]:
    """Up to six backends of any type in any state."""
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True))
    return tuple(
        snapshot(
            name,
            type=draw(st.sampled_from(BackendType)),
            zone=draw(st.sampled_from(PrivacyZone)),
            tier=draw(st.none() | st.integers(0, 4)),
            priority=draw(st.integers(0, 3)),
            enabled=draw(st.booleans()),
            zone_enabled=draw(st.booleans()),
            health=draw(st.sampled_from(HealthStatus)),
            max_concurrent=draw(st.none() | st.integers(1, 2)),
            in_flight=draw(st.integers(0, 2)),
            cooldown=draw(st.none() | COOLDOWNS),
            cooldowns=draw(st.dictionaries(st.sampled_from(("up", "other")), COOLDOWNS)),
            models=MappingProxyType(draw(st.sampled_from(({MODEL: "up"}, {})))),
            models_known=draw(st.booleans()),
            details=draw(st.dictionaries(st.just("up"), DETAILS)),
        )
        for name in names
    )
