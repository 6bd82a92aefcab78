"""Right after a start nothing is known of what was spent: it is told as unknown, never as 0."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nexus_core.config.schema import BudgetConfig, StorageConfig
from nexus_core.money.ledger import Ledger
from nexus_tui.sources.remote import RemoteSource
from tests.money.ledger_rows import row
from tests.scenarios.money import PRICING, costs, settled
from tests.scenarios.nexus import EPOCH, WITHIN_SECONDS, Clock, Nexus, cloud, running, upstreams
from tests.waiting import until

SPENT = 1_500_000_000  # nano-dollars, before this process began
MONEY = ("cost_usd", "cost_estimated_usd", "saved_usd")


class SlowOpening(Clock):
    """The thread that opens the ledger asks for the time, and gets it when a test allows it."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go_on = threading.Event()
        self._loop_thread = threading.get_ident()

    def wall(self) -> float:
        if threading.get_ident() != self._loop_thread:
            self.may_go_on.wait(WITHIN_SECONDS)
        return super().wall()


@asynccontextmanager
async def restarted(folder: Path, url: str, **sections: Any) -> AsyncIterator[Nexus]:
    """A gateway with spending in its ledger, which is not read until the clock allows it."""
    path = folder / "nexus.db"
    before = Ledger(path)
    before.open()
    before.append(row(at=EPOCH + 10, cost_nano_usd=SPENT))
    before.close()
    clock = SlowOpening()
    storage = StorageConfig(path=str(path))
    served = cloud("a", url)
    async with running(served, clock=clock, pricing=PRICING, storage=storage, **sections) as nexus:
        try:
            yield nexus
        finally:
            clock.may_go_on.set()


async def go_on(nexus: Nexus) -> None:
    assert isinstance(nexus.clock, SlowOpening)
    nexus.clock.may_go_on.set()
    await nexus.gateway.cost_tracker.ready(wants_prices=True)


async def told(nexus: Nexus, path: str) -> Any:
    return (await nexus.http.get(path)).json()


async def test_no_money_is_told_before_the_ledger_was_read(tmp_path: Path) -> None:
    async with upstreams(costs()) as (up,), restarted(tmp_path, up.url) as nexus:
        stats, state = await told(nexus, "/v1/stats"), await told(nexus, "/nexus/state")
        report = await told(nexus, "/nexus/costs")
        metrics = (await nexus.http.get("/metrics")).text
        await go_on(nexus)
        later = await told(nexus, "/v1/stats")
        later_report = await told(nexus, "/nexus/costs")
        later_metrics = (await nexus.http.get("/metrics")).text

    for numbers in (stats, state["stats"]):
        assert [numbers[name] for name in MONEY] == [None] * 3
        assert [numbers["backends"]["a"][name] for name in MONEY[:2]] == [None] * 2
        assert (numbers["budget"]["spent_usd"], numbers["budget"]["status"]) == (None, None)
        assert numbers["ledger"]["is_read"] is False
        assert numbers["first_byte_ms"]["p50"] is None
    assert report == {"costs": None, "is_reading": True}
    assert "nexus_cost_" not in metrics
    assert [later[name] for name in MONEY] == [0] * 3  # since the start, and known
    assert (later["budget"]["spent_usd"], later["budget"]["status"]) == (1.5, "normal")
    assert later["ledger"]["is_read"] is True
    assert "is_reading" not in later_report
    assert later_report["costs"]["month"] == "1.5"
    assert 'nexus_cost_usd_total{backend="a"} 0.0' in later_metrics


async def test_a_dashboard_elsewhere_waits_for_it(tmp_path: Path) -> None:
    async with (
        upstreams(costs()) as (up,),
        restarted(tmp_path, up.url) as nexus,
        RemoteSource(str(nexus.http.base_url)) as source,
    ):
        await source.connect()
        async with asyncio.TaskGroup() as tasks:
            link = tasks.create_task(source.run())
            await until(lambda: source.status == "live")
            await source.refresh_costs()
            awaited = (source.costs, source.costs_problem)
            await go_on(nexus)
            await source.refresh_costs()
            link.cancel()

    assert awaited == (None, None)
    assert source.costs is not None
    assert f"{source.costs.month:f}" == "1.5"


async def test_a_request_and_an_explanation_wait_for_what_was_spent(tmp_path: Path) -> None:
    limit = BudgetConfig(monthly_limit_usd=1.0)
    async with upstreams(costs()) as (up,), restarted(tmp_path, up.url, budget=limit) as nexus:
        asking = nexus.start()
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        explaining = nexus.tasks.create_task(nexus.http.post("/nexus/explain", json=body))
        stats = await told(nexus, "/v1/stats")
        await go_on(nexus)
        answer, explained = await asking, await explaining
        await settled(nexus)

    assert stats["in_flight"] <= 1
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "budget_exceeded")
    assert explained.json()["chosen"] is None
    assert up.received == []


async def test_what_can_not_be_read_stays_unknown(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    path.write_bytes(b"no ledger at all" * 100)
    async with (
        upstreams(costs()) as (up,),
        running(
            cloud("a", up.url), pricing=PRICING, storage=StorageConfig(path=str(path))
        ) as nexus,
    ):
        await nexus.gateway.cost_tracker.ready(wants_prices=True)
        await nexus.ask()
        await settled(nexus)
        stats = await told(nexus, "/v1/stats")

    assert (stats["budget"]["spent_usd"], stats["budget"]["status"]) == (None, None)
    assert stats["cost_usd"] == 0.05
    assert stats["ledger"]["problem"]


async def test_without_a_ledger_the_month_begins_with_the_process() -> None:
    async with upstreams(costs()) as (up,), running(cloud("a", up.url)) as nexus:
        stats = await told(nexus, "/v1/stats")

    assert (stats["budget"]["spent_usd"], stats["cost_usd"]) == (0, 0)
