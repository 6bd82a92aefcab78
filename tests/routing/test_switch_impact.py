from __future__ import annotations

from types import MappingProxyType

from nexus_core.catalog import BackendType
from nexus_core.config.schema import RoutingConfig
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.switch_impact import Hit, hits, is_last_of_zone, lost
from nexus_core.types import HealthStatus, PrivacyZone


def make(name: str, *models: str, enabled: bool = True, is_well: bool = True) -> BackendSnapshot:
    return BackendSnapshot(
        name=name,
        type=BackendType.VLLM,
        zone=PrivacyZone.RESTRICTED,
        tier=None,
        priority=50,
        max_concurrent=None,
        url="http://127.0.0.1:1",
        models=MappingProxyType({model: model for model in models}),
        enabled=enabled,
        health=HealthStatus.HEALTHY if is_well else HealthStatus.UNHEALTHY,
    )


def usable(*fleet: BackendSnapshot) -> list[BackendSnapshot]:
    return [backend for backend in fleet if backend.is_usable(at=0.0)]


PLAIN = RoutingConfig()


def test_a_model_that_nobody_else_serves_is_lost() -> None:
    fleet = [make("a", "x", "y"), make("b", "y")]

    assert hits(["a"], fleet, PLAIN) == [Hit("x", None), Hit("y", "b")]
    assert lost(["a"], fleet, PLAIN) == ["x"]


def test_one_that_is_off_or_ill_does_not_take_over() -> None:
    fleet = (make("a", "x"), make("b", "x", enabled=False), make("c", "x", is_well=False))

    assert lost(["a"], usable(*fleet), PLAIN) == ["x"]


def test_what_is_off_already_costs_nothing() -> None:
    assert hits(["a"], usable(make("a", "x", enabled=False)), PLAIN) == []


def test_a_glob_is_told_with_the_model_it_leads_to() -> None:
    fleet, aliased = [make("a", "x")], RoutingConfig(aliases={"claude-*": "x"})

    assert hits(["a"], fleet, aliased) == [Hit("claude-*", None), Hit("x", None)]


def test_aliases_and_fallbacks_are_followed() -> None:
    routing = RoutingConfig(
        aliases={"gpt-4": "x", "old": "gone"}, fallbacks={"x": ("other", "y"), "z": ("w",)}
    )
    fleet = [make("a", "x"), make("b", "y")]

    assert hits(["a"], fleet, routing) == [
        Hit("gpt-4", "b", "fallback y"),
        Hit("x", "b", "fallback y"),
    ]


def test_the_last_usable_of_a_zone_is_known() -> None:
    fleet = usable(make("a", "x"), make("b", "x", is_well=False))

    assert is_last_of_zone("a", fleet, PrivacyZone.RESTRICTED)
    assert not is_last_of_zone("b", fleet, PrivacyZone.RESTRICTED)
    assert not is_last_of_zone("a", fleet, PrivacyZone.OPEN)
