"""Backends for tests of pure parts: one snapshot with sensible values, changed by keyword."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from types import MappingProxyType
from typing import Any

from hypothesis import strategies as st

from nexus_core.config.schema import Config, RoutingConfig, StorageConfig
from nexus_core.dialects.request import Demand
from nexus_core.fleet.circuit import Cooldown
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.money.accounting import CostTracker
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import RouteDecision, route
from nexus_core.routing.scoring import Strategy
from nexus_core.routing.stages import Moment
from nexus_core.types import BackendType, Capability, HealthStatus, ModelDetails, PrivacyZone

MODEL = "llama3:70b"


def no_ledger(**sections: Any) -> CostTracker:
    """A cost tracker that keeps nothing on disk and stands still at time zero."""
    config = Config(storage=StorageConfig(path=":memory:"), **sections)
    return CostTracker(config, lambda: 0.0)


def decide(
    need: Requirements,
    *fleet: BackendSnapshot,
    strategy: str = "priority_only",
    at: float = 0.0,
    tried: dict[str, str] | None = None,
) -> RouteDecision:
    """A decision with what it depends on beside the fleet filled in."""
    routing = RoutingConfig.model_validate({"strategy": strategy})
    return route(need, fleet, Strategy(routing, Random(0)), Moment(at, tried or {}))


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
    """Up to six backends in any state."""
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True))
    return tuple(
        snapshot(
            name,
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
