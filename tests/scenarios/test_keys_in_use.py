"""Who uses which key: those of the environment and created ones, now and the last time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nexus_core.config.schema import BudgetConfig, KeyBudgetConfig, StorageConfig
from nexus_core.config.sections.limits import KeyLimitsConfig, LimitsConfig
from tests.scenarios.client_keys import ADMIN, MODELS, bearer, create, served
from tests.scenarios.nexus import Gate, Nexus
from tests.waiting import until

_OPS = bearer("the-ops-key")


async def _listed(nexus: Nexus) -> dict[str, Any]:
    answer = await nexus.http.get("/nexus/keys", headers=ADMIN)
    assert answer.status_code == 200
    told: dict[str, Any] = answer.json()
    return told


async def test_keys_of_the_environment_are_listed_with_what_is_done_with_them() -> None:
    gate = Gate()
    budget = BudgetConfig(keys={"ops": KeyBudgetConfig(monthly_limit_usd=5.0)})
    async with served(script=gate, budget=budget) as (nexus, _):
        await create(nexus)
        before = (await _listed(nexus))["environment"]
        waiting = nexus.start(MODELS[0], headers=_OPS)
        await until(lambda: nexus.gateway.forwarder.in_flight == 1)
        under_way = (await _listed(nexus))["environment"]
        gate.open()
        await waiting
        after = (await _listed(nexus))["environment"]
        nexus.clock.seconds += 61
        later = (await _listed(nexus))["environment"]

    assert [one["name"] for one in before] == ["ops"]
    assert before[0]["budget_usd"] == 5.0
    assert before[0]["used"]["last_used"] is None
    counts = ("under_way", "requests_this_minute")
    assert [under_way[0]["used"][name] for name in counts] == [1, 1]
    assert [after[0]["used"][name] for name in counts] == [0, 1]
    assert after[0]["used"]["tokens_this_minute"] > 0
    assert [later[0]["used"][name] for name in counts] == [0, 0]
    assert later[0]["used"]["last_used"] == after[0]["used"]["last_used"] is not None


async def test_the_last_use_outlives_a_restart(tmp_path: Path) -> None:
    storage = StorageConfig(path=str(tmp_path / "nexus.db"))
    async with served(storage=storage) as (nexus, _):
        secret = await create(nexus)
        await nexus.ask(MODELS[0], headers=bearer(secret))
        await nexus.ask(MODELS[0], headers=_OPS)
        told = await _listed(nexus)
    async with served(storage=storage) as (nexus, _):
        await until(lambda: nexus.gateway.cost_tracker.is_month_known)
        again = await _listed(nexus)

    for kind in ("keys", "environment"):
        last = told[kind][0]["used"]["last_used"]
        assert last is not None
        assert again[kind][0]["used"]["last_used"] == last


async def test_limits_of_the_configuration_are_told_for_both_kinds_of_keys() -> None:
    limits = LimitsConfig(requests_per_minute=10, keys={"ops": KeyLimitsConfig(max_concurrent=2)})
    async with served(limits=limits) as (nexus, _):
        await create(nexus, rpm=60)
        await nexus.ask(MODELS[0], headers=_OPS)
        told = await _listed(nexus)

    ops, laptop = told["environment"][0]["used"], told["keys"][0]["used"]
    assert (ops["rpm_limit"], ops["rpm_used"], ops["parallel_limit"]) == (10, 1, 2)
    assert ops["last_used"] is not None
    assert (laptop["rpm_limit"], told["keys"][0]["rpm"]) == (10, 60)
