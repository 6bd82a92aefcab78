"""With the network cut a Nexus knows its prices and words, and serves."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.contract.scripted_upstream import answers
from tests.offline import loopback_only  # noqa: F401 - a fixture
from tests.scenarios.money import CLOUD_TYPES, costs, ledger, priced, settled, vendor
from tests.scenarios.nexus import upstreams
from tests.vendors.samples import ANTHROPIC, GOOGLE
from tests.waiting import until

MODELS = ("gpt-4o", ANTHROPIC.model, GOOGLE.model)


@pytest.mark.usefixtures("loopback_only")
async def test_nothing_is_fetched_at_run_time(tmp_path: Path) -> None:
    scripts = costs(), answers(ANTHROPIC.answer), answers(GOOGLE.answer)
    async with upstreams(*scripts) as started:
        fleet = [
            vendor(kind, upstream.url, models=(model,))
            for kind, upstream, model in zip(CLOUD_TYPES, started, MODELS, strict=True)
        ]
        async with priced(*fleet, folder=tmp_path, pricing={}) as nexus:
            counter = nexus.gateway.cost_tracker.counter
            counter.load("gpt-4o")
            await until(lambda: counter.is_loaded("gpt-4o"))
            answered = [await nexus.ask(model) for model in MODELS]
            await settled(nexus, len(MODELS))

    assert [answer.status_code for answer in answered] == [200] * 3
    assert all(float(answer.headers["x-nexus-cost-estimated"][1:]) > 0 for answer in answered)
    rows = ledger(tmp_path)
    assert [row["backend_type"] for row in rows] == [kind.value for kind in CLOUD_TYPES]
    assert {row["price_source"].split()[0] for row in rows} == {"genai-prices"}


@pytest.mark.usefixtures("loopback_only")
def test_the_network_is_really_cut() -> None:
    with socket.socket() as cut, pytest.raises(AssertionError, match="reached for the network"):
        cut.connect(("192.0.2.1", 80))
    with pytest.raises(AssertionError, match="reached for the network"):
        socket.create_connection(("prices.invalid", 443))
