from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.config.schema import PriceConfig
from nexus_core.dialects.openai_chat.stream import may_report_usage
from nexus_core.dialects.plain_usage import MAX_TOKENS
from nexus_core.dialects.usage import (
    UsageTally,
    find_usage,
    read_usage,
)
from nexus_core.money.prices import Prices, estimate_cost
from nexus_core.observe.events import TokenUsage
from tests.examples import promised


def use(prompt: int, completion: int = 0, **more: int) -> TokenUsage:
    return TokenUsage(prompt_tokens=prompt, completion_tokens=completion, **more)


def chunk(**more: Any) -> dict[str, Any]:
    """The last chunk of a stream."""
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **more}


# By vendor: what an answer holds, and what it comes to. The addresses are where the shape is from.
ANSWERS: dict[str, tuple[dict[str, Any], TokenUsage]] = {
    # https://platform.openai.com/docs/api-reference/chat/object
    "openai": (
        {
            "usage": {
                "prompt_tokens": 2006,
                "completion_tokens": 300,
                "total_tokens": 2306,
                "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 7},
                "completion_tokens_details": {
                    "reasoning_tokens": 192,
                    "audio_tokens": 5,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            }
        },
        use(
            2006,
            300,
            cached_tokens=1920,
            reasoning_tokens=192,
            prompt_audio_tokens=7,
            completion_audio_tokens=5,
        ),
    ),
    # https://docs.x.ai/docs/guides/reasoning: reasoning is beside the completion
    "xai": (
        {
            "usage": {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "prompt_tokens_details": {"text_tokens": 32, "cached_tokens": 6},
                "completion_tokens_details": {"reasoning_tokens": 94},
                "num_sources_used": 0,
            }
        },
        use(32, 103, cached_tokens=6, reasoning_tokens=94),
    ),
    # https://docs.x.ai/developers/cost-tracking: 10,000,000,000 ticks are a dollar
    "xai-ticks": (
        {
            "usage": {
                "prompt_tokens": 199,
                "completion_tokens": 1,
                "total_tokens": 200,
                "cost_in_usd_ticks": 37_756_000,
            }
        },
        use(199, 1, cost_nano_usd=3_775_600),
    ),
    # The same without a total: more reasoning than completion can't be within it.
    "xai-no-total": (
        {
            "usage": {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 94},
            }
        },
        use(32, 103, reasoning_tokens=94),
    ),
    # https://github.com/router-for-me/CLIProxyAPI/issues/5733
    "gemini-proxy": (
        {
            "usage": {
                "prompt_tokens": 21,
                "completion_tokens": 0,
                "total_tokens": 81,
                "completion_tokens_details": {"reasoning_tokens": 60},
            }
        },
        use(21, 60, reasoning_tokens=60),
    ),
    # https://ai.google.dev/gemini-api/docs/openai: thoughts are in the total only
    "gemini-openai": (
        {"usage": {"prompt_tokens": 20, "completion_tokens": 198, "total_tokens": 623}},
        use(20, 603, reasoning_tokens=405),
    ),
    # https://platform.moonshot.ai/docs/api/chat: whole answers
    "kimi": (
        {
            "usage": {
                "prompt_tokens": 1000,
                "completion_tokens": 10,
                "total_tokens": 1010,
                "cached_tokens": 900,
            }
        },
        use(1000, 10, cached_tokens=900),
    ),
    # https://github.com/northes/go-moonshot/issues/17: streams
    "kimi-stream": (
        {
            "choices": [
                {
                    "index": 0,
                    "delta": {},
                    "finish_reason": "stop",
                    "usage": {"prompt_tokens": 19, "completion_tokens": 13, "total_tokens": 32},
                }
            ]
        },
        use(19, 13),
    ),
    # https://api-docs.deepseek.com/api/create-chat-completion
    "deepseek": (
        {
            "usage": {
                "prompt_tokens": 1000,
                "completion_tokens": 50,
                "total_tokens": 1050,
                "prompt_cache_hit_tokens": 896,
                "prompt_cache_miss_tokens": 104,
                "completion_tokens_details": {"reasoning_tokens": 40},
            }
        },
        use(1000, 50, cached_tokens=896, reasoning_tokens=40),
    ),
    "deepseek-parts-only": (
        {
            "usage": {
                "completion_tokens": 50,
                "prompt_cache_hit_tokens": 896,
                "prompt_cache_miss_tokens": 104,
            }
        },
        use(1000, 50, cached_tokens=896),
    ),
    # https://github.com/vercel/ai/issues/1651
    "groq-stream": (
        chunk(
            x_groq={
                "id": "req_01hy8ppkajfqk987jv2vx88m9r",
                "usage": {
                    "queue_time": 0.07535312,
                    "prompt_tokens": 23,
                    "prompt_time": 0.006,
                    "completion_tokens": 19,
                    "completion_time": 0.022,
                    "total_tokens": 42,
                    "total_time": 0.027999999999999997,
                },
            },
            usage=None,
        ),
        use(23, 19),
    ),
    # https://docs.mistral.ai/capabilities/prompt_caching
    "mistral": (
        {
            "usage": {
                "prompt_tokens": 1013,
                "total_tokens": 1043,
                "completion_tokens": 30,
                "num_cached_tokens": 1008,
                "prompt_audio_seconds": None,
                "prompt_tokens_details": None,
                "prompt_token_details": {"cached_tokens": 1008},
            }
        },
        use(1013, 30, cached_tokens=1008),
    ),
    # https://docs.mistral.ai/capabilities/audio: what was heard is in the total only
    "mistral-audio": (
        {
            "usage": {
                "prompt_audio_seconds": 203,
                "prompt_tokens": 4,
                "total_tokens": 3264,
                "completion_tokens": 635,
            }
        },
        use(2629, 635),
    ),
    # https://openrouter.ai/docs/use-cases/usage-accounting
    "openrouter": (
        {
            "usage": {
                "prompt_tokens": 10427,
                "completion_tokens": 264,
                "total_tokens": 10691,
                "cost": 0.0033789,
                "is_byok": False,
                "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 100},
                "cost_details": {
                    "upstream_inference_cost": 0.0033789,
                    "upstream_inference_prompt_cost": 0.0031281,
                },
                "completion_tokens_details": {"reasoning_tokens": 0, "image_tokens": 0},
            }
        },
        use(10427, 264, cache_write_tokens=100, cost_nano_usd=3_378_900),
    ),
    # The same page: with a key of one's own its vendor bills beside OpenRouter's fee.
    "openrouter-byok": (
        {
            "usage": {
                "completion_tokens": 2,
                "completion_tokens_details": {"reasoning_tokens": 0},
                "cost": 0.95,
                "cost_details": {"upstream_inference_cost": 19},
                "prompt_tokens": 194,
                "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                "total_tokens": 196,
            }
        },
        use(194, 2, cost_nano_usd=19_950_000_000),
    ),
    "openrouter-byok-free": (
        {
            "usage": {
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "cost": 0,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": 1e-05},
            }
        },
        use(5, 2, cost_nano_usd=10_000),
    ),
    # What the vendor bills is not told: a cost of 0 would be a lie.
    "openrouter-byok-unknown": (
        {
            "usage": {
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "cost": 0,
                "is_byok": True,
                "cost_details": {"upstream_inference_cost": None},
            }
        },
        use(5, 2),
    ),
    "openrouter-free-model": (
        {"usage": {"prompt_tokens": 5, "completion_tokens": 2, "cost": 0, "is_byok": False}},
        use(5, 2, cost_nano_usd=0),
    ),
    # https://docs.perplexity.ai/docs/sonar/models/sonar-deep-research
    "perplexity": (
        {
            "usage": {
                "prompt_tokens": 33,
                "completion_tokens": 7163,
                "total_tokens": 7196,
                "search_context_size": "low",
                "citation_tokens": 19028,
                "num_search_queries": 18,
                "reasoning_tokens": 73955,
                "cost": {
                    "input_tokens_cost": 0.0,
                    "output_tokens_cost": 0.057,
                    "citation_tokens_cost": 0.038,
                    "reasoning_tokens_cost": 0.222,
                    "search_queries_cost": 0.09,
                    "total_cost": 0.407,
                },
            }
        },
        use(33, 81118, reasoning_tokens=73955, cost_nano_usd=407_000_000),
    ),
    # https://docs.together.ai/reference/chat-completions-1
    "together": (
        {
            "usage": {
                "prompt_tokens": 31,
                "completion_tokens": 12,
                "total_tokens": 43,
                "cached_tokens": 0,
            }
        },
        use(31, 12),
    ),
    # https://deepinfra.com/docs/openai_api
    "deepinfra": (
        {
            "usage": {
                "prompt_tokens": 15,
                "completion_tokens": 16,
                "total_tokens": 31,
                "estimated_cost": 0.0000268,
            }
        },
        use(15, 16, cost_nano_usd=26_800),
    ),
    # https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
    "vllm": (
        {
            "usage": {
                "prompt_tokens": 9,
                "total_tokens": 19,
                "completion_tokens": 10,
                "prompt_tokens_details": None,
            }
        },
        use(9, 10),
    ),
    # https://github.com/sgl-project/sglang: UsageInfo
    "sglang": (
        {
            "usage": {
                "prompt_tokens": 9,
                "total_tokens": 59,
                "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 4},
                "reasoning_tokens": 40,
            }
        },
        use(9, 50, cached_tokens=4, reasoning_tokens=40),
    ),
    # https://github.com/ggml-org/llama.cpp/tree/master/tools/server: a stream that was not asked
    "llamacpp-timings": (
        chunk(
            timings={
                "cache_n": 236,
                "prompt_n": 1,
                "prompt_ms": 30.958,
                "predicted_n": 35,
                "predicted_ms": 661.064,
            }
        ),
        use(237, 35, cached_tokens=236),
    ),
    # https://github.com/ggml-org/llama.cpp/issues/16048
    "llamacpp-both": (
        {
            "choices": [],
            "usage": {"completion_tokens": 31, "prompt_tokens": 75, "total_tokens": 106},
            "timings": {"cache_n": 70, "prompt_n": 5, "predicted_n": 31},
        },
        use(75, 31),
    ),
    # https://docs.ollama.com/api/usage
    "ollama": (
        {"done": True, "prompt_eval_count": 26, "eval_count": 298, "eval_duration": 4_799_921_000},
        use(26, 298),
    ),
    # A prompt that was kept in the cache is not counted again.
    "ollama-cached": ({"done": True, "eval_count": 298}, use(0, 298)),
    # https://platform.claude.com/docs/en/api/messages: the three parts of the prompt
    "anthropic-names": (
        {
            "usage": {
                "input_tokens": 21,
                "cache_creation_input_tokens": 1886,
                "cache_read_input_tokens": 188,
                "cache_creation": {"ephemeral_1h_input_tokens": 500},
                "output_tokens": 393,
            }
        },
        use(
            2095,
            393,
            cached_tokens=188,
            cache_write_tokens=1886,
            cache_write_1h_tokens=500,
        ),
    ),
    # https://docs.litellm.ai/docs/completion/prompt_caching: OpenAI's and Anthropic's names
    "litellm": (
        {
            "usage": {
                "prompt_tokens": 2095,
                "completion_tokens": 393,
                "total_tokens": 2488,
                "prompt_tokens_details": {"cached_tokens": 188, "cache_creation_tokens": 1886},
                "cache_creation_input_tokens": 1886,
                "cache_read_input_tokens": 188,
            }
        },
        use(2095, 393, cached_tokens=188, cache_write_tokens=1886),
    ),
    # A proxy that passes Anthropic's prompt on as it is, and adds all of it up.
    "beside-by-the-total": (
        {
            "usage": {
                "prompt_tokens": 500,
                "completion_tokens": 10,
                "total_tokens": 710,
                "cache_read_input_tokens": 200,
            }
        },
        use(700, 10, cached_tokens=200),
    ),
    # https://platform.openai.com/docs/api-reference/responses/object
    "responses-names": (
        {
            "usage": {
                "input_tokens": 36,
                "input_tokens_details": {"cached_tokens": 30},
                "output_tokens": 87,
                "output_tokens_details": {"reasoning_tokens": 64},
                "total_tokens": 123,
            }
        },
        use(36, 87, cached_tokens=30, reasoning_tokens=64),
    ),
    # https://www.alibabacloud.com/help/en/model-studio/context-cache
    "alibaba": (
        {
            "usage": {
                "prompt_tokens": 1605,
                "completion_tokens": 3,
                "total_tokens": 1608,
                "prompt_tokens_details": {
                    "cached_tokens": 0,
                    "cache_creation_input_tokens": 1600,
                    "cache_type": "ephemeral",
                },
            }
        },
        use(1605, 3, cache_write_tokens=1600),
    ),
    # https://docs.cohere.com/reference/chat
    "cohere": (
        {
            "usage": {
                "billed_units": {"input_tokens": 5, "output_tokens": 418},
                "tokens": {"input_tokens": 71, "output_tokens": 418},
            }
        },
        use(5, 418),
    ),
    "cohere-meta": (
        {"meta": {"api_version": {"version": "1"}, "billed_units": {"input_tokens": 7}}},
        use(7),
    ),
    # https://platform.openai.com/docs/api-reference/embeddings
    "embeddings": ({"data": [], "usage": {"prompt_tokens": 8, "total_tokens": 8}}, use(8)),
    # https://docs.voyageai.com/reference/embeddings-api
    "embeddings-total": ({"data": [], "usage": {"total_tokens": 10}}, use(10)),
    "embeddings-null": (
        {"data": [], "usage": {"prompt_tokens": 8, "completion_tokens": None, "total_tokens": 8}},
        use(8),
    ),
    "floats": (
        {"usage": {"prompt_tokens": 12.0, "completion_tokens": 3.0, "total_tokens": 15.0}},
        use(12, 3),
    ),
    # https://github.com/QuantumNous/new-api: both names, one of them filled
    "both-names": (
        {"usage": {"prompt_tokens": 0, "completion_tokens": 7, "input_tokens": 5}},
        use(5, 7),
    ),
    "rest-of-the-total": ({"usage": {"prompt_tokens": 5, "total_tokens": 12}}, use(5, 7)),
    "prompt-of-the-total": ({"usage": {"completion_tokens": 5, "total_tokens": 12}}, use(7, 5)),
    "prompt-only": ({"usage": {"prompt_tokens": 3}}, use(3)),
    "a-total-that-is-too-low": (
        {"usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 7}},
        use(10, 20),
    ),
    # https://github.com/BerriAI/litellm: reasoning counted by another tokenizer
    "reasoning-of-another-count": (
        {
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 20,
                "total_tokens": 30,
                "completion_tokens_details": {"reasoning_tokens": 21},
            }
        },
        use(10, 20, reasoning_tokens=20),
    ),
    "details-that-make-no-sense": (
        {
            "usage": {
                "prompt_tokens": 10,
                "completion_tokens": 20,
                "total_tokens": "30",
                "prompt_tokens_details": {"cached_tokens": -1, "audio_tokens": True},
                "completion_tokens_details": [],
                "cost": "free",
            }
        },
        use(10, 20),
    ),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_usage_is_read_in_the_shape_of(name: str) -> None:
    answer, expected = ANSWERS[name]

    assert read_usage(answer) == expected


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "cohere-meta"])
@pytest.mark.parametrize("indent", [None, 1])
def test_a_line_that_tells_usage_is_parsed(name: str, indent: int | None) -> None:
    answer, _ = ANSWERS[name]

    assert may_report_usage(b"data: " + json.dumps(answer, indent=indent).encode())


