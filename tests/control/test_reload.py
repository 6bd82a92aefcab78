from __future__ import annotations

from collections.abc import Sequence
from random import Random

from msgspec.structs import replace

from nexus_core.catalog import BackendType
from nexus_core.config.outbound_proxy import read_proxy_url
from nexus_core.config.schema import (
    BackendConfig,
    Config,
    PolicyConfig,
    RoutingConfig,
    StorageConfig,
)
from nexus_core.control.reload import ReloadPlan, plan_reload
from nexus_core.fleet.snapshot import BackendSnapshot, first_snapshot
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.scoring import Ranked, Strategy
from nexus_core.types import HealthStatus, PrivacyZone


def backend(name: str = "a", **changes: object) -> BackendConfig:
    values: dict[str, object] = {
        "name": name,
        "url": f"http://{name}:1",
        "type": BackendType.VLLM,
        "zone": PrivacyZone.RESTRICTED,
        "models": {"m": "m"},
    }
    return BackendConfig.model_validate(values | changes)


def config(*backends: BackendConfig, **routing: object) -> Config:
    return Config(backends=backends, routing=RoutingConfig.model_validate(routing))


def plan(old: Config, new: Config, *found: BackendSnapshot) -> ReloadPlan:
    fleet = (*(first_snapshot(b) for b in old.backends), *found)
    return plan_reload(old, new, fleet, Strategy(old.routing, Random(0)), 0.0)


def routes(planned: ReloadPlan) -> list[tuple[str, bool, str, str]]:
    return [(r.model, r.is_restricted, r.before, r.after) for r in planned.routes]


def test_the_same_configuration_changes_nothing() -> None:
    planned = plan(config(backend()), config(backend()))

    assert planned.is_empty
    assert planned.lines == ("nothing changes",)


def test_backends_come_go_and_change() -> None:
    old = config(backend("a"), backend("b"))
    new = config(backend("b", priority=9, tier=2), backend("c", models=None))

    planned = plan(old, new)

    assert (planned.added, planned.removed, planned.unknown) == (("c",), ("a",), ("c",))
    assert [(c.name, c.keys) for c in planned.changed] == [("b", ("tier", "priority"))]
    assert planned.lines == (
        'backend "c": added',
        'backend "a": removed; running requests finish',
        'backend "b": tier, priority changed',
        "m: a → b",
        'backend "c": models are known after its first probe',
    )


def test_a_changed_key_is_told_without_its_value() -> None:
    planned = plan(config(backend(api_key="sk-old")), config(backend(api_key="sk-new")))

    assert planned.lines == ('backend "a": key changed',)
    assert "sk-" not in repr(planned)


def test_another_proxy_is_another_way_to_the_same_server() -> None:
    def through(proxy: str) -> Config:
        return config(backend(proxy=proxy, via=read_proxy_url(proxy)))

    old, new = through("http://proxy:1"), through("http://proxy:2")
    known = replace(first_snapshot(old.backends[0]), health=HealthStatus.HEALTHY)
    planned = plan_reload(old, new, (known,), Strategy(old.routing, Random(0)), 0.0)

    assert planned.lines == ('backend "a": proxy changed',)
    assert planned.fleet[0].health is HealthStatus.UNKNOWN


def test_another_proxy_of_the_environment_is_told_as_one() -> None:
    old = config(backend(via=read_proxy_url("http://me:old@proxy:1")))

    planned = plan(old, config(backend(via=read_proxy_url("http://me:new@proxy:1"))))

    assert planned.lines == ('backend "a": proxy changed',)
    assert "new" not in repr(planned.changed)


def test_a_glob_changes_the_routes_of_the_models_it_matches() -> None:
    fleet = backend("a", models={"m": "m", "other": "other"}), backend("b", models={"n": "n"})

    planned = plan(config(*fleet), config(*fleet, aliases={"m*": "n"}))

    assert [(one.model, one.before, one.after) for one in planned.routes] == [
        ("m", "a", "b"),
        ("m*", "no backend", "b"),
    ]


