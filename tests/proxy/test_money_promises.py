"""Whatever happens to requests, the budget's sums are the ledger's."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BudgetConfig, PriceConfig
from nexus_core.money.accounting import CostTracker
from nexus_core.money.ledger import Ledger
from nexus_core.money.ledger_schema import COLUMNS, LedgerRow, ledger_row
from nexus_core.money.prices import Prices
from nexus_core.observe.record import RequestRecord
from tests.examples import promised
from tests.made_up_backends import no_ledger
from tests.proxy.world import STEPS, TURNS, WORLDS, Step, World, make

PRICES = Prices({})  # loaded once, for all worlds
PRICE = PriceConfig(input_per_1k=1.0, output_per_1k=2.0)
PRICING = {"openai": {"big": PRICE, "m": PRICE}}  # "small" and "n" have none
BUDGETS = st.builds(
    lambda limit, own, action, unpriced: BudgetConfig.model_validate(
        {
            "monthly_limit_usd": limit,
            "keys": {"laptop": {"monthly_limit_usd": own}},
            "hard_limit_action": action,
            "unpriced": unpriced,
        }
    ),
    st.sampled_from((None, 0.6, 3.0)),
    st.sampled_from((0.5, 2.0)),
    st.sampled_from(("warn", "block_cloud", "block_all")),
    st.sampled_from(("allow", "block")),
)


class Rows(Ledger):
    """Keeps what it is told in a list."""

    def __init__(self) -> None:
        super().__init__(None)
        self.rows: list[LedgerRow] = []

    def append(self, row: LedgerRow | RequestRecord) -> None:
        self.rows.append(row if isinstance(row, tuple) else ledger_row(row))


def books_with(budget: BudgetConfig) -> CostTracker:
    """A cost tracker that knows every price already, and keeps the ledger in memory."""
    PRICES.load()
    cost_tracker = no_ledger(budget=budget)
    cost_tracker.prices, cost_tracker.ledger = PRICES.configured(PRICING), Rows()
    return cost_tracker


@promised(suppress_health_check=[HealthCheck.too_slow])
@given(
    parts=WORLDS,
    budget=BUDGETS,
    kinds=st.lists(st.sampled_from((BackendType.OPENAI, BackendType.VLLM)), min_size=1),
    steps=st.lists(st.tuples(STEPS, TURNS), min_size=10, max_size=30),
)
def test_reservations_and_settlements_are_the_ledgers_whatever_happens(
    parts: tuple[Any, ...],
    budget: BudgetConfig,
    kinds: list[BackendType],
    steps: list[tuple[Step, int | None]],
) -> None:
    async def run() -> None:
        cost_tracker = books_with(budget)
        world = make(parts, cost_tracker=cost_tracker, kinds=tuple(kinds))
        for step, turns in steps:
            await world.play(step, turns)
            check_books(world)
        await world.end()

        check_books(world)
        assert cost_tracker.budget.reserved_nano_usd == 0
        assert isinstance(cost_tracker.ledger, Rows)
        assert len(cost_tracker.ledger.rows) == len(world.begun)

    asyncio.run(run())


def check_books(world: World) -> None:
    cost_tracker = world.cost_tracker
    assert isinstance(cost_tracker.ledger, Rows)
    spent: Counter[str | None] = Counter()
    for row in cost_tracker.ledger.rows:
        told: dict[str, Any] = dict(zip(COLUMNS, row, strict=True))
        spent[told["client"]] += told["cost_nano_usd"] or 0
    budget = cost_tracker.budget
    assert budget.spent_nano_usd == spent.total()
    assert budget._clients["laptop"].spent == spent["laptop"]
    assert budget.reserved_nano_usd == sum(budget._reserved.values())
    assert min(budget._reserved.values(), default=0) >= 0
    in_flight = sum(b.in_flight for b in world.registry.snapshots() if b.type.is_cloud)
    assert len(budget._reserved) <= in_flight
