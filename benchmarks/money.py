"""What money costs the request path: pricing, the bill of an attempt, a row for the ledger.

The references in the same run: the price list's own calculation, and making the row. Wanted: a
price below 10 microseconds, an append below 20, also while the writer is busy. The bill is all of
it: a reservation, an estimate, a settlement and a row.
Run: python benchmarks/money.py
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path

import genai_prices

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BudgetConfig, Config, StorageConfig
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.fleet.snapshot import BackendSnapshot
from nexus_core.money.accounting import CostTracker
from nexus_core.money.ledger import Ledger
from nexus_core.money.ledger_schema import LedgerRow, ledger_row
from nexus_core.money.prices import Prices, estimate_cost
from nexus_core.observe.events import TokenUsage
from nexus_core.observe.record import RequestRecord
from nexus_core.proxy.charge import Charge, ReportedUsage
from nexus_core.proxy.reply import ProxyRequest
from nexus_core.routing.requirements import Requirements
from nexus_core.types import (
    Cost,
    CountMethod,
    HealthStatus,
    Operation,
    PrivacyZone,
    RouteReason,
)

NUMBER = 2000
USAGE = TokenUsage(prompt_tokens=2000, completion_tokens=300, cached_tokens=1500)


def microseconds(statement: Callable[[], object]) -> float:
    return min(timeit.repeat(statement, number=NUMBER, repeat=5)) / NUMBER * 1e6


def price() -> None:
    prices = Prices({})
    started = time.perf_counter()
    prices.load()
    print(f"{'load':14} {(time.perf_counter() - started) * 1e3:7.1f} ms   the price list")
    theirs = genai_prices.Usage(input_tokens=2000, output_tokens=300, cache_read_tokens=1500)
    reference = microseconds(
        lambda: genai_prices.calc_price(theirs, "gpt-4o", provider_id="openai")
    )
    print(f"{'reference':14} {reference:7.1f} us   the list's own calculation")
    now = time.time()
    for provider, model in (("openai", "gpt-4o"), ("google", "gemini-2.5-pro"), ("openai", "none")):
        taken = microseconds(partial(estimate_cost, prices, provider, model, USAGE, at=now))
        print(f"{model:14} {taken:7.1f} us   {taken / reference:5.2f} x the reference")


OVER = RequestRecord(
    "0123456789abcdef",
    at=time.time(),
    endpoint="/v1/chat/completions",
    asked_model="gpt-4o",
    is_streaming=True,
    client="laptop",
    body_bytes=1204,
    backend="openai",
    backend_type=BackendType.OPENAI,
    zone=PrivacyZone.OPEN,
    reason=RouteReason.CAPABILITY_MATCH,
    route_model="gpt-4o-2024-11-20",
    status=200,
    ended_at=time.time(),
    total_ms=512.5,
    first_byte_ms=90.0,
    overhead_ms=0.4,
    usage=USAGE,
    counted=CountMethod.REPORTED,
    cost=Cost(4_000_000, "config"),
)


def row() -> LedgerRow:
    return ledger_row(OVER)


def append() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "nexus.db")
        ledger.open()
        reference = microseconds(row)
        ready, taken = row(), []
        for number in range(20_000):  # slower than they are written, faster than any traffic
            started = time.perf_counter()
            ledger.append(ready)
            taken.append((time.perf_counter() - started) * 1e6)
            if number % 20 == 0:
                time.sleep(0.001)
        ledger.close()
    median, tail = statistics.median(taken), statistics.quantiles(taken, n=100)[98]
    print(f"{'reference':14} {reference:7.1f} us   making the row")
    print(f"{'append':14} {median:7.1f} us   {median / reference:5.2f} x the reference")
    print(f"{'append, p99':14} {tail:7.1f} us   {ledger.lost} lost")


def bill() -> None:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hello"}]}
    request = ProxyRequest(
        envelope=read_request(Operation.CHAT, json.dumps(body).encode(), "0123456789abcdef"),
        dialect=OPENAI_CHAT,
        need=Requirements("gpt-4o", ("gpt-4o",)),
        client="laptop",
        headers=(),
        received=0.0,
    )
    backend = BackendSnapshot(
        name="openai",
        type=BackendType.OPENAI,
        zone=PrivacyZone.OPEN,
        tier=None,
        priority=50,
        max_concurrent=None,
        url="https://api.openai.com",
        models={"gpt-4o": "gpt-4o"},
        health=HealthStatus.HEALTHY,
    )
    answered, ready, now = ReportedUsage(usage=USAGE, is_whole=True), row(), time.time()
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "nexus.db")
        config = Config(
            storage=StorageConfig(path=path), budget=BudgetConfig(monthly_limit_usd=1e6)
        )
        cost_tracker = CostTracker(config, time.time)
        cost_tracker.ledger.open()
        cost_tracker.prices.load()

        def attempt() -> None:
            estimate = cost_tracker.estimate(backend, "gpt-4o", request.envelope.demand, now)
            Charge(cost_tracker, request, "gpt-4o", estimate, now).settle(answered, now)
            cost_tracker.ledger.append(ready)

        reference = microseconds(row)
        taken = microseconds(attempt)
        cost_tracker.ledger.close()
    print(f"{'reference':14} {reference:7.1f} us   making the row")
    print(f"{'bill':14} {taken:7.1f} us   {taken / reference:5.2f} x the reference")


if __name__ == "__main__":
    price()
    bill()
    append()
