from __future__ import annotations

import asyncio
import json
import threading
import time
from typing import Any

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BudgetConfig, PriceConfig, RoutingConfig
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT, OpenAIChat
from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.dialects.request import Request
from nexus_core.money.accounting import CostTracker
from nexus_core.observe.events import RequestFinished, TokenUsage
from nexus_core.observe.record import HeaderLines
from nexus_core.proxy.charge import Charge, ReportedUsage
from nexus_core.proxy.reply import ProxyRequest, SelectedRoute
from nexus_core.routing.requirements import Requirements
from nexus_core.tokens.count import THREAD_FROM_BYTES
from nexus_core.tokens.counter import TokenCounter
from nexus_core.types import (
    NANO,
    Cost,
    CountMethod,
    Operation,
    PrivacyZone,
    PromptParts,
    TokenCount,
)
from nexus_core.upstream.base import Headers
from tests.made_up_backends import no_ledger, snapshot
from tests.proxy.fakes import RecordingReply
from tests.proxy.world import World
from tests.waiting import pass_time, settled


class LeavingReply(RecordingReply):
    """A client that leaves at the moment its answer begins."""

    def start(
        self, status: int, upstream: Headers, selected: SelectedRoute, *, length: int | None
    ) -> HeaderLines:
        raise asyncio.CancelledError


async def test_a_client_that_leaves_before_an_error_pays_nothing() -> None:
    backend = {"zone": PrivacyZone.OPEN, "models": {"m": "m"}}
    world = World([backend], RoutingConfig(), False, ["400"], kinds=(BackendType.OPENAI,))
    world.cost_tracker.prices.load()
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}
    request = ProxyRequest(
        envelope=read_request(Operation.CHAT, json.dumps(body).encode(), "r1"),
        dialect=OPENAI_CHAT,
        need=Requirements("m", ("m",)),
        client=None,
        headers=(),
        received=time.monotonic(),
    )
    world.restricted["r1"] = False

    with pytest.raises(asyncio.CancelledError):
        await world.forwarder.forward(request, LeavingReply())

    (finished,) = [e for e in world.events.drain() if isinstance(e, RequestFinished)]
    assert (finished.usage, finished.cost, finished.is_unpriced) == (None, None, False)
    assert finished.client_left
    assert world.cost_tracker.budget.reserved_nano_usd == 0


LIMITED = BudgetConfig(monthly_limit_usd=1e6)
PRICE = PriceConfig(input_per_1k=1.0, output_per_1k=0.0)
PRICES = {"openai": dict.fromkeys(("gpt-4o", "claude-3-opus", "claude-opus-4-7"), PRICE)}
SHORT, LONG = 100, THREAD_FROM_BYTES


async def a_moment() -> None:
    """As long as a short prompt waits to be counted, and a little longer."""
    pass_time(0.2)
    await settled()


class Counter(TokenCounter):
    """Counts every prompt as 42 tokens, and notes which models it was asked for."""

    def __init__(self, *, is_late: bool = False) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.owed: list[asyncio.Future[TokenCount]] = []
        self._is_late = is_late

    def count(self, model: str, prompt: PromptParts) -> asyncio.Future[TokenCount]:
        self.asked.append(model)
        counted: asyncio.Future[TokenCount] = asyncio.get_running_loop().create_future()
        self.owed.append(counted)
        if not self._is_late:
            counted.set_result(EXACT)
        return counted


EXACT = TokenCount(42, CountMethod.EXACT)


def counting(counter: Counter, **sections: Any) -> CostTracker:
    tracker = no_ledger(pricing=PRICES, **sections)
    tracker.prices.load()
    tracker.counter = counter
    return tracker


def asking(*, chars: int = SHORT, stream: bool = False, dialect: OpenAIChat | None = None) -> Any:
    messages = [{"role": "user", "content": "x" * chars}]
    body = {"model": "gpt-4o", "messages": messages, "stream": stream}
    return ProxyRequest(
        envelope=read_request(Operation.CHAT, json.dumps(body).encode(), "r1"),
        dialect=dialect or OPENAI_CHAT,
        need=Requirements("gpt-4o", ("gpt-4o",)),
        client=None,
        headers=(),
        received=time.monotonic(),
    )


