"""A month's limits: what they keep from whom, told how, and that nothing slips past them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from nexus_core.config.schema import AuthConfig, BudgetConfig, ClientKey, QueueConfig, RoutingConfig
from nexus_core.money.months import Month
from nexus_core.observe.events import BudgetStatusChanged
from nexus_core.types import NANO, BudgetStatus
from tests.contract.bodies import chat
from tests.contract.scripted_upstream import Exchange, streams
from tests.scenarios.money import DONE, PRICE, SPOKEN, costs, ledger, priced, settled
from tests.scenarios.nexus import (
    CHAT,
    Gate,
    Nexus,
    backend,
    cloud,
    error_of,
    running,
    told,
    upstreams,
)

STATUS = "x-nexus-budget-status"
ONE_DOLLAR = costs(0, 500)
AS_EXPECTED = costs(9, 256)  # what is reserved for a first request: 0.521 $
IN_ORDER = RoutingConfig(strategy="priority_only")


def limit(usd: float | None, **more: Any) -> BudgetConfig:
    return BudgetConfig.model_validate({"monthly_limit_usd": usd, **more})


def changes(nexus: Nexus) -> list[tuple[str | None, BudgetStatus, BudgetStatus]]:
    return [
        (event.client, event.before, event.after)
        for event in nexus.events()
        if isinstance(event, BudgetStatusChanged)
    ]


async def test_from_the_soft_limit_on_local_is_preferred(tmp_path: Path) -> None:
    async with (
        upstreams(ONE_DOLLAR, costs()) as (dear, free),
        priced(
            cloud("dear", dear.url, priority=90),
            backend("free", free.url, priority=10),
            folder=tmp_path,
            routing=IN_ORDER,
            budget=limit(2.0, soft_limit_percent=50),
        ) as nexus,
    ):
        before = await nexus.ask()
        await settled(nexus)
        after = await nexus.ask()
        pinned = await nexus.ask(headers={"X-Nexus-Backend": "dear"})

    assert (told(before)[1], before.headers.get(STATUS)) == ("dear", None)
    assert (told(after)[1], after.headers.get(STATUS)) == ("free", "soft_limit")
    assert told(pinned)[1] == "dear"  # preferred is all that it is
    assert changes(nexus)[0] == (None, BudgetStatus.NORMAL, BudgetStatus.SOFT_LIMIT)


@pytest.mark.parametrize(
    ("action", "cloud_status", "local_status"),
    [("warn", 200, 200), ("block_cloud", 503, 200), ("block_all", 503, 503)],
)
async def test_the_hard_limit_does_what_the_config_says(
    tmp_path: Path, action: str, cloud_status: int, local_status: int
) -> None:
    async with (
        upstreams(ONE_DOLLAR, costs()) as (dear, free),
        priced(
            cloud("dear", dear.url),
            backend("free", free.url, models=("mine",)),
            folder=tmp_path,
            budget=limit(1.0, hard_limit_action=action),
        ) as nexus,
    ):
        await nexus.ask()
        await settled(nexus)
        asked = [await nexus.ask(), await nexus.ask("mine")]
        pinned = await nexus.ask(headers={"X-Nexus-Backend": "dear"})

    assert [answer.status_code for answer in asked] == [cloud_status, local_status]
    assert pinned.status_code == cloud_status
    served = [answer for answer in asked if answer.status_code == 200]
    assert {answer.headers[STATUS] for answer in served} <= {"hard_limit"}
    assert (None, BudgetStatus.HARD_LIMIT) in [(who, now) for who, _, now in changes(nexus)]


async def test_a_spent_budget_is_a_503_that_says_when_it_starts_anew(tmp_path: Path) -> None:
    async with (
        upstreams(ONE_DOLLAR) as (dear,),
        priced(cloud("dear", dear.url), folder=tmp_path, budget=limit(1.0)) as nexus,
    ):
        await nexus.ask()
        await settled(nexus)
        answer = await nexus.ask()
        await settled(nexus, 2)
        at = nexus.clock.wall()

        nexus.clock.seconds += Month.of(at).end - at
        anew = await nexus.ask()

    error, seconds = error_of(answer), round(Month.of(at).end - at)
    assert answer.status_code == 503
    assert error["code"] == "budget_exceeded"
    assert error["context"]["eta_seconds"] == seconds
    assert answer.headers["retry-after"] == str(seconds)
    assert [b["name"] for b in error["context"]["available_backends"]] == ["dear"]
    assert anew.status_code == 200
    row = ledger(tmp_path)[1]
    assert (row["status"], row["cost_nano_usd"], row["attempts"]) == (503, None, 0)


async def test_a_client_has_a_limit_of_its_own(tmp_path: Path) -> None:
    keys = tuple(ClientKey(name=name, value=name.encode()) for name in ("laptop", "phone"))
    async with (
        upstreams(ONE_DOLLAR) as (dear,),
        priced(
            cloud("dear", dear.url),
            folder=tmp_path,
            auth=AuthConfig(api_keys=keys),
            budget=limit(10.0, keys={"laptop": {"monthly_limit_usd": 1.0}}),
        ) as nexus,
    ):
        asked = [await _ask_as(nexus, name) for name in ("laptop", "laptop", "phone")]
        await settled(nexus, 3)

    assert [answer.status_code for answer in asked] == [200, 503, 200]
    assert asked[2].headers.get(STATUS) is None
    assert [row["client"] for row in ledger(tmp_path)] == ["laptop", "laptop", "phone"]
    assert ("laptop", BudgetStatus.HARD_LIMIT) in [(who, now) for who, _, now in changes(nexus)]


async def test_what_has_no_price_may_be_shut_out(tmp_path: Path) -> None:
    async with (
        upstreams(costs(), costs()) as (dear, free),
        priced(
            cloud("dear", dear.url, models=("m", "mystery", "both")),
            backend("free", free.url, models=("both",), priority=1),
            folder=tmp_path,
            routing=IN_ORDER,
            budget=limit(10.0, unpriced="block"),
        ) as nexus,
    ):
        asked = [await nexus.ask(model) for model in ("m", "mystery", "both")]

    assert [told(answer)[:2] for answer in asked] == [(200, "dear"), (503, None), (200, "free")]
    assert error_of(asked[1])["code"] == "budget_exceeded"
    assert "no price is known for mystery" in error_of(asked[1])["message"]


async def test_a_limit_reached_by_what_runs_is_told_while_it_runs(tmp_path: Path) -> None:
    gate = Gate()
    async with (
        upstreams(gate) as (dear,),
        priced(cloud("dear", dear.url), folder=tmp_path, budget=limit(0.5)) as nexus,
    ):
        asked = nexus.start(stream=True)
        await dear.wait_for_requests(1)
        while_it_runs = changes(nexus)
        refused = await nexus.ask()
        gate.open()
        answer = await asked
        await settled(nexus, 2)

    assert while_it_runs == [(None, BudgetStatus.NORMAL, BudgetStatus.HARD_LIMIT)]
    assert refused.status_code == 503
    assert answer.headers[STATUS] == "hard_limit"
    assert changes(nexus)[1:] == [(None, BudgetStatus.HARD_LIMIT, BudgetStatus.NORMAL)]


# Many at once ------------------------------------------------------------------------------------


class Held:
    """Answers when it is opened, with what was expected."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        await self.opened.wait()
        await AS_EXPECTED(exchange)