@pytest.mark.parametrize(
    "line",
    [
        b'data: {"choices":[{"delta":{"content":"hi"}}],"usage":null}',
        b'data: {"choices":[{"delta":{"content":"hi"}}], "usage" : null, "timings": null}',
        b'data: {"choices":[{"delta":{"content":"\\"usage\\": {\\"prompt_tokens\\": 1}"}}]}',
        b"data: [DONE]",
        b"",
    ],
)
def test_a_line_without_usage_is_not_parsed(line: bytes) -> None:
    assert not may_report_usage(line)


@pytest.mark.parametrize("count", [10**400, 10**12, -1, True, "3", 1.5, -1.0, 1e300, [], {}])
@pytest.mark.parametrize(
    "name", ["prompt_tokens", "completion_tokens", "input_tokens", "output_tokens"]
)
def test_a_usage_that_makes_no_sense_tells_nothing(name: str, count: object) -> None:
    other = {"prompt_tokens": 1, "completion_tokens": 1}
    if name.startswith(("input", "output")):
        other = {"input_tokens": 1, "output_tokens": 1}

    assert read_usage({"usage": {**other, name: count}}) is None


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"usage": None},
        {"usage": []},
        {"usage": {}},
        {"usage": {"prompt_tokens": None, "completion_tokens": 1}},
        {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}},
        {"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "cost": 0}},
        {"choices": [{"message": {}}], "usage": {"total_tokens": 249}},  # nobody knows of what
        {"x_groq": {"id": "req_1"}},
        {"x_groq": None, "choices": None, "meta": [], "timings": 1},
        {"choices": [None, 1, {"usage": None}]},
        {"timings": {"prompt_n": -1, "predicted_n": 0}},
        {"timings": {"draft_n": 3}},
        {"prompt_eval_count": None, "eval_count": 0},
    ],
)
def test_where_nothing_is_told_nothing_is_read(fields: dict[str, Any]) -> None:
    assert read_usage(fields) is None


