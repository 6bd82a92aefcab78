"""The real cost of an answer: from its usage wherever it stands, or from what was counted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest

from nexus_core.catalog import BackendType
from tests.contract.bodies import FIRST, HELLO, STOP, THERE, chat, event
from tests.contract.scripted_upstream import answers, streams
from tests.scenarios.money import (
    COST,
    DONE,
    ESTIMATE,
    PATTERN,
    PROMPT,
    SPOKEN,
    ledger,
    priced,
    settled,
    usage,
    usage_chunk,
    vendor,
)
from tests.scenarios.nexus import CHAT, Nexus, cloud, upstreams
from tests.vendors.samples import ANTHROPIC, GOOGLE, Provider, both


async def leave_after(nexus: Nexus, said: str) -> httpx.Headers:
    """Read a stream until it has said this, and go."""
    async with nexus.http.stream("POST", CHAT, json=chat("m", stream=True)) as answer:
        seen = ""
        async for text in answer.aiter_text():
            seen += text
            if said in seen:
                break
    await settled(nexus)
    return answer.headers


EARLY = event({"content": "Hello"}, usage=usage(10, 1))
LATE = event({}, "stop", usage=usage(10, 20))


@pytest.mark.parametrize(
    "parts",
    [
        (FIRST, HELLO, STOP, usage_chunk(10, 20), DONE),
        (FIRST, HELLO, LATE, DONE),
        (FIRST, EARLY, THERE, LATE, DONE),  # the last wins
        (FIRST, EARLY, STOP, usage_chunk(10, 20), DONE),
        (usage_chunk(10, 20), FIRST, HELLO, STOP, DONE),
        (FIRST, HELLO, STOP, usage_chunk(10, 20), event({}, usage=None), DONE),
    ],
    ids=["own-chunk", "with-stop", "twice", "twice-own-chunk", "first", "null-after"],
)
async def test_the_cost_comes_from_the_usage_wherever_it_stands(
    tmp_path: Path, parts: tuple[bytes, ...]
) -> None:
    async with (
        upstreams(streams(parts)) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        await nexus.ask(stream=True)
        await settled(nexus)

    (row,) = ledger(tmp_path)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (10, 20)
    assert (row["counted"], row["cost_nano_usd"]) == ("reported", 50_000_000)
    assert nexus.finished()[0].cost is not None


@both
@pytest.mark.parametrize("stream", [False, True])
async def test_a_translated_answer_costs_what_its_provider_reports(
    tmp_path: Path, provider: Provider, stream: bool
) -> None:
    script = streams(provider.events) if stream else answers(provider.answer)
    async with (
        upstreams(script) as (up,),
        priced(vendor(provider.type, up.url), folder=tmp_path) as nexus,
    ):
        answer = await nexus.ask(stream=stream)
        await settled(nexus)

    assert answer.headers[COST] == (ESTIMATE if stream else "$0.011000")
    (row,) = ledger(tmp_path)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (3, 4)
    assert (row["counted"], row["cost_nano_usd"]) == ("reported", 11_000_000)


ZEROS = {"input_tokens": 0, "output_tokens": 0}
GOOGLES = {"promptTokenCount": 0, "candidatesTokenCount": 0}


@both
@pytest.mark.parametrize("stream", [False, True])
async def test_a_translated_answer_whose_usage_is_zeros_is_counted_by_its_length(
    tmp_path: Path, provider: Provider, stream: bool
) -> None:
    counts = [b'"input_tokens": 3', b'"output_tokens": 1', b'"output_tokens": 4']
    counts += [b'"promptTokenCount": 3', b'"candidatesTokenCount": 4']
    events = list(provider.events)
    for told in counts:
        name = told.partition(b":")[0]
        events = [event.replace(told, name + b": 0") for event in events]
    answer = {**provider.answer, "usage": ZEROS, "usageMetadata": GOOGLES}
    script = streams(events) if stream else answers(answer)
    async with (
        upstreams(script) as (up,),
        priced(vendor(provider.type, up.url), folder=tmp_path) as nexus,
    ):
        await nexus.ask(stream=stream)
        await settled(nexus)

    (row,) = ledger(tmp_path)
    assert row["counted"] == "estimated"
    assert row["cost_nano_usd"] > 0


LEAVING = [
    (BackendType.OPENAI, [FIRST, HELLO, THERE], (PROMPT, 3)),
    # Anthropic's start tells the prompt, and 1 token of an answer that has not come yet.
    (BackendType.ANTHROPIC, list(ANTHROPIC.events[:3]), (3, 3)),
    (BackendType.GOOGLE, list(GOOGLE.events[:2]), (3, 4)),
]
leaving = pytest.mark.parametrize(("kind", "parts", "tokens"), LEAVING, ids=lambda v: str(v)[:9])


@leaving
async def test_a_client_that_leaves_pays_what_was_counted_so_far(
    tmp_path: Path, kind: BackendType, parts: list[bytes], tokens: tuple[int, int]
) -> None:
    async with (
        upstreams(streams([*parts, asyncio.Event()])) as (up,),
        priced(vendor(kind, up.url), folder=tmp_path) as nexus,
    ):
        headers = await leave_after(nexus, "there.")
        reserved = nexus.gateway.cost_tracker.budget.reserved_nano_usd

    assert PATTERN.match(headers[COST])
    (row,) = ledger(tmp_path)
    assert (row["client_left"], row["is_partial"], row["is_unpriced"]) == (1, 1, 0)
    assert (row["prompt_tokens"], row["completion_tokens"]) == tokens
    assert row["cost_nano_usd"] == (tokens[0] + 2 * tokens[1]) * 1_000_000
    assert reserved == 0


@leaving
async def test_a_stream_that_breaks_costs_what_was_counted_so_far(
    tmp_path: Path, kind: BackendType, parts: list[bytes], tokens: tuple[int, int]
) -> None:
    async with (
        upstreams(streams(parts, is_whole=False)) as (up,),
        priced(vendor(kind, up.url), folder=tmp_path) as nexus,
    ):
        await nexus.ask(stream=True)
        await settled(nexus)

    (row,) = ledger(tmp_path)
    assert (row["failed"], row["client_left"], row["is_partial"]) == (1, 0, 1)
    assert (row["prompt_tokens"], row["completion_tokens"]) == tokens
    assert row["cost_nano_usd"] == (tokens[0] + 2 * tokens[1]) * 1_000_000


async def test_a_client_that_leaves_after_the_usage_pays_what_was_reported(tmp_path: Path) -> None:
    end = b": the end is near\n\n"
    parts: list[bytes | asyncio.Event] = [*SPOKEN, usage_chunk(10, 20), end, asyncio.Event()]
    async with (
        upstreams(streams(parts)) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        await leave_after(nexus, "near")

    (row,) = ledger(tmp_path)
    assert (row["counted"], row["cost_nano_usd"], row["is_partial"]) == ("reported", 50_000_000, 1)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_without_usage_is_counted_by_its_length(
    tmp_path: Path, stream: bool
) -> None:
    silent = answers({"choices": [{"message": {"role": "assistant", "content": "Hello there."}}]})
    script = streams([*SPOKEN, DONE]) if stream else silent
    async with upstreams(script) as (up,), priced(cloud("a", up.url), folder=tmp_path) as nexus:
        await nexus.ask(stream=stream)
        await settled(nexus)

    (row,) = ledger(tmp_path)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (PROMPT, 3)
    assert (row["counted"], row["is_partial"]) == ("estimated", 0)
    assert row["cost_nano_usd"] == (PROMPT + 2 * 3) * 1_000_000