async def test_many_at_once_overspend_by_one_estimate_at_most(tmp_path: Path) -> None:
    held = Held()
    async with (
        upstreams(held) as (dear,),
        priced(cloud("dear", dear.url), folder=tmp_path, budget=limit(2.0)) as nexus,
    ):
        asked = [nexus.start() for _ in range(40)]
        await settled(nexus, 36)  # those who are refused at once
        held.opened.set()
        statuses = [answer.status_code for answer in await asyncio.gather(*asked)]
        await settled(nexus, 40)
        budget = nexus.gateway.cost_tracker.budget
        spoken_for = budget.spent_nano_usd, budget.reserved_nano_usd

    assert (statuses.count(200), statuses.count(503), len(dear.received)) == (4, 36, 4)
    assert spoken_for == (4 * 521_000_000, 0)
    assert sum(row["cost_nano_usd"] or 0 for row in ledger(tmp_path)) == 4 * 521_000_000


@pytest.mark.parametrize("slots", [1, 3])
async def test_those_who_wait_in_the_queue_overspend_no_more(tmp_path: Path, slots: int) -> None:
    async with (
        upstreams(AS_EXPECTED) as (dear,),
        priced(
            cloud("dear", dear.url, max_concurrent=slots),
            folder=tmp_path,
            budget=limit(2.0),
            queue=QueueConfig(enabled=True, max_size=100),
        ) as nexus,
    ):
        asked = [nexus.start() for _ in range(40)]
        answered = await asyncio.gather(*asked)
        await settled(nexus, 40)

    refused = [error_of(answer)["code"] for answer in answered if answer.status_code == 503]
    assert (len(dear.received), refused) == (4, ["budget_exceeded"] * 36)
    assert sum(row["cost_nano_usd"] or 0 for row in ledger(tmp_path)) == 4 * 521_000_000


