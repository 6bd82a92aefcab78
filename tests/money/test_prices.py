"""Costs are what the providers charge: at each kind's own price, to the nano-dollar, or unknown."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Any

import genai_prices
import pytest
from genai_prices import Usage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import TieredPrices
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.config.schema import PriceConfig
from nexus_core.dialects.usage import read_usage
from nexus_core.money.prices import FROM_CONFIG, Prices, Saving, estimate_cost, savings
from nexus_core.observe.events import TokenUsage
from nexus_core.types import NANO, Cost
from tests.examples import promised
from tests.offline import offline  # noqa: F401 - a fixture

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
AT = NOW.timestamp()


@cache
def listed() -> Prices:
    prices = Prices({})
    prices.load()
    return prices


def configured(**price: float) -> Prices:
    return Prices({"openai": {"m": PriceConfig.model_validate(price)}})


def use(prompt: int, completion: int, **details: int) -> TokenUsage:
    return TokenUsage(prompt_tokens=prompt, completion_tokens=completion, **details)


def nano(usd: Decimal) -> int:
    return int((usd * NANO).to_integral_value(ROUND_HALF_EVEN))


def as_the_list_says(provider: str, model: str, usage: TokenUsage, **context: str) -> int:
    """genai-prices' own calculation, in nano-dollars."""
    kinds = {
        "input_tokens": usage.prompt_tokens,
        "output_tokens": usage.completion_tokens,
        "cache_read_tokens": usage.cached_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
        "input_audio_tokens": usage.prompt_audio_tokens,
        "output_audio_tokens": usage.completion_audio_tokens,
        "cache_audio_read_tokens": 0,  # what the answers do not tell: taken to be none
    }
    calculation = genai_prices.calc_price(
        Usage(**kinds),
        model,
        provider_id=provider,
        genai_request_timestamp=NOW,
        price_context=context or None,
    )
    return nano(calculation.total_price)


# Usage as the providers' APIs report it.
OPENAI_USAGE = """{"usage": {"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
  "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
  "completion_tokens_details": {"reasoning_tokens": 192, "audio_tokens": 0,
    "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}}"""
# No details at all, as OpenAI's older models and many that speak its format answer.
BARE_USAGE = '{"usage": {"prompt_tokens": 41, "completion_tokens": 7, "total_tokens": 48}}'
ANTHROPIC_USAGE = {
    "input_tokens": 21,
    "cache_creation_input_tokens": 1886,
    "cache_read_input_tokens": 18_860,
    "cache_creation": {"ephemeral_5m_input_tokens": 1386, "ephemeral_1h_input_tokens": 500},
    "output_tokens": 393,
}
GOOGLE_USAGE = {
    "promptTokenCount": 250_001,
    "cachedContentTokenCount": 200_000,
    "candidatesTokenCount": 120,
    "thoughtsTokenCount": 880,
}


def from_openai(text: str) -> TokenUsage:
    usage = read_usage(json.loads(text))
    assert usage is not None
    return usage


def from_anthropic(usage: dict[str, Any]) -> TokenUsage:
    read, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    return use(
        usage["input_tokens"] + read + written,
        usage["output_tokens"],
        cached_tokens=read,
        cache_write_tokens=written,
        cache_write_1h_tokens=usage["cache_creation"]["ephemeral_1h_input_tokens"],
    )


def from_google(usage: dict[str, int]) -> TokenUsage:
    return use(
        usage["promptTokenCount"],
        usage["candidatesTokenCount"] + usage["thoughtsTokenCount"],
        cached_tokens=usage["cachedContentTokenCount"],
        reasoning_tokens=usage["thoughtsTokenCount"],
    )


# Worked out by hand from the price pages, in nano-dollars: $1 for a million tokens is 1,000 each.
GOLDEN = [
    ("openai", "gpt-4o-2024-11-20", from_openai(BARE_USAGE), 41 * 2500 + 7 * 10_000),
    ("openai", "gpt-5-mini", from_openai(OPENAI_USAGE), 86 * 250 + 1920 * 25 + 300 * 2000),
    (
        "anthropic",
        "claude-sonnet-4-5-20250929",
        from_anthropic(ANTHROPIC_USAGE),
        21 * 3000 + 1386 * 3750 + 500 * 6000 + 18_860 * 300 + 393 * 15_000,
    ),
    (  # above 200,000 prompt tokens everything costs more, the answer too
        "google",
        "gemini-2.5-pro",
        from_google(GOOGLE_USAGE),
        50_001 * 2500 + 200_000 * 250 + 1000 * 15_000,
    ),
    ("google", "models/gemini-2.5-pro", use(200_000, 10), 200_000 * 1250 + 10 * 10_000),
    ("openai", "text-embedding-3-small", use(1000, 0), 1000 * 20),
]