@pytest.mark.parametrize(
    ("cost", "nano_usd"),
    [
        (0.1, 100_000_000),
        (1e-05, 10_000),
        (0.00000196, 1_960),
        (0.0000000015, 2),  # to the even of the two
        (0.0000000025, 2),
        (3, 3_000_000_000),
        (1.7976931348623157e308, None),
        (100_001, None),
        (-0.1, None),
        (True, None),
        ("0.1", None),
        (None, None),
        ({"total_cost": 0.006}, 6_000_000),
        ({"request_cost": 0.006}, None),
        (float("nan"), None),
        (float("inf"), None),
    ],
)
def test_a_reported_cost_is_exact_to_the_nano_dollar(cost: object, nano_usd: int | None) -> None:
    usage = read_usage({"usage": {"prompt_tokens": 1, "completion_tokens": 1, "cost": cost}})

    assert usage is not None
    assert usage.cost_nano_usd == nano_usd


@pytest.mark.parametrize(("ticks", "nano_usd"), [(10**10, 10**9), (5, 0), (15, 2), (-1, None)])
def test_ticks_are_tenths_of_a_nano_dollar(ticks: int, nano_usd: int | None) -> None:
    usage = read_usage({"usage": {"prompt_tokens": 1, "cost_in_usd_ticks": ticks}})

    assert usage is not None
    assert usage.cost_nano_usd == nano_usd