async def test_a_failover_asks_the_budget_again(tmp_path: Path) -> None:
    """While the first backend takes its time to fail, another request spends what was left."""
    failing = Held()

    async def fail(exchange: Exchange) -> None:
        await failing.opened.wait()
        await streams([], is_whole=False)(exchange)

    async with (
        upstreams(fail, ONE_DOLLAR) as (slow, dear),
        priced(
            backend("slow", slow.url, priority=90),
            cloud("dear", dear.url, priority=10),
            folder=tmp_path,
            routing=IN_ORDER,
            budget=limit(1.0),
        ) as nexus,
    ):
        asked = nexus.start()
        await slow.wait_for_requests(1)
        await nexus.ask(headers={"X-Nexus-Backend": "dear"})
        await settled(nexus)
        failing.opened.set()
        answer = await asked

    assert (answer.status_code, len(dear.received)) == (502, 1)


# Over restarts and reloads -----------------------------------------------------------------------


async def test_a_restart_forgets_nothing(tmp_path: Path) -> None:
    stream = streams([*SPOKEN, DONE])
    async with upstreams(ONE_DOLLAR) as (dear,):
        served = cloud("dear", dear.url)
        async with priced(served, folder=tmp_path, budget=limit(2.0)) as first:
            await first.ask()
            await settled(first)
        async with priced(served, folder=tmp_path, budget=limit(2.0)) as second:
            dear.script = stream
            spent = second.gateway.cost_tracker.budget.spent_nano_usd
            told_before = await second.ask(stream=True)
        async with priced(served, folder=tmp_path, budget=limit(1.0)) as third:
            refused = await third.ask()

    assert spent == NANO
    assert told_before.headers["x-nexus-cost-estimated"] == "$1.009000"  # 500 tokens, as before
    assert refused.status_code == 503


async def test_a_reload_keeps_what_is_spent(tmp_path: Path) -> None:
    async with (
        upstreams(ONE_DOLLAR) as (dear,),
        priced(cloud("dear", dear.url), folder=tmp_path, budget=limit(5.0)) as nexus,
    ):
        gateway, seen = nexus.gateway, []
        seen.append((await nexus.ask()).status_code)
        for usd in (1.0, 2.5, None, 0.5):
            await settled(nexus, len(seen))
            gateway.live.reload(gateway.config.model_copy(update={"budget": limit(usd)}))
            seen.append((await nexus.ask()).status_code)
        spent = gateway.cost_tracker.budget.spent_nano_usd

    assert seen == [200, 503, 200, 200, 503]
    assert spent == 3 * NANO


async def test_a_reload_takes_new_prices(tmp_path: Path) -> None:
    async with (
        upstreams(ONE_DOLLAR) as (dear,),
        priced(cloud("dear", dear.url), folder=tmp_path) as nexus,
    ):
        twice = PRICE.model_copy(update={"output_per_1k": 4.0})
        config = nexus.gateway.config.model_copy(update={"pricing": {"openai": {"m": twice}}})
        nexus.gateway.live.reload(config)
        answer = await nexus.ask()

    assert answer.headers["x-nexus-cost-estimated"] == "$2.000000"


async def test_without_a_ledger_a_limit_holds_as_well() -> None:
    async with (
        upstreams(ONE_DOLLAR) as (dear,),
        running(
            cloud("dear", dear.url), pricing={"openai": {"m": PRICE}}, budget=limit(1.0)
        ) as nexus,
    ):
        seen = []
        for count in range(1, 3):
            seen.append((await nexus.ask()).status_code)
            await settled(nexus, count)

    assert seen == [200, 503]


async def _ask_as(nexus: Nexus, key: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    return await nexus.http.post(CHAT, json=chat("m"), headers=headers)
