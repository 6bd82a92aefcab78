from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import PriceConfig
from nexus_core.fleet.snapshot import BackendSnapshot
from nexus_core.money.priced_model import PricedModel
from nexus_core.money.prices import Prices, estimate_cost
from nexus_core.observe.events import TokenUsage
from nexus_core.types import Cost
from tests.made_up_backends import no_ledger, snapshot

AT = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
USAGE = TokenUsage(prompt_tokens=1000, completion_tokens=200, cached_tokens=900)


@cache
def listed() -> Prices:
    prices = Prices({})
    prices.load()
    return prices


def cloud(model: str = "gpt-5", **changes: object) -> BackendSnapshot:
    values = {
        "type": BackendType.OPENAI,
        "url": "https://api.openai.com",
        "models": MappingProxyType({model: model}),
    }
    return snapshot("cloud", **{**values, **changes})


@pytest.mark.parametrize("tier", [None, "flex", "priority", "default", "no such tier"])
def test_it_costs_what_the_list_says_for_each_service_tier(tier: str | None) -> None:
    priced = PricedModel(listed(), cloud(), "gpt-5")
    expected = estimate_cost(listed(), "openai", "gpt-5", USAGE, at=AT, service_tier=tier)

    twice = [priced.cost(USAGE, AT, tier) for _ in range(2)]

    assert twice == [expected, expected]


def test_a_price_is_asked_for_again_when_its_time_is_over() -> None:
    backend = cloud("deepseek-chat", url="https://api.deepseek.com")
    priced = PricedModel(listed(), backend, "deepseek-chat")
    costs: list[Cost | None] = []

    for hour in (12, 20, 12):  # cheaper at night
        at = datetime(2025, 3, 1, hour, tzinfo=UTC).timestamp()
        costs.append(priced.cost(USAGE, at))
        expected = estimate_cost(listed(), "deepseek", "deepseek-chat", USAGE, at=at)
        assert costs[-1] == expected

    assert costs[0] == costs[2] != costs[1]


def test_a_deployment_is_priced_by_the_name_that_clients_use() -> None:
    backend = cloud(
        type=BackendType.AZURE,
        url="https://x.openai.azure.com",
        models=MappingProxyType({"gpt-5": "our-deployment"}),
    )

    assert PricedModel(listed(), backend, "our-deployment").name == "gpt-5"


def test_an_unknown_model_has_no_price() -> None:
    priced = PricedModel(listed(), cloud(), "no-such-model")

    assert priced.price(AT) is None
    assert priced.cost(USAGE, AT) is None
    assert priced.plain_cost(1, 1, AT) is None


def test_another_price_list_or_another_backend_of_that_name_is_seen_at_once() -> None:
    tracker = no_ledger()
    tracker.prices = listed().configured(
        {"openai": {"gpt-5": PriceConfig(input_per_1k=1.0, output_per_1k=1.0)}}
    )
    backend = cloud()
    configured = tracker.priced(backend, "gpt-5")
    assert tracker.priced(backend, "gpt-5") is configured

    tracker.prices = listed()
    relisted = tracker.priced(backend, "gpt-5")
    moved = tracker.priced(cloud(url="https://api.deepseek.com"), "gpt-5")

    assert configured.price(AT) is not relisted.price(AT)
    assert (relisted.provider, moved.provider) == ("openai", "deepseek")


def test_before_the_list_is_there_nothing_is_kept() -> None:
    tracker = no_ledger()
    before = tracker.priced(cloud(), "gpt-5").price(AT)

    tracker.prices.load()

    assert before is None
    assert tracker.priced(cloud(), "gpt-5").price(AT) is not None
