"""What vendors of OpenAI's format report, each in its own shape, comes to its exact cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import PriceConfig
from nexus_core.observe.events import RequestFinished
from tests.contract.bodies import ANSWER, FIRST, HELLO, STOP, THERE
from tests.contract.scripted_upstream import ScriptedUpstream, answers, streams
from tests.scenarios.money import COST, DONE, SPOKEN, ledger, priced, settled
from tests.scenarios.nexus import Nexus, cloud, upstreams

# 1 $ for a thousand tokens read, 0.1 $ where they were cached, 2 $ for a thousand made.
PRICE = PriceConfig(input_per_1k=1.0, output_per_1k=2.0, cached_input_per_1k=0.1)
PRICING = {"openai": {"m": PRICE}}


def line(**fields: Any) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps(head | fields).encode() + b"\n\n"


def last(**fields: Any) -> bytes:
    """The chunk that says why the answer ends."""
    return line(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], **fields)


async def ask(nexus: Nexus, up: ScriptedUpstream, script: Any, **more: Any) -> tuple[Any, Any]:
    """The client's answer, and what the request came to."""
    up.script = script
    answer = await nexus.ask(**more)
    await settled(nexus)
    (finished,) = nexus.finished()
    assert isinstance(finished, RequestFinished)
    return answer, finished


KIMI = (
    *(FIRST, HELLO, THERE),
    line(
        choices=[
            {
                "index": 0,
                "delta": {},
                "finish_reason": "stop",
                "usage": {
                    "prompt_tokens": 1000,
                    "completion_tokens": 10,
                    "total_tokens": 1010,
                    "cached_tokens": 900,
                },
            }
        ]
    ),
    DONE,
)
GROQ_USAGE = {
    "queue_time": 0.075,
    "prompt_tokens": 23,
    "prompt_time": 0.006,
    "completion_tokens": 19,
    "completion_time": 0.022,
    "total_tokens": 42,
    "total_time": 0.028,
}
GROQ = (FIRST, HELLO, last(x_groq={"id": "req_1", "usage": GROQ_USAGE}, usage=None), DONE)
XAI_USAGE = {
    "prompt_tokens": 32,
    "completion_tokens": 9,
    "total_tokens": 135,
    "completion_tokens_details": {"reasoning_tokens": 94},
}
XAI = (FIRST, HELLO, last(), line(choices=[], usage=XAI_USAGE), DONE)
DEEPSEEK_USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1050,
    "prompt_cache_hit_tokens": 896,
    "prompt_cache_miss_tokens": 104,
}
DEEPSEEK = (FIRST, HELLO, last(usage=DEEPSEEK_USAGE), DONE)
VLLM = (
    FIRST,
    *(
        line(
            choices=[{"index": 0, "delta": {"content": "Hello"}}],
            usage={"prompt_tokens": 7, "completion_tokens": made, "total_tokens": 7 + made},
        )
        for made in range(4)
    ),
    STOP,
    DONE,
)
OPENROUTER_USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 20,
    "total_tokens": 30,
    "cost": 0.0001405,
    "is_byok": False,
    "cost_details": {"upstream_inference_cost": 0.0001405},
}
OPENROUTER = (b": OPENROUTER PROCESSING\n\n", FIRST, HELLO, last(usage=OPENROUTER_USAGE), DONE)


@pytest.mark.parametrize(
    ("parts", "tokens", "nano_usd", "source"),
    [
        (KIMI, (1000, 10, 900, 0), 210_000_000, "config"),
        (GROQ, (23, 19, 0, 0), 61_000_000, "config"),
        (XAI, (32, 103, 0, 94), 238_000_000, "config"),
        (DEEPSEEK, (1000, 50, 896, 0), 293_600_000, "config"),
        (VLLM, (7, 3, 0, 0), 13_000_000, "config"),
        (OPENROUTER, (10, 20, 0, 0), 140_500, "reported"),
    ],
    ids=["kimi", "groq", "xai", "deepseek", "vllm", "openrouter"],
)
async def test_a_vendors_stream_costs_what_it_reports(
    tmp_path: Path, parts: tuple[bytes, ...], tokens: tuple[int, ...], nano_usd: int, source: str
) -> None:
    async with (
        upstreams(answers({})) as (up,),
        priced(cloud("a", up.url), folder=tmp_path, pricing=PRICING) as nexus,
    ):
        answer, finished = await ask(nexus, up, streams(parts), stream=True)
        told = (await nexus.http.get(f"/nexus/requests/{finished.request_id}")).json()

    only_usage = [part for part in parts if b'"choices": []' in part]
    assert answer.content == b"".join(part for part in parts if part not in only_usage)
    (row,) = ledger(tmp_path)
    names = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
    assert tuple(row[name] for name in names) == tokens
    assert (row["counted"], row["cost_nano_usd"], row["price_source"]) == (
        "reported",
        nano_usd,
        source,
    )
    assert (told["counted"], told["is_estimated"], told["price_from"]) == (
        "reported",
        False,
        source,
    )
    assert told["cost_usd"] == nano_usd / 10**9