@pytest.mark.parametrize(
    ("name", "price", "usd"),
    [
        ("xai", {"input_per_1k": 1.0, "output_per_1k": 2.0}, "0.238"),
        (
            "kimi",
            {"input_per_1k": 1.0, "output_per_1k": 2.0, "cached_input_per_1k": 0.1},
            "0.21",
        ),
        (
            "deepseek",
            {"input_per_1k": 1.0, "output_per_1k": 2.0, "cached_input_per_1k": 0.1},
            "0.2936",  # 104 + 89.6 + 100 thousandths
        ),
    ],
)
def test_the_cost_comes_from_all_that_was_told(
    name: str, price: dict[str, float], usd: str
) -> None:
    prices = Prices({"openai": {"m": PriceConfig.model_validate(price)}})
    usage = read_usage(ANSWERS[name][0])
    assert usage is not None

    cost = estimate_cost(prices, "openai", "m", usage, at=0.0)

    assert cost is not None
    assert f"{cost.usd:f}".rstrip("0") == usd


# Streams ------------------------------------------------------------------------------------------


def counts(prompt: int, completion: int, **more: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, **more}


def of_choice(index: int, usage: dict[str, Any]) -> dict[str, Any]:
    return {"choices": [{"index": index, "delta": {}, "usage": usage}]}


