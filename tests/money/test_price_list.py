"""Prices for a vendor, whatever speaks its format; and where they come from."""

from __future__ import annotations

import pytest

from nexus_core.catalog import BackendType
from nexus_core.money.prices import FROM_CONFIG, Prices, estimate_cost
from nexus_core.types import Cost
from tests.money.test_prices import AT, configured, listed, use
from tests.offline import offline  # noqa: F401 - a fixture


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://api.openai.com", "openai"),
        ("http://127.0.0.1:4000", "openai"),
        ("https://api.groq.com/openai", "groq"),
        ("https://openrouter.ai/api", "openrouter"),
    ],
)
def test_a_backend_in_openais_format_is_priced_as_its_vendor(url: str, provider: str) -> None:
    assert listed().provider(BackendType.OPENAI, url) == provider


def test_prices_for_openai_hold_for_a_vendor_that_speaks_its_format() -> None:
    prices = configured(input_per_1k=0.001, output_per_1k=0)

    assert estimate_cost(prices, "groq", "m", use(1000, 0), at=AT) == Cost(1_000_000, FROM_CONFIG)
    assert estimate_cost(prices, "anthropic", "m", use(1000, 0), at=AT) is None


@pytest.mark.usefixtures("offline")
def test_prices_load_and_work_without_a_network() -> None:
    prices = Prices({})

    prices.load()

    assert estimate_cost(prices, "google", "gemini-2.5-flash", use(10, 10), at=AT) is not None
    assert estimate_cost(prices, "google", "gemini-unheard-of", use(10, 10), at=AT) is None