@pytest.mark.parametrize(("provider", "model", "usage", "expected"), GOLDEN)
def test_an_exchange_costs_what_the_provider_bills(
    provider: str, model: str, usage: TokenUsage, expected: int
) -> None:
    cost = estimate_cost(listed(), provider, model, usage, at=AT)

    assert cost is not None
    assert cost.nano_usd == expected
    assert cost.nano_usd == as_the_list_says(provider, model.removeprefix("models/"), usage)


SHAPES = {
    "plain": use(1000, 500),
    "nothing": use(0, 0),
    "cached": use(1000, 500, cached_tokens=900),
    "written": use(5000, 1, cached_tokens=1000, cache_write_tokens=3000),
    "written for an hour": use(5000, 1, cache_write_tokens=3000, cache_write_1h_tokens=2000),
    "reasoning": use(10, 5000, reasoning_tokens=4990),
    "audio": use(700, 900, prompt_audio_tokens=600, completion_audio_tokens=800),
    "everything": use(
        3000,
        900,
        cached_tokens=500,
        cache_write_tokens=400,
        cache_write_1h_tokens=100,
        reasoning_tokens=300,
        prompt_audio_tokens=50,
        completion_audio_tokens=60,
    ),
    "long": use(200_001, 500, cached_tokens=100_000),
    "just not long": use(200_000, 500),
    "very long": use(1_000_000, 1, cached_tokens=1, cache_write_tokens=900_000),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
def test_every_listed_model_costs_what_the_list_says(provider: str, shape: str) -> None:
    usage = SHAPES[shape]
    models = [m.id for each in get_snapshot().providers if each.id == provider for m in each.models]
    priced = 0

    for model in models:
        cost = estimate_cost(listed(), provider, model, usage, at=AT)
        if cost is not None:
            assert cost.nano_usd == as_the_list_says(provider, model, usage), model
            priced += 1

    assert priced > len(models) // 2


@pytest.mark.parametrize("tier", ["flex", "priority", "default", "no such tier"])
def test_a_service_tier_has_its_own_price(tier: str) -> None:
    usage = use(1000, 500, cached_tokens=900)

    cost = estimate_cost(listed(), "openai", "gpt-5", usage, at=AT, service_tier=tier)

    assert cost is not None
    assert cost.nano_usd == as_the_list_says("openai", "gpt-5", usage, service_tier=tier)


def test_a_price_changes_on_its_day() -> None:
    model = "gemini-3-pro-preview"
    info = get_snapshot().find_provider_model(model, None, "google", None)[1]
    prices = Prices({})
    prices.load()

    for at in (datetime(2026, 1, 4, 23, 59, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=UTC)):
        cost = estimate_cost(prices, "google", model, use(1000, 0), at=at.timestamp())

        base = info.get_prices(at).input_mtok
        price = base.base if isinstance(base, TieredPrices) else base
        assert price is not None
        assert cost is not None
        assert cost.nano_usd == nano(price / 1000)


def test_a_price_by_the_hour_is_asked_for_again() -> None:
    """DeepSeek was cheaper at night: https://api-docs.deepseek.com/quick_start/pricing"""
    prices = listed()
    costs = {}

    for hour in (12, 20):
        at = datetime(2025, 3, 1, hour, tzinfo=UTC)
        cost = estimate_cost(
            prices, "deepseek", "deepseek-chat", use(1_000_000, 0), at=at.timestamp()
        )
        theirs = genai_prices.calc_price(
            Usage(input_tokens=1_000_000, output_tokens=0),
            "deepseek-chat",
            provider_id="deepseek",
            genai_request_timestamp=at,
        )
        assert cost is not None
        assert cost.nano_usd == nano(theirs.total_price)
        costs[hour] = cost.nano_usd

    assert costs[12] != costs[20]


def test_the_config_wins_and_says_so() -> None:
    prices = Prices({"openai": {"gpt-4o": PriceConfig(input_per_1k=0.001, output_per_1k=0.002)}})
    prices.load()

    cost = estimate_cost(prices, "openai", "gpt-4o", use(1000, 1000), at=AT)

    assert cost == Cost(3_000_000, FROM_CONFIG)


def test_a_listed_price_names_the_list_and_its_date() -> None:
    cost = estimate_cost(listed(), "openai", "gpt-4o", use(1, 1), at=AT)

    assert cost is not None
    name, version, day = cost.source.split()
    assert (name, version) == ("genai-prices", genai_prices.__version__)
    assert datetime.fromisoformat(day.strip("()")).year >= 2026


@pytest.mark.parametrize(
    ("price", "usage", "expected"),
    [
        ({}, use(1000, 1000, cached_tokens=500, cache_write_tokens=300), 1_000_000 + 2_000_000),
        (
            {"cached_input_per_1k": 0.0001},
            use(1000, 0, cached_tokens=500),
            500_000 + 50_000,
        ),
        (
            {"cache_write_per_1k": 0.00125},
            use(1000, 0, cache_write_tokens=400, cache_write_1h_tokens=100),
            600_000 + 500_000,
        ),
        ({"cached_input_per_1k": 0}, use(1000, 0, cached_tokens=1000), 0),
    ],
)
def test_cached_tokens_have_their_configured_price_or_that_of_the_prompt(
    price: dict[str, float], usage: TokenUsage, expected: int
) -> None:
    prices = configured(input_per_1k=0.001, output_per_1k=0.002, **price)

    cost = estimate_cost(prices, "openai", "m", usage, at=AT)

    assert cost == Cost(expected, FROM_CONFIG)


def test_a_free_price_is_not_an_unknown_one() -> None:
    prices = configured(input_per_1k=0, output_per_1k=0)

    cost = estimate_cost(prices, "openai", "m", use(1000, 1000), at=AT)

    assert cost == Cost(0, FROM_CONFIG)


@pytest.mark.parametrize("prices", [Prices({}), listed()], ids=["not loaded", "loaded"])
def test_an_unknown_model_has_no_cost(prices: Prices) -> None:
    cost = estimate_cost(prices, "openai", "llama3:70b", use(1000, 1000), at=AT)

    assert cost is None


def test_a_model_that_is_not_billed_by_the_token_has_no_cost() -> None:
    cost = estimate_cost(listed(), "openai", "whisper-1", use(1000, 1000), at=AT)

    assert cost is None


@pytest.mark.parametrize("kind", ["prompt_tokens", "completion_tokens", "cached_tokens"])
def test_a_negative_count_is_an_error(kind: str) -> None:
    counts = {"prompt_tokens": 1, "completion_tokens": 1} | {kind: -5}
    prices = configured(input_per_1k=1, output_per_1k=1)

    with pytest.raises(ValueError, match="negative"):
        estimate_cost(prices, "openai", "m", TokenUsage(**counts), at=AT)


@promised()
@given(
    price=st.floats(0, 10, allow_nan=False),
    counts=st.lists(st.integers(0, 10**6), min_size=2, max_size=20),
)
def test_sums_do_not_drift(price: float, counts: list[int]) -> None:
    prices = configured(input_per_1k=price, output_per_1k=0)

    parts = [estimate_cost(prices, "openai", "m", use(count, 0), at=AT) for count in counts]
    whole = estimate_cost(prices, "openai", "m", use(sum(counts), 0), at=AT)

    assert whole is not None
    total = sum(part.nano_usd for part in parts if part)
    assert abs(total - whole.nano_usd) <= len(counts) / 2 + 0.5  # half a nano-dollar each


def test_an_unpriced_model_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    prices = Prices({})

    with caplog.at_level(logging.WARNING):
        for model in ("new-model", "new-model", "other-model"):
            prices.warn_once("anthropic", model)

    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        'no price is known for anthropic model "new-model"',
        'no price is known for anthropic model "other-model"',
    ]
    assert "[pricing.anthropic]" in caplog.text


@pytest.mark.parametrize(
    ("asked", "served", "provider"),
    [
        ("gpt-4", "llama3:70b", "openai"),
        ("claude-sonnet-4-5", "qwen2:72b", "anthropic"),
        ("gemini-2.5-flash", "gemma3", "google"),
    ],
)
def test_a_local_answer_saves_what_the_asked_cloud_model_costs(
    asked: str, served: str, provider: str
) -> None:
    usage = use(1000, 200)

    saving = savings(listed(), asked, served, usage, at=AT)

    cost = estimate_cost(listed(), provider, asked, usage, at=AT)
    assert cost is not None
    assert saving == Saving(asked, cost)


@pytest.mark.parametrize(
    ("asked", "served"),
    [("llama3:70b", "llama3:70b"), ("my-alias", "llama3:70b"), ("gpt-4", "gpt-4")],
)
def test_a_model_that_is_no_cloud_model_saves_nothing(asked: str, served: str) -> None:
    assert savings(listed(), asked, served, use(10, 10), at=AT) is None