def test_an_alias_that_points_elsewhere_is_a_route_that_changes() -> None:
    fleet = backend("a"), backend("b", models={"n": "n"})

    planned = plan(config(*fleet, aliases={"x": "m"}), config(*fleet, aliases={"x": "n"}))

    assert routes(planned) == [("x", False, "a", "b")]
    assert planned.live == ("routing",)


def test_a_backend_that_moves_to_the_open_zone_is_lost_to_restricted_requests_only() -> None:
    planned = plan(config(backend()), config(backend(zone=PrivacyZone.OPEN)))

    assert routes(planned) == [("m", True, "a", "no backend")]
    assert "m (restricted requests): a → no backend" in planned.lines


def test_a_new_policy_changes_the_route_of_what_it_matches() -> None:
    fleet = backend("cloud", zone=PrivacyZone.OPEN, priority=90), backend("a")
    policy = PolicyConfig(model_pattern="m", privacy=PrivacyZone.RESTRICTED)

    planned = plan(config(*fleet), config(*fleet, policies=(policy,)))

    assert routes(planned) == [("m", False, "cloud", "a")]


def test_a_random_order_is_not_compared() -> None:
    fleet = backend("a"), backend("b")

    planned = plan(config(*fleet), config(*fleet, strategy="random"))

    assert planned.routes == ()
    assert any("is random" in line for line in planned.lines)


def test_many_routes_are_told_as_a_number() -> None:
    many = {f"m{number}": "x" for number in range(30)}

    planned = plan(config(backend("a", models=many)), config(backend("b", models=many)))

    assert len(planned.routes) == 30
    assert planned.lines[-1] == "and 10 more models with another route"


def test_sections_that_wait_for_a_restart_stay_as_they_are() -> None:
    old = config(backend())
    new = old.model_copy(
        update={
            "storage": StorageConfig(path="x.db"),
            "server": old.server.model_copy(update={"upstream": "httpx"}),
        }
    )

    planned = plan(old, new)

    assert planned.restart == ("server.upstream", "storage")
    assert (planned.live, planned.config) == ((), old)


def test_a_found_backend_stays_unless_the_file_names_its_place() -> None:
    found = first_snapshot(backend("ollama", url="http://127.0.0.1:11434"))
    other = first_snapshot(backend("vllm", url="http://127.0.0.1:8001"))

    planned = plan(config(), config(backend("mine", url="http://localhost:11434")), found, other)

    assert (planned.added, planned.removed) == (("mine",), ("ollama",))


class Counting(Strategy):
    """Counts the decisions that are made with it, or with a copy of it."""

    def __init__(self, routing: RoutingConfig) -> None:
        super().__init__(routing, Random(0))
        self.ranked: list[str] = []

    def rank(self, fleet: Sequence[BackendSnapshot], need: Requirements) -> list[Ranked]:
        self.ranked.append(need.model)
        return super().rank(fleet, need)


def test_thousands_of_models_that_go_the_same_way_are_decided_once() -> None:
    many = {f"model-{number}": f"model-{number}" for number in range(3000)}
    routing = {"aliases": {"short": "model-1"}, "fallbacks": {"model-2": ("only-a",)}}
    policy = PolicyConfig(model_pattern="model-3", min_tier=1)
    first, second = backend("a", models={**many, "only-a": "only-a"}), backend("b", models=many)
    old = config(first, second, **routing)
    new = config(first, backend("b", models=many, priority=90), **routing, policies=(policy,))
    fleet = tuple(first_snapshot(b) for b in old.backends)
    strategy = Counting(old.routing)

    planned = plan_reload(old, new, fleet, strategy, 0.0)

    expected = dict.fromkeys((*many, "short"), ("a", "b")) | {"model-3": ("a", "no backend")}
    assert {r.model: (r.before, r.after) for r in planned.routes} == expected
    assert len(strategy.ranked) < 60
