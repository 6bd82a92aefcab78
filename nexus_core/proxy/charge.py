"""The charge of one attempt: estimated and reserved before, settled after."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from nexus_core.fleet.snapshot import BackendSnapshot
from nexus_core.money.accounting import CostTracker
from nexus_core.money.budget import Reservation
from nexus_core.money.prices import REPORTED, estimate_cost, savings
from nexus_core.observe.events import TokenUsage
from nexus_core.proxy.reply import ProxyRequest
from nexus_core.tokens.count import THREAD_FROM_BYTES, tokens_of
from nexus_core.types import Cost, CountMethod, Operation, PromptParts, TokenCount, nano_usd

_BYTES_PER_TOKEN = 4  # of a long body, to reserve for it before it is counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """How an attempt ended, in tokens and money."""

    usage: TokenUsage | None = None
    counted: CountMethod | None = None  # how the tokens are known
    estimated: Cost | None = None  # what was expected before it was sent
    cost: Cost | None = None
    is_unpriced: bool = False  # it cost something, and nobody knows how much
    is_partial: bool = False  # the answer broke off; the tokens are those seen until then
    saved: Cost | None = None  # of a local answer: what the asked cloud model costs
    saved_model: str | None = None


NOTHING = Settlement()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedUsage:
    """What came of an attempt, as far as money goes."""

    usage: TokenUsage | None  # as the backend reported it
    service_tier: str | None = None
    text_bytes: int = 0  # of the answer that no reported usage covers
    is_whole: bool  # else it broke off, or its client left


class Charge:
    """Of one attempt; settled exactly once."""

    def __init__(
        self,
        cost_tracker: CostTracker,
        request: ProxyRequest,
        backend: BackendSnapshot,
        model: str,
        at: float,
    ) -> None:
        """Count the prompt and reserve what it may cost. Right after it, the request is sent."""
        self._cost_tracker = cost_tracker
        self._request = request
        self._model = self._priced_as = model
        self._provider = ""  # whose prices hold; of a cloud backend only
        self.is_cloud = backend.type.is_cloud  # else it costs nothing, and nothing is reserved
        self._reading: asyncio.Future[PromptParts] | None = None  # of a long prompt
        self._counting: asyncio.Future[TokenCount] | None = None
        self._reservation: Reservation | None = None
        self._estimate: Cost | None = None
        if self.is_cloud:
            self._open(backend, at)
        else:
            tokens = request.envelope.demand.prompt_tokens
            self._count = TokenCount(tokens, CountMethod.ESTIMATED)

    def _open(self, backend: BackendSnapshot, at: float) -> None:
        tracker = self._cost_tracker
        self._priced_as = tracker.priced_as(backend, self._model)
        self._provider = tracker.provider(backend)
        self._count = self._first_count()
        self._estimate = self._expect(at)
        reserved = nano_usd(self._estimate)
        self._reservation = tracker.budget.reserve(self._request.client, reserved, at)
        if self._estimate is None:
            tracker.prices.warn_once(self._provider, self._priced_as)

    def _first_count(self) -> TokenCount:
        """The prompt's tokens where that is known at once, else a guess until it is counted."""
        envelope = self._request.envelope
        if len(envelope.body) >= THREAD_FROM_BYTES:
            self._reading = asyncio.get_running_loop().run_in_executor(None, self._prompt)
            return TokenCount(len(envelope.body) // _BYTES_PER_TOKEN, CountMethod.ESTIMATED)
        counting = self._cost_tracker.counter.count(self._priced_as, self._prompt())
        if counting.done():
            return counting.result()
        self._counting = counting
        return TokenCount(envelope.demand.prompt_tokens, CountMethod.ESTIMATED)

    def _prompt(self) -> PromptParts:
        return self._request.dialect.read_prompt(self._request.envelope)

    def _expect(self, at: float) -> Cost | None:
        """What the attempt will cost, if the answer is as long as the model's others."""
        demand = self._request.envelope.demand
        expected = self._cost_tracker.expected_usage(self._model, self._count.tokens, demand)
        return self._price(expected, at)

    def _cost(self, usage: TokenUsage, at: float, tier: str | None) -> Cost | None:
        """What the backend says that it charges, else what its usage comes to."""
        if usage.cost_nano_usd is not None:
            return Cost(usage.cost_nano_usd, REPORTED)
        return self._price(usage, at, tier)

    def _price(self, usage: TokenUsage, at: float, tier: str | None = None) -> Cost | None:
        return estimate_cost(
            self._cost_tracker.prices,
            self._provider,
            self._priced_as,
            usage,
            at=at,
            service_tier=tier,
        )

    async def counted(self, at: float) -> None:
        """Wait for the count of the prompt: long done when an answer begins."""
        if self._reading is not None:
            prompt, self._reading = await self._reading, None
            self._counting = self._cost_tracker.counter.count(self._priced_as, prompt)
        if self._counting is not None:
            self._count = await self._counting
            self._counting = None
            self._estimate = self._expect(at)

    def expected(self, reported: ReportedUsage | None, at: float) -> Cost | None:
        """What the answer's header tells: of a whole one the cost, of a stream the estimate."""
        if not self.is_cloud:
            return None
        if reported is not None and reported.usage is not None:
            return self._cost(reported.usage, at, reported.service_tier)
        return self._estimate

    def drop(self, at: float) -> None:
        """The attempt failed, and cost nothing that anybody knows of."""
        self._pay(None, at)

    def settle(self, reported: ReportedUsage, at: float) -> Settlement:
        """It is over; what the ledger's row of the same moment says."""
        if self._counting is not None and self._counting.done():  # it ended before its answer began
            self._count = self._counting.result()
        usage, counted = reported.usage, CountMethod.REPORTED
        if usage is None:
            completion = tokens_of(self._model, reported.text_bytes)
            usage = TokenUsage(prompt_tokens=self._count.tokens, completion_tokens=completion)
            counted = CountMethod.ESTIMATED if reported.text_bytes else self._count.method
        elif not reported.is_whole and reported.text_bytes:
            # It broke off after a usage reported at its start only, as Anthropic's is.
            completion = tokens_of(self._model, reported.text_bytes)
            if completion > usage.completion_tokens:
                # What the backend reported to cost was less than this.
                usage = replace(usage, completion_tokens=completion, cost_nano_usd=None)
                counted = CountMethod.ESTIMATED
        elif reported.is_whole and self._request.envelope.operation is not Operation.EMBEDDINGS:
            each = round(usage.completion_tokens / self._request.envelope.demand.choices)
            self._cost_tracker.averages.observe(self._model, each)
        cost, saving, asked = None, None, self._request.envelope.model
        if self.is_cloud:
            cost = self._cost(usage, at, reported.service_tier)
            self._pay(cost, at)
        elif asked != self._model:
            saving = savings(self._cost_tracker.prices, asked, self._model, usage, at=at)
        return Settlement(
            usage=usage,
            counted=counted,
            estimated=self._estimate,
            cost=cost,
            is_unpriced=self.is_cloud and cost is None,
            is_partial=not reported.is_whole,
            saved=saving.cost if saving else None,
            saved_model=saving.model if saving else None,
        )

    def _pay(self, cost: Cost | None, at: float) -> None:
        for beside in (self._reading, self._counting):
            if beside is not None:
                beside.cancel()
        if self._reservation is not None:
            self._cost_tracker.budget.settle(self._reservation, nano_usd(cost), at)
            self._reservation = None
