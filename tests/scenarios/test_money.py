"""What an answer costs: in its header, its event, its row of the ledger and its line of the log."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import RoutingConfig
from nexus_core.money.prices import Prices, estimate_cost
from nexus_core.observe.events import TokenUsage
from nexus_core.types import NANO, PromptParts
from tests.contract.bodies import chat
from tests.contract.scripted_upstream import Script, answers, hang, streams
from tests.scenarios.money import (
    COST,
    DONE,
    ESTIMATE,
    PATTERN,
    PRICE,
    PRICING,
    PROMPT,
    SPOKEN,
    costs,
    ledger,
    priced,
    settled,
    usage,
    usage_chunk,
    vendor,
)
from tests.scenarios.nexus import CHAT, backend, cloud, in_turn, told, upstreams
from tests.waiting import pass_time, turns, until


async def test_a_whole_answer_tells_what_its_usage_costs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "nexus_core.proxy.progress")
    async with upstreams(costs(10, 20)) as (up,), priced(cloud("a", up.url), folder=tmp_path) as n:
        answer = await n.ask()
        await settled(n)

    assert answer.headers[COST] == "$0.050000"
    (finished,) = n.finished()
    assert finished.cost is not None
    assert (finished.cost.nano_usd, finished.cost.source) == (50_000_000, "config")
    (row,) = ledger(tmp_path)
    assert (row["cost_nano_usd"], row["price_source"]) == (50_000_000, "config")
    assert (row["prompt_tokens"], row["completion_tokens"]) == (10, 20)
    assert (row["counted"], row["is_partial"], row["is_unpriced"]) == ("reported", 0, 0)
    (line,) = caplog.records
    assert line.__dict__["fields"]["cost_usd"] == 0.05


async def test_cached_tokens_cost_what_cached_tokens_cost(tmp_path: Path) -> None:
    price = PRICE.model_copy(update={"cached_input_per_1k": 0.1})
    cached = costs(10, 0, usage=usage(10, 0, prompt_tokens_details={"cached_tokens": 8}))
    async with upstreams(cached) as (up,):
        pricing = {"openai": {"m": price}}
        async with priced(cloud("a", up.url), folder=tmp_path, pricing=pricing) as nexus:
            answer = await nexus.ask()

    assert answer.headers[COST] == "$0.002800"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, ESTIMATE),
        ({"max_tokens": 5}, "$0.019000"),
        ({"max_completion_tokens": 5, "n": 3}, "$0.039000"),
        ({"max_tokens": 100_000}, ESTIMATE),
    ],
    ids=["first-guess", "limit", "choices", "high-limit"],
)
async def test_a_stream_tells_an_estimate(
    tmp_path: Path, more: dict[str, Any], expected: str
) -> None:
    script = streams([*SPOKEN, usage_chunk(10, 20), DONE])
    async with upstreams(script) as (up,), priced(cloud("a", up.url), folder=tmp_path) as nexus:
        answer = await nexus.http.post(CHAT, json=chat("m", stream=True, **more))
        await settled(nexus)

    assert answer.headers[COST] == expected
    (row,) = ledger(tmp_path)
    assert row["estimated_nano_usd"] == round(float(expected[1:]) * NANO)
    assert row["cost_nano_usd"] == 50_000_000


@pytest.mark.parametrize(("choices", "average"), [(1, 20), (4, 5)])
async def test_a_stream_is_expected_to_be_as_long_as_the_models_other_answers(
    tmp_path: Path, choices: int, average: int
) -> None:
    first = costs(10, 20)
    script = in_turn(first, streams([*SPOKEN, DONE]))
    async with upstreams(script) as (up,), priced(cloud("a", up.url), folder=tmp_path) as nexus:
        await nexus.http.post(CHAT, json=chat("m", n=choices))
        await settled(nexus)

        answer = await nexus.ask(stream=True)

    assert answer.headers[COST] == f"${(PROMPT + 2 * average) / 1000:.6f}"


async def test_a_prompt_whose_words_are_known_is_counted_exactly(tmp_path: Path) -> None:
    pricing = {"openai": {"gpt-4o": PRICE}}
    async with upstreams(hang) as (up,):
        served = cloud("a", up.url, models=("gpt-4o",))
        async with priced(served, folder=tmp_path, pricing=pricing) as nexus:
            counter = nexus.gateway.cost_tracker.counter
            counter.load("gpt-4o")
            await until(lambda: counter.is_loaded("gpt-4o"))
            asked = nexus.start("gpt-4o", stream=True)
            await up.wait_for_requests(1)
            pass_time(0.2)  # a short prompt waits for a moment to be counted
            await turns(3)
            await counter.count("gpt-4o", PromptParts(is_chat=True))  # it counts in turn
            asked.cancel()
            await settled(nexus)

    (row,) = ledger(tmp_path)
    assert (row["prompt_tokens"], row["completion_tokens"], row["counted"]) == (8, 0, "exact")
    assert (row["cost_nano_usd"], row["is_partial"], row["client_left"]) == (8_000_000, 1, 1)


async def test_a_long_prompt_is_counted_before_the_header_goes_out(tmp_path: Path) -> None:
    words = "word " * 8_000  # 40 KB: counted in a thread
    body = {"model": "m", "messages": [{"role": "user", "content": words}], "stream": True}
    script = streams([*SPOKEN, DONE])
    async with upstreams(script) as (up,), priced(cloud("a", up.url), folder=tmp_path) as nexus:
        answer = await nexus.http.post(CHAT, json=body)

    assert answer.headers[COST] == f"${(10_000 + 7 + 512) / 1000:.6f}"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_local_answer_costs_nothing_and_says_nothing(tmp_path: Path, stream: bool) -> None:
    script = streams([*SPOKEN, usage_chunk(), DONE]) if stream else costs()
    async with upstreams(script) as (up,), priced(backend("a", up.url), folder=tmp_path) as nexus:
        answer = await nexus.ask(stream=stream)
        await settled(nexus)

    assert COST not in answer.headers
    (row,) = ledger(tmp_path)
    assert (row["cost_nano_usd"], row["is_unpriced"], row["prompt_tokens"]) == (None, 0, 10)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_unknown_price_is_no_price(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    script = streams([*SPOKEN, DONE]) if stream else costs()
    async with upstreams(script) as (up,):
        served = cloud("a", up.url, models=("mystery",))
        async with priced(served, folder=tmp_path) as nexus:
            answered = [await nexus.ask("mystery", stream=stream) for _ in range(3)]
            await settled(nexus, 3)

    assert [COST in answer.headers for answer in answered] == [False] * 3
    rows = ledger(tmp_path)
    assert [(row["cost_nano_usd"], row["is_unpriced"]) for row in rows] == [(None, 1)] * 3
    assert [event.is_unpriced for event in nexus.finished()] == [True] * 3
    assert len([r for r in caplog.records if "no price is known" in r.getMessage()]) == 1


# Nothing -----------------------------------------------------------------------------------------


async def test_a_failed_attempt_costs_nothing(tmp_path: Path) -> None:
    async with upstreams(answers({}, 500), costs(10, 20)) as (a, b):
        first, second = cloud("a", a.url, priority=90), cloud("b", b.url, priority=10)
        async with priced(first, second, folder=tmp_path) as nexus:
            answer = await nexus.ask()
            await settled(nexus)
            budget = nexus.gateway.cost_tracker.budget
            spoken_for = budget.spent_nano_usd, budget.reserved_nano_usd

    assert told(answer) == (200, "b", "backend-failover")
    assert answer.headers[COST] == "$0.050000"
    (row,) = ledger(tmp_path)
    assert (row["attempts"], row["cost_nano_usd"]) == (2, 50_000_000)
    assert spoken_for == (50_000_000, 0)


@pytest.mark.parametrize(
    ("script", "status"),
    [(answers({}, 500), 500), (answers({}, 400), 400), (answers({}, 429), 429)],
)
async def test_an_error_costs_nothing(tmp_path: Path, script: Script, status: int) -> None:
    async with upstreams(script) as (up,), priced(cloud("a", up.url), folder=tmp_path) as nexus:
        answer = await nexus.ask()
        await settled(nexus)
        reserved = nexus.gateway.cost_tracker.budget.reserved_nano_usd

    assert (answer.status_code, COST in answer.headers, reserved) == (status, False, 0)
    (row,) = ledger(tmp_path)
    assert (row["cost_nano_usd"], row["is_unpriced"], row["counted"]) == (None, 0, None)
    assert (row["prompt_tokens"], row["status"]) == (None, status)


async def test_what_a_provider_cannot_do_costs_nothing(tmp_path: Path) -> None:
    async with (
        upstreams(hang) as (up,),
        priced(vendor(BackendType.ANTHROPIC, up.url), folder=tmp_path) as nexus,
    ):
        answer = await nexus.http.post(CHAT, json=chat("m", n=2))
        await settled(nexus)
        budget = nexus.gateway.cost_tracker.budget
        spoken_for = budget.spent_nano_usd, budget.reserved_nano_usd

    assert (answer.status_code, spoken_for, up.received) == (422, (0, 0), [])
    assert COST not in answer.headers
    (row,) = ledger(tmp_path)
    assert (row["status"], row["cost_nano_usd"], row["prompt_tokens"]) == (422, None, None)


# Others ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tier", ["flex", "priority"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_service_tier_has_its_own_price(tmp_path: Path, tier: str, stream: bool) -> None:
    model, reported = "gpt-5", TokenUsage(prompt_tokens=10, completion_tokens=20)
    whole, chunk = costs(10, 20, service_tier=tier), usage_chunk(10, 20, service_tier=tier)
    script = streams([*SPOKEN, chunk, DONE]) if stream else whole
    async with upstreams(script) as (up,):
        served = cloud("a", up.url, models=(model,))
        async with priced(served, folder=tmp_path, pricing={}) as nexus:
            await nexus.ask(model, stream=stream)
            await settled(nexus)
            at = nexus.clock.wall()

    prices = Prices({})
    prices.load()
    plain = estimate_cost(prices, "openai", model, reported, at=at)
    expected = estimate_cost(prices, "openai", model, reported, at=at, service_tier=tier)
    assert plain is not None
    assert expected is not None
    assert expected != plain
    (row,) = ledger(tmp_path)
    assert (row["cost_nano_usd"], row["price_source"]) == (expected.nano_usd, expected.source)


async def test_embeddings_cost_their_prompt(tmp_path: Path) -> None:
    vector = {"object": "embedding", "index": 0, "embedding": [0.5]}
    body = {"data": [vector], "usage": {"prompt_tokens": 7, "total_tokens": 7}}
    async with (
        upstreams(answers(body)) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        answer = await nexus.http.post("/v1/embeddings", json={"model": "m", "input": "hello"})
        await settled(nexus)

    assert answer.headers[COST] == "$0.007000"
    (row,) = ledger(tmp_path)
    assert (row["endpoint"], row["cost_nano_usd"]) == ("/v1/embeddings", 7_000_000)
    # By the length of the prompt: a whole answer tells its usage, so that nothing is counted.
    assert (row["completion_tokens"], row["estimated_nano_usd"]) == (0, 1_000_000)


async def test_a_local_answer_saves_what_the_asked_model_costs(tmp_path: Path) -> None:
    pricing = {"openai": {"gpt-4": PRICE}}
    routing = RoutingConfig(aliases={"gpt-4": "m"})
    async with upstreams(costs(10, 20)) as (up,):
        local = backend("a", up.url)
        async with priced(local, folder=tmp_path, pricing=pricing, routing=routing) as nexus:
            answer = await nexus.ask("gpt-4")
            plain = await nexus.ask("m")
            await settled(nexus, 2)

    assert COST not in answer.headers
    assert COST not in plain.headers
    saved, nothing = ledger(tmp_path)
    assert (saved["saved_nano_usd"], saved["saved_model"]) == (50_000_000, "gpt-4")
    assert (saved["asked_model"], saved["cost_nano_usd"]) == ("gpt-4", None)
    assert (nothing["saved_nano_usd"], nothing["saved_model"]) == (None, None)


async def test_a_tiny_cost_never_reads_as_free(tmp_path: Path) -> None:
    tiny = PRICE.model_copy(update={"input_per_1k": 0.00001, "output_per_1k": 0.0})
    async with upstreams(costs(1, 20)) as (up,):
        pricing = PRICING | {"openai": {"m": tiny}}
        async with priced(cloud("a", up.url), folder=tmp_path, pricing=pricing) as nexus:
            answer = await nexus.ask()

    assert answer.headers[COST] == "$0.000000010"
    assert PATTERN.match(answer.headers[COST])
