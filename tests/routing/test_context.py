"""The routing context: built in one place, of a running Nexus as it is at one moment."""

from __future__ import annotations

import ast
from pathlib import Path
from random import Random
from typing import Any

import pytest

import nexus_core
from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, RoutingConfig
from nexus_core.fleet.registry import Registry
from nexus_core.money.accounting import CostTracker
from nexus_core.observe.bus import EventBus
from nexus_core.routing.context import NOBODY_TRIED, ContextBuilder, RoutingContext
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.router import route
from nexus_core.routing.scoring import Strategy
from nexus_core.types import NANO, PrivacyZone, RouteReason
from tests.made_up_backends import no_ledger

BACKENDS = [
    BackendConfig(
        name=name,
        url=f"http://{name}.test",
        type=kind,
        zone=PrivacyZone.RESTRICTED,
        priority=priority,
        models={"m": "up"},
    )
    for name, kind, priority in (
        ("local", BackendType.VLLM, 10),
        ("cloud", BackendType.OPENAI, 90),
    )
]
LIMITS = {"budget": {"keys": {"laptop": {"monthly_limit_usd": 1.0}}, "monthly_limit_usd": 10.0}}
MONTH_SECONDS = 31 * 86_400  # of January 1970, where the clock stands at its beginning


class Line:
    """A queue that so many wait in."""

    def __init__(self, waiting: int, wait_seconds: float | None) -> None:
        self._waiting = waiting
        self.wait_seconds = wait_seconds

    def __len__(self) -> int:
        return self._waiting


def builder(cost_tracker: CostTracker | None = None, line: Line | None = None) -> ContextBuilder:
    registry = Registry(BACKENDS, EventBus(), lambda: 0.0, lambda: 7.0)
    strategy = Strategy(RoutingConfig(), Random(0))
    return ContextBuilder(registry, strategy, cost_tracker or no_ledger(), line)


def spent(client: str, usd: float) -> CostTracker:
    tracker = no_ledger(**LIMITS)
    tracker.budget.settle(tracker.budget.reserve(client, 0, 0.0), int(usd * NANO), 0.0)
    return tracker


def test_it_holds_what_is_known_at_the_moment() -> None:
    parts = builder(no_ledger(**LIMITS), Line(3, 30.0))
    failed = {"local": "answered 500"}

    context = parts.build(None, failed)

    assert context == RoutingContext(
        fleet=parts.registry.snapshots(),
        strategy=parts.strategy,
        at=7.0,
        tried=failed,
        money=None,
        prefers_local=False,
        budget_resets_in_seconds=MONTH_SECONDS,
        queued=3,
        wait_seconds=30.0,
    )


def test_it_copies_nothing() -> None:
    parts = builder()
    failed = {"local": "answered 500"}

    context = parts.build(None, failed)

    assert context.fleet is parts.registry.snapshots()
    assert context.strategy is parts.strategy
    assert context.tried is failed
    assert parts.build(None).tried is NOBODY_TRIED


def test_where_nothing_is_limited_there_is_no_month_to_wait_for() -> None:
    context = builder().build(None)

    assert (context.money, context.budget_resets_in_seconds) == (None, None)


def test_without_a_queue_nobody_waits() -> None:
    context = builder().build(None)

    assert (context.queued, context.wait_seconds) == (0, None)


def test_the_registry_goes_on_and_a_context_does_not() -> None:
    parts = builder()
    context = parts.build(None)

    parts.registry.set_enabled("cloud", False)

    assert [backend.enabled for backend in context.fleet] == [True, True]
    assert [backend.enabled for backend in parts.build(None).fleet] == [True, False]


@pytest.mark.parametrize(
    ("client", "usd", "chosen", "objects"),
    [
        ("laptop", 0.0, "cloud", False),
        ("laptop", 0.8, "local", False),  # the soft limit: local ones first
        ("laptop", 1.5, "local", True),
        ("phone", 1.5, "cloud", False),  # no limit of its own, and much is left of all's
        ("phone", 10.5, "local", True),
    ],
)
def test_the_budget_of_the_client_and_of_all_counts(
    client: str, usd: float, chosen: str, objects: bool
) -> None:
    parts = builder(spent(client, usd))

    context = parts.build(client)

    decision = route(Requirements("m"), context)
    assert decision.order[0].backend.name == chosen
    assert (context.money is not None) is objects
    assert decision.context is context


def test_the_budget_is_asked_once_for_a_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = spent("laptop", 1.5)
    asked: list[str | None] = []
    verdict = tracker.verdict

    def counted(client: str | None) -> Any:
        asked.append(client)
        return verdict(client)

    monkeypatch.setattr(tracker, "verdict", counted)

    route(Requirements("m"), builder(tracker).build("laptop"))

    assert asked == ["laptop"]


def test_who_failed_before_is_tried_no_more() -> None:
    decision = route(Requirements("m"), builder().build(None, {"cloud": "answered 500"}))

    assert [choice.backend.name for choice in decision.order] == ["local"]
    assert decision.reason is RouteReason.BACKEND_FAILOVER


def test_only_one_function_builds_the_context_of_a_running_nexus() -> None:
    core = Path(nexus_core.__file__).parent

    makers = {
        path.relative_to(core).as_posix()
        for path in core.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == RoutingContext.__name__
    }

    # A reload compares two imagined fleets, neither of which serves anybody; a plan that is asked
    # later puts a moment that is over together again.
    assert makers == {"routing/context.py", "control/reload.py", "routing/plan.py"}
