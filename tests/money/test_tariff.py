"""Integers give what decimal arithmetic does, to the last nano-dollar."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, localcontext

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nexus_core.config.schema import PriceConfig
from nexus_core.money.price_list import Rates
from nexus_core.money.prices import Prices, estimate_cost
from nexus_core.money.tariff import Tariff
from nexus_core.observe.events import TokenUsage
from nexus_core.types import NANO
from tests.examples import promised

# As lists and files write them: dollars for a million tokens, or for a thousand.
PER_TOKEN = st.builds(
    lambda price, by: Decimal(repr(price)) / by,
    st.floats(0, 1000, allow_nan=False)
    | st.sampled_from((0.00015, 0.0000004, 2.5, 1e-7, 0.075, 1 / 3, 0.1234567890123)),
    st.sampled_from((1_000, 1_000_000)),
)
SOME = st.none() | PER_TOKEN
RATES = st.builds(
    Rates,
    input=SOME,
    output=SOME,
    cached=SOME,
    cache_write=SOME,
    cache_write_1h=SOME,
    reasoning=SOME,
    input_audio=SOME,
    output_audio=SOME,
    request=st.sampled_from((Decimal(0), Decimal("0.01"), Decimal("0.0000000005"))),
)
FEW = st.sampled_from((0, 0, 0, 1, 7))
COUNTS = FEW | st.integers(0, 2_000_000)


@st.composite
def usages(draw: st.DrawFn) -> TokenUsage:
    written = draw(COUNTS)
    return TokenUsage(
        prompt_tokens=draw(COUNTS),
        completion_tokens=draw(COUNTS),
        cached_tokens=draw(COUNTS),
        cache_write_tokens=written,
        cache_write_1h_tokens=draw(st.integers(0, written)),
        prompt_audio_tokens=draw(FEW),
        reasoning_tokens=draw(COUNTS),
        completion_audio_tokens=draw(FEW),
    )


def by_decimals(rates: Rates, usage: TokenUsage) -> int | None:
    """The oracle: exact decimal arithmetic, rounded once."""
    prompt = usage.prompt_tokens - usage.cached_tokens
    prompt -= usage.cache_write_tokens + usage.prompt_audio_tokens
    completion = usage.completion_tokens - usage.reasoning_tokens - usage.completion_audio_tokens
    with localcontext(Context(prec=1000)):
        total = rates.request
        for tokens, rate in (
            (max(0, prompt), rates.input),
            (usage.cached_tokens, rates.cached),
            (usage.cache_write_tokens - usage.cache_write_1h_tokens, rates.cache_write),
            (usage.cache_write_1h_tokens, rates.cache_write_1h),
            (usage.prompt_audio_tokens, rates.input_audio),
            (max(0, completion), rates.output),
            (usage.reasoning_tokens, rates.reasoning),
            (usage.completion_audio_tokens, rates.output_audio),
        ):
            if tokens and rate is None:
                return None
            if tokens and rate:
                total += tokens * rate
        return int((total * NANO).to_integral_value(ROUND_HALF_EVEN))


@promised()
@given(rates=RATES, usage=usages())
@example(
    Rates.of(Decimal("0.0000000005"), Decimal(0)), TokenUsage(prompt_tokens=1, completion_tokens=0)
)
@example(
    Rates.of(Decimal("0.0000000005"), Decimal(0)), TokenUsage(prompt_tokens=3, completion_tokens=0)
)
def test_a_tariff_bills_as_exact_decimals_do(rates: Rates, usage: TokenUsage) -> None:
    assert Tariff(rates).nano_usd(usage) == by_decimals(rates, usage)


@promised()
@given(rates=RATES, prompt=COUNTS, completion=COUNTS)
def test_plain_tokens_cost_what_a_usage_of_them_does(
    rates: Rates, prompt: int, completion: int
) -> None:
    usage = TokenUsage(prompt_tokens=prompt, completion_tokens=completion)

    assert Tariff(rates).plain_nano_usd(prompt, completion) == by_decimals(rates, usage)


@promised()
@given(
    per_1k=st.floats(0, 100, allow_nan=False) | st.sampled_from((0.00015, 0.0006, 3e-7)),
    usage=usages(),
)
def test_a_price_of_the_file_counts_as_it_is_written(per_1k: float, usage: TokenUsage) -> None:
    price = PriceConfig(input_per_1k=per_1k, output_per_1k=per_1k * 4)
    prices = Prices({"openai": {"m": price}})
    rates = Rates.of(
        Decimal(repr(price.input_per_1k)) / 1000, Decimal(repr(price.output_per_1k)) / 1000
    )

    cost = estimate_cost(prices, "openai", "m", usage, at=0.0)

    assert cost is not None
    assert cost.nano_usd == by_decimals(rates, usage)


@pytest.mark.parametrize(("prompt", "expected"), [(1, 0), (2, 1), (3, 2), (5, 2), (7, 4)])
def test_half_a_nano_dollar_goes_to_the_even_one(prompt: int, expected: int) -> None:
    half = Tariff(Rates.of(Decimal("0.0000000005"), Decimal(0)))

    assert half.plain_nano_usd(prompt, 0) == expected
