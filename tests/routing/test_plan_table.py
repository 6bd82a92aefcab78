from __future__ import annotations

from random import Random

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, RoutingConfig
from nexus_core.dialects.request import Demand
from nexus_core.fleet.registry import Registry
from nexus_core.money.accounting import CostTracker
from nexus_core.observe.bus import EventBus
from nexus_core.routing.context import ContextBuilder
from nexus_core.routing.plan import Plan, PlannedDecision
from nexus_core.routing.plan_table import PlanTable
from nexus_core.routing.requirements import NO_HINTS, Requirements, read_requirements
from nexus_core.routing.scoring import Strategy
from nexus_core.routing.stages import Stage
from nexus_core.types import NANO, Capability, PrivacyZone, RouteReason
from tests.made_up_backends import no_ledger

BACKENDS = [
    BackendConfig(
        name=name,
        url=f"http://{name}.test",
        type=kind,
        zone=PrivacyZone.RESTRICTED,
        priority=priority,
        max_concurrent=1,
        models={"m": "up"},
    )
    for name, kind, priority in (
        ("local", BackendType.VLLM, 10),
        ("cloud", BackendType.OPENAI, 90),
    )
]
ROUTING = RoutingConfig()
NEED = read_requirements("m", NO_HINTS, ROUTING)


class Planned:
    """A table over two backends."""

    def __init__(self, tracker: CostTracker | None = None) -> None:
        self.registry = Registry(BACKENDS, EventBus(), lambda: 0.0, lambda: 7.0)
        self.strategy = Strategy(ROUTING, Random(0))
        contexts = ContextBuilder(self.registry, self.strategy, tracker or no_ledger(), None)
        self.table = PlanTable(contexts)

    def first(self, need: Requirements = NEED, client: str | None = None) -> str | None:
        decision = self.table.decide(need, Demand(), client)
        return None if decision.first is None else decision.first.backend.name


def test_a_change_of_the_fleet_is_seen_by_the_next_decision() -> None:
    planned = Planned()
    registry = planned.registry
    seen = [planned.first()]

    registry.set_enabled("cloud", False)
    seen.append(planned.first())
    registry.set_enabled("cloud", True)
    registry.set_rank("local", tier=None, priority=100)
    seen.append(planned.first())
    registry.cooldowns.unreachable("local", "refused")
    seen.append(planned.first())
    registry.remove("cloud")
    seen.append(planned.first())

    assert seen == ["cloud", "local", "local", "cloud", None]


def test_a_change_of_the_strategy_is_seen_by_the_next_decision() -> None:
    planned = Planned()
    planned.first()

    planned.strategy.configure(RoutingConfig(strategy="round_robin"))

    assert planned.first() == "local"


def test_requests_of_one_kind_share_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = Planned()
    made: list[Requirements] = []

    def noted(need: Requirements, *rest: object) -> Plan:
        made.append(need)
        return Plan(need, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr("nexus_core.routing.plan_table.Plan", noted)
    for tokens in range(3):
        planned.table.decide(NEED, Demand(prompt_tokens=tokens), None)
    planned.registry.acquire("cloud")
    planned.registry.record_success("cloud", 80.0)
    planned.table.decide(NEED, Demand(), None)

    assert len(made) == 1
    planned.table.decide(NEED, Demand(capabilities=frozenset({Capability.TOOLS})), None)
    assert len(made) == len(planned.table) == 2


def test_the_table_is_bounded() -> None:
    planned = Planned()

    for number in range(3000):
        planned.first(Requirements(f"model-{number}"))

    assert len(planned.table) <= 1024
    assert planned.first() == "cloud"


def test_a_slot_that_is_taken_is_seen_without_another_plan() -> None:
    planned = Planned()
    planned.first()

    planned.registry.acquire("cloud")
    decision = planned.table.decide(NEED, Demand(), None)

    assert isinstance(decision, PlannedDecision)
    assert decision.first is not None
    assert decision.first.backend.name == "local"
    assert decision.reason is RouteReason.CAPACITY_OVERFLOW


def test_where_nobody_can_serve_it_is_told_what_to_wait_for() -> None:
    planned = Planned()
    for name in ("local", "cloud"):
        planned.registry.acquire(name)

    decision = planned.table.decide(NEED, Demand(), None, {"local": "answered 500"})

    assert decision.first is None
    assert [drop.stage for drop in decision.dropped] == [Stage.TRIED, Stage.CAPACITY]
    assert [drop.backend.name for drop in decision.waits_for] == ["cloud"]


def test_the_budget_of_the_client_counts_at_each_decision() -> None:
    tracker = no_ledger(budget={"keys": {"laptop": {"monthly_limit_usd": 1.0}}})
    planned = Planned(tracker)
    before = planned.first(client="laptop")

    tracker.budget.settle(tracker.budget.reserve("laptop", 0, 0.0), 2 * NANO, 0.0)

    assert before == "cloud"
    assert planned.first(client="laptop") == "local"
    assert planned.first(client="phone") == "cloud"