STREAMS: dict[str, tuple[list[dict[str, Any]], TokenUsage]] = {
    # vLLM's continuous_usage_stats, Perplexity: totals of what came so far
    "growing": (
        [chunk(usage=counts(9, 0)), chunk(usage=counts(9, 1)), chunk(usage=counts(9, 2))],
        use(9, 2),
    ),
    "null-before-the-last": ([chunk(usage=None), chunk(usage=counts(9, 2))], use(9, 2)),
    "null-after": ([chunk(usage=counts(9, 2)), chunk(usage=None)], use(9, 2)),
    "a-placeholder-after": ([chunk(usage=counts(9, 2)), chunk(usage=counts(0, 0))], use(9, 2)),
    # Proxies of Anthropic: the prompt at the start, the completion at the end
    "halves": (
        [
            chunk(usage=counts(9, 0, prompt_tokens_details={"cached_tokens": 4})),
            chunk(usage=counts(0, 2)),
        ],
        use(9, 2, cached_tokens=4),
    ),
    # https://github.com/rmusser01/tldw_chatbook/pull/1627: Kimi tells the same twice
    "choice-and-own-chunk": (
        [of_choice(0, counts(19, 13)), {"choices": [], "usage": counts(19, 13)}],
        use(19, 13),
    ),
    "each-choice-its-own": (
        [of_choice(0, counts(19, 13)), of_choice(1, counts(19, 20)), of_choice(0, counts(19, 13))],
        use(19, 33),
    ),
    "all-choices-at-once": (
        [{"choices": [{"index": i, "usage": counts(19, 10 + i)} for i in range(2)]}],
        use(19, 21),
    ),
    # Groq asked for usage: with the last content, then in a chunk of its own
    "groq-twice": (
        [
            chunk(x_groq={"usage": counts(23, 19)}),
            {"choices": [], "usage": counts(23, 19), "x_groq": {"usage": counts(23, 19)}},
        ],
        use(23, 19),
    ),
    # llama.cpp's usage is of the whole prompt, its timings of what was not in the cache
    "timings-then-usage": (
        [
            chunk(timings={"prompt_n": 1, "predicted_n": 31}),
            {"choices": [], "usage": counts(75, 31)},
        ],
        use(75, 31),
    ),
    "usage-then-timings": (
        [chunk(usage=counts(75, 31)), chunk(timings={"prompt_n": 1, "predicted_n": 31})],
        use(75, 31),
    ),
    "a-cost-with-the-last-only": (
        [chunk(usage=counts(9, 1)), chunk(usage=counts(9, 2, cost={"total_cost": 0.006}))],
        use(9, 2, cost_nano_usd=6_000_000),
    ),
    "a-cost-that-is-not-told-again": (
        [chunk(usage=counts(9, 2, cost=0.006)), chunk(usage=counts(9, 2))],
        use(9, 2, cost_nano_usd=6_000_000),
    ),
    # A cost of the beginning is none of the whole.
    "a-cost-that-is-outgrown": (
        [chunk(usage=counts(9, 1, cost=0.006)), chunk(usage=counts(9, 2))],
        use(9, 2),
    ),
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_comes_to_its_last_total(name: str) -> None:
    chunks, expected = STREAMS[name]
    tally = UsageTally()

    for each in chunks:
        tally.take(each)

    assert tally.usage == expected


def test_it_is_known_which_chunks_told_something() -> None:
    tally = UsageTally()

    assert [tally.take(chunk(usage=told)) for told in (None, counts(0, 0), counts(1, 1))] == [
        False,
        False,
        True,
    ]


# Long answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_first", [False, True])
def test_the_usage_of_a_long_answer_is_found_at_either_end(is_first: bool) -> None:
    vectors = [{"object": "embedding", "index": i, "embedding": [0.25] * 1000} for i in range(200)]
    usage = {"usage": {"prompt_tokens": 1600, "total_tokens": 1600}}
    body = {**usage, "data": vectors} if is_first else {"data": vectors, **usage}

    assert find_usage(json.dumps(body).encode()) == use(1600)


def test_what_a_long_answer_says_is_not_taken_for_its_usage() -> None:
    said = json.dumps({"usage": counts(1, 1)}) * 1000
    body = json.dumps({"choices": [{"message": {"content": said}}], "usage": None}).encode()

    assert find_usage(body) is None
    assert find_usage(b'{"usage": {"prompt_tokens": ' + b"1" * 20_000) is None
    assert find_usage(b'"usage":' + b"{" * 8_000) is None


# Properties ---------------------------------------------------------------------------------------

NUMBERS: st.SearchStrategy[object] = st.one_of(
    st.integers(-5, 200),
    st.floats(),
    st.sampled_from([None, True, "7", 10**18, MAX_TOKENS, MAX_TOKENS + 1, [], {}]),
)
DETAILS = st.dictionaries(
    st.sampled_from(["cached_tokens", "cache_write_tokens", "reasoning_tokens", "audio_tokens"]),
    NUMBERS,
)
USAGES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(
            (
                *("prompt_tokens", "completion_tokens", "total_tokens"),
                *("input_tokens", "output_tokens", "reasoning_tokens", "cached_tokens"),
                *("prompt_cache_hit_tokens", "prompt_cache_miss_tokens", "num_cached_tokens"),
                *("cache_read_input_tokens", "cache_creation_input_tokens"),
                *("prompt_audio_seconds", "cost", "cost_in_usd_ticks", "estimated_cost"),
            ),
            NUMBERS,
        ),
        "prompt_tokens_details": DETAILS,
        "completion_tokens_details": DETAILS,
        "cache_creation": st.dictionaries(st.just("ephemeral_1h_input_tokens"), NUMBERS),
        "cost_details": st.dictionaries(st.just("upstream_inference_cost"), NUMBERS),
        "is_byok": st.booleans(),
    },
)
PLACES = st.sampled_from(["usage", "x_groq", "choices", "meta", "embedding"])