def charged(tracker: CostTracker, request: ProxyRequest, model: str = "gpt-4o") -> Charge:
    backend = snapshot("cloud", type=BackendType.OPENAI, zone=PrivacyZone.OPEN)
    estimate = tracker.estimate(backend, model, request.envelope.demand, 0.0)
    return Charge(tracker, request, model, estimate, 0.0)


def usage(prompt: int, completion: int = 0) -> TokenUsage:
    return TokenUsage(prompt_tokens=prompt, completion_tokens=completion)


@pytest.mark.parametrize("is_streaming", [False, True])
async def test_the_prompt_is_counted_only_where_no_usage_came_first(
    is_streaming: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[str] = []

    async def note(self: Charge, at: float) -> None:
        counted.append(self._model)

    monkeypatch.setattr(Charge, "counted", note)
    backend = {"zone": PrivacyZone.OPEN, "models": {"gpt-4o": "m"}}
    world = World([backend], RoutingConfig(), False, ["answer"], kinds=(BackendType.OPENAI,))
    world.cost_tracker.prices.load()
    request = asking(stream=is_streaming)
    world.restricted[request.envelope.id] = False

    await world.forwarder.forward(request, RecordingReply())

    (finished,) = [e for e in world.events.drain() if isinstance(e, RequestFinished)]
    assert finished.usage == usage(100, 200)  # as the answer reports
    assert counted == (["m"] if is_streaming else [])


@pytest.mark.parametrize("chars", [SHORT, LONG])
async def test_the_prompt_of_a_whole_answer_that_reports_its_usage_is_not_counted(
    chars: int,
) -> None:
    counter = Counter()
    tracker = counting(counter)
    request = asking(chars=chars)
    charge = charged(tracker, request)
    reserved = tracker.budget.reserved_nano_usd

    settled = charge.settle(ReportedUsage(usage=usage(1000), is_whole=True), 0.0)

    assert counter.asked == []
    assert reserved == request.envelope.demand.prompt_tokens * NANO // 1000
    assert settled.cost == Cost(NANO, "config")
    assert settled.counted is CountMethod.REPORTED
    assert tracker.budget.reserved_nano_usd == 0


@pytest.mark.parametrize("chars", [SHORT, LONG])
async def test_the_prompt_of_a_whole_answer_without_usage_is_counted(chars: int) -> None:
    counter = Counter()
    charge = charged(counting(counter), asking(chars=chars))

    await charge.counted(0.0)
    settled = charge.settle(ReportedUsage(usage=None, is_whole=True), 0.0)

    assert counter.asked == ["gpt-4o"]
    assert (settled.usage, settled.counted) == (usage(42), CountMethod.EXACT)


@pytest.mark.parametrize("chars", [SHORT, LONG])
@pytest.mark.parametrize(
    ("model", "chars_a_token"), [("gpt-4o", 4.0), ("claude-3-opus", 3.5), ("claude-opus-4-7", 2.7)]
)
async def test_a_limit_goes_by_the_length_of_a_prompt_in_its_model_s_own_tokens(
    chars: int, model: str, chars_a_token: float
) -> None:
    counter = Counter()
    tracker = counting(counter, budget=LIMITED)

    charge = charged(tracker, asking(chars=chars), model)

    reserved = tracker.budget.reserved_nano_usd
    assert reserved * 1000 / NANO == pytest.approx(chars / chars_a_token, abs=12)
    assert counter.asked == []
    charge.drop(0.0)
    assert tracker.budget.reserved_nano_usd == 0


@pytest.mark.parametrize("chars", [SHORT, LONG])
async def test_a_stream_s_prompt_is_counted_while_the_backend_works(chars: int) -> None:
    counter = Counter()
    charge = charged(counting(counter), asking(chars=chars, stream=True))
    before = list(counter.asked)
    await a_moment()

    await charge.counted(0.0)

    assert before == []
    assert counter.asked == ["gpt-4o"]
    assert charge.expected(None, 0.0) == Cost(42 * NANO // 1000, "config")


@pytest.mark.parametrize("chars", [SHORT, LONG])
async def test_a_stream_does_not_wait_for_a_count_but_uses_it_at_its_end(chars: int) -> None:
    counter = Counter(is_late=True)
    request = asking(chars=chars, stream=True)
    charge = charged(counting(counter), request)
    await a_moment()

    async with asyncio.timeout(20):
        await charge.counted(0.0)
    told = charge.expected(None, 0.0)
    counter.owed[0].set_result(EXACT)
    settled = charge.settle(ReportedUsage(usage=None, is_whole=True), 0.0)

    assert told == Cost(request.envelope.demand.prompt_tokens * NANO // 1000, "config")
    assert (settled.usage, settled.counted) == (usage(42), CountMethod.EXACT)


@pytest.mark.parametrize("chars", [SHORT, LONG])
async def test_a_whole_answer_that_never_came_is_paid_by_an_estimate(chars: int) -> None:
    counter = Counter()
    charge = charged(counting(counter), asking(chars=chars))

    told = charge.settle(ReportedUsage(usage=None, is_whole=False), 0.0)

    assert counter.asked == []
    assert told.usage is not None
    assert told.usage.prompt_tokens == pytest.approx(chars / 4, rel=0.5)
    assert told.counted is CountMethod.ESTIMATED


async def test_a_short_prompt_of_a_stream_that_is_soon_over_is_not_counted() -> None:
    counter = Counter()
    charge = charged(counting(counter), asking(stream=True))
    await settled()

    await charge.counted(0.0)
    expected = charge.expected(None, 0.0)
    billed = charge.settle(ReportedUsage(usage=usage(42, 1), is_whole=True), 0.0)
    await a_moment()

    assert counter.asked == []
    assert expected == Cost(32 * NANO // 1000, "config")  # by its length
    assert billed.counted is CountMethod.REPORTED


async def test_a_stream_that_goes_on_without_usage_is_counted_after_a_moment() -> None:
    counter = Counter()
    charge = charged(counting(counter), asking(stream=True))
    await charge.counted(0.0)
    await a_moment()

    billed = charge.settle(ReportedUsage(usage=None, is_whole=True), 0.0)

    assert (counter.asked, billed.usage) == (["gpt-4o"], usage(42))
    assert billed.counted is CountMethod.EXACT


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_client_that_leaves_early_pays_the_prompt(is_late: bool) -> None:
    counter = Counter(is_late=is_late)
    charge = charged(counting(counter), asking(stream=True))

    await a_moment()
    told = charge.settle(ReportedUsage(usage=None, is_whole=False), 0.0)

    expected = CountMethod.ESTIMATED if is_late else CountMethod.EXACT
    assert (counter.asked, told.counted) == (["gpt-4o"], expected)
    assert [one.cancelled() for one in counter.owed] == [is_late]


async def test_a_dropped_stream_is_not_counted_any_more() -> None:
    counter = Counter()
    charge = charged(counting(counter), asking(stream=True))

    charge.drop(0.0)
    await settled()

    assert counter.asked == []


class Noting(OpenAIChat):
    """Notes in which thread a prompt is read."""

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def read_prompt(self, request: Request) -> PromptParts:
        self.threads.append(threading.current_thread())
        return OPENAI_CHAT.read_prompt(request)


@pytest.mark.parametrize(("chars", "is_here"), [(SHORT, True), (LONG, False)])
async def test_a_long_prompt_is_read_in_a_thread_and_a_short_one_is_not(
    chars: int, is_here: bool
) -> None:
    dialect = Noting()
    charge = charged(counting(Counter(), budget=LIMITED), asking(chars=chars, dialect=dialect))

    await charge.counted(0.0)

    assert [thread is threading.main_thread() for thread in dialect.threads] == [is_here]