@pytest.mark.parametrize(
    ("usage", "header"),
    [
        (XAI_USAGE, "$0.238000"),
        (
            {
                "prompt_tokens": 1000,
                "completion_tokens": 10,
                "total_tokens": 1010,
                "cached_tokens": 900,
            },
            "$0.210000",
        ),
        (OPENROUTER_USAGE | {"cost": 0.42}, "$0.420000"),
        ({"prompt_tokens": 1, "completion_tokens": 1, "cost": {"total_cost": 0.006}}, "$0.006000"),
        (
            {"prompt_tokens": 199, "completion_tokens": 1, "cost_in_usd_ticks": 37_756_000},
            "$0.003776",
        ),
    ],
    ids=["xai", "kimi", "openrouter", "perplexity", "xai-ticks"],
)
async def test_a_whole_answers_header_tells_its_real_cost(
    tmp_path: Path, usage: dict[str, Any], header: str
) -> None:
    async with (
        upstreams(answers({})) as (up,),
        priced(cloud("a", up.url), folder=tmp_path, pricing=PRICING) as nexus,
    ):
        answer, _ = await ask(nexus, up, answers(ANSWER | {"usage": usage}))

    assert answer.headers[COST] == header


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reported_cost_counts_where_no_price_is_known(tmp_path: Path, stream: bool) -> None:
    whole, parts = ANSWER | {"usage": OPENROUTER_USAGE}, OPENROUTER
    async with upstreams(answers({})) as (up,):
        served = cloud("a", up.url, models=("mystery",))
        async with priced(served, folder=tmp_path, pricing={}) as nexus:
            script = streams(parts) if stream else answers(whole)
            answer, finished = await ask(nexus, up, script, model="mystery", stream=stream)
            spent = nexus.gateway.cost_tracker.budget.spent_nano_usd
            report = (await nexus.http.get("/nexus/costs")).json()["costs"]

    assert (finished.is_unpriced, finished.cost.nano_usd) == (False, 140_500)
    assert spent == 140_500
    assert answer.headers.get(COST) == (None if stream else "$0.000140")
    assert report["month"] == "0.0001405"


async def test_a_local_backend_costs_nothing_whatever_it_reports(tmp_path: Path) -> None:
    async with (
        upstreams(answers(ANSWER | {"usage": OPENROUTER_USAGE})) as (up,),
        priced(cloud("a", up.url, type=BackendType.GENERIC), folder=tmp_path) as nexus,
    ):
        answer, finished = await ask(nexus, up, up.script)

    assert finished.cost is None
    assert finished.usage.prompt_tokens == 10
    assert COST not in answer.headers


async def test_an_error_is_never_hidden_with_the_usage(tmp_path: Path) -> None:
    broken = line(choices=[], usage=XAI_USAGE, error={"message": "overloaded", "code": 502})
    async with (
        upstreams(answers({})) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        answer, _ = await ask(nexus, up, streams([FIRST, HELLO, broken, STOP, DONE]), stream=True)

    assert b"overloaded" in answer.content


async def test_a_cost_that_was_reported_before_a_stream_broke_is_not_the_whole(
    tmp_path: Path,
) -> None:
    early = line(
        choices=[{"index": 0, "delta": {"content": ""}}],
        usage={"prompt_tokens": 10, "completion_tokens": 1, "cost": 0.001},
    )
    said = line(choices=[{"index": 0, "delta": {"content": "twelve bytes"}}])
    async with (
        upstreams(answers({})) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        _, finished = await ask(nexus, up, streams([FIRST, early, said]), stream=True)

    assert (finished.is_partial, finished.is_estimated) == (True, True)
    assert (finished.usage.prompt_tokens, finished.usage.completion_tokens) == (10, 3)
    assert (finished.cost.nano_usd, finished.cost.source) == (16_000_000, "config")


async def test_a_stream_without_usage_has_an_estimate_that_says_so(tmp_path: Path) -> None:
    async with (
        upstreams(answers({})) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        _, finished = await ask(nexus, up, streams([*SPOKEN, DONE]), stream=True)
        one = (await nexus.http.get(f"/nexus/requests/{finished.request_id}")).json()
        (row,) = (await nexus.http.get("/nexus/requests")).json()["requests"]
        stats = (await nexus.http.get("/v1/stats")).json()
        metrics = (await nexus.http.get("/metrics")).text

    assert finished.is_estimated
    assert [told["is_estimated"] for told in (one, row)] == [True, True]
    assert [told["counted"] for told in (one, row)] == ["estimated", "estimated"]
    assert stats["cost_usd"] == stats["cost_estimated_usd"] == finished.cost.nano_usd / 10**9 > 0
    backend = stats["backends"]["a"]
    assert backend["cost_usd"] == backend["cost_estimated_usd"] > 0
    assert f'nexus_cost_estimated_usd_total{{backend="a"}} {backend["cost_usd"]}' in metrics


async def test_a_long_answers_usage_is_read_at_its_end(tmp_path: Path) -> None:
    vectors = [{"object": "embedding", "index": i, "embedding": [0.125] * 1536} for i in range(128)]
    usage = {"prompt_tokens": 1600, "total_tokens": 1600}
    body = {"object": "list", "data": vectors, "model": "m", "usage": usage}
    assert len(json.dumps(body)) > 1024 * 1024
    async with (
        upstreams(answers(body)) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        answer = await nexus.http.post("/v1/embeddings", json={"model": "m", "input": ["a"] * 128})
        await settled(nexus)

    assert answer.headers[COST] == "$1.600000"
    (row,) = ledger(tmp_path)
    assert (row["counted"], row["cost_nano_usd"]) == ("reported", 1_600_000_000)