def placed(place: str, usage: dict[str, Any]) -> dict[str, Any]:
    if place == "x_groq":
        return {"x_groq": {"usage": usage}}
    if place == "choices":
        return {"choices": [{"usage": usage}]}
    return {"meta": {"tokens": usage}} if place == "meta" else {"usage": usage}


def check(usage: TokenUsage) -> None:
    prompt, completion = usage.prompt_tokens, usage.completion_tokens
    assert 0 <= prompt <= MAX_TOKENS
    assert 0 <= completion <= MAX_TOKENS
    assert min(usage.cached_tokens, usage.cache_write_tokens) >= 0
    assert usage.cached_tokens + usage.cache_write_tokens <= prompt
    assert 0 <= usage.cache_write_1h_tokens <= usage.cache_write_tokens
    assert 0 <= usage.prompt_audio_tokens <= prompt
    assert 0 <= usage.reasoning_tokens <= completion
    assert 0 <= usage.completion_audio_tokens <= completion
    assert usage.cost_nano_usd is None or usage.cost_nano_usd >= 0


@promised()
@given(st.lists(st.tuples(PLACES, USAGES), max_size=4))
def test_parts_never_exceed_wholes_and_chunks_may_come_twice(
    told: list[tuple[str, dict[str, Any]]],
) -> None:
    once, twice = UsageTally(), UsageTally()
    for place, usage in told:
        fields = placed(place, usage)
        once.take(fields)
        twice.take(fields)
        twice.take(fields)

        assert once.usage == twice.usage
        if once.usage is not None:
            check(once.usage)


@promised()
@given(
    prompt=st.integers(1, 1000),
    completion=st.integers(1, 1000),
    reasoning=st.integers(0, 1000),
    is_beside=st.booleans(),
)
def test_the_total_tells_which_way_of_counting_holds(
    prompt: int, completion: int, reasoning: int, is_beside: bool
) -> None:
    reasoning = reasoning if is_beside else min(reasoning, completion)
    total = prompt + completion + (reasoning if is_beside else 0)
    details = {"reasoning_tokens": reasoning}

    usage = read_usage(
        {"usage": counts(prompt, completion, total_tokens=total, completion_tokens_details=details)}
    )

    assert usage == use(prompt, total - prompt, reasoning_tokens=reasoning)
