"""The books of a running Nexus go on through a reload."""

from __future__ import annotations

import asyncio
import logging

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BudgetConfig, Config, PriceConfig, StorageConfig
from nexus_core.types import NANO, BudgetStatus
from tests.made_up_backends import no_ledger, snapshot
from tests.waiting import settled

CLOUD = snapshot("cloud", type=BackendType.OPENAI)
PRICING = {"openai": {"m": PriceConfig(input_per_1k=1.0, output_per_1k=2.0)}}


def config(**sections: object) -> Config:
    return Config.model_validate({"storage": StorageConfig(path=":memory:"), **sections})


def test_a_reload_brings_limits_and_prices_and_forgets_no_spending() -> None:
    cost_tracker = no_ledger(pricing=PRICING)
    cost_tracker.budget.settle(cost_tracker.budget.reserve(None, NANO, 0.0), 2 * NANO, 0.0)

    cost_tracker.configure(config(budget=BudgetConfig(monthly_limit_usd=2.0)))

    assert not cost_tracker.is_priced(CLOUD, "m")
    assert cost_tracker.budget.spent_nano_usd == 2 * NANO
    assert cost_tracker.budget.status(None, 0.0) is BudgetStatus.HARD_LIMIT
    assert cost_tracker.rule(None) is not None


def test_what_is_under_way_at_a_reload_is_settled_under_the_new_limits() -> None:
    cost_tracker = no_ledger()
    reservation = cost_tracker.budget.reserve("laptop", NANO, 0.0)
    limits = {"keys": {"laptop": {"monthly_limit_usd": 1.0}}}

    cost_tracker.configure(config(budget=BudgetConfig.model_validate(limits)))
    before = cost_tracker.budget.status("laptop", 0.0)
    cost_tracker.budget.settle(reservation, NANO // 2, 0.0)

    assert before is BudgetStatus.HARD_LIMIT
    assert cost_tracker.budget.status("laptop", 0.0) is BudgetStatus.NORMAL
    assert cost_tracker.budget.spent_nano_usd == NANO // 2


def test_a_limit_that_holds_nobody_is_told_after_a_reload(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    limits = {"keys": {"latpop": {"monthly_limit_usd": 1.0}}}

    no_ledger().configure(config(budget=BudgetConfig.model_validate(limits)))

    assert ["[budget.keys.latpop]" in record.getMessage() for record in caplog.records] == [True]


async def test_a_reload_while_the_price_list_loads_does_not_lose_it() -> None:
    cost_tracker = no_ledger()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(cost_tracker.load_prices())
        await settled()
        cost_tracker.configure(config(pricing=PRICING))

    assert cost_tracker.prices.is_loaded
    assert cost_tracker.is_priced(CLOUD, "m")
