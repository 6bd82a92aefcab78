"""The charge of one attempt: estimated and reserved before, settled after."""

from __future__ import annotations

import asyncio

import msgspec
from msgspec.structs import replace

from nexus_core.money.accounting import CostTracker
from nexus_core.money.budget import Reservation
from nexus_core.money.priced_model import Estimate, PricedModel
from nexus_core.money.prices import REPORTED, savings
from nexus_core.observe.events import TokenUsage
from nexus_core.proxy.reply import ProxyRequest
from nexus_core.tokens.count import THREAD_FROM_BYTES, estimate_tokens, tokens_of
from nexus_core.types import Cost, CountMethod, Operation, PromptParts, TokenCount, nano_usd


class Settlement(msgspec.Struct, kw_only=True):
    """How an attempt ended, in tokens and money; nobody changes one."""

    usage: TokenUsage | None = None
    counted: CountMethod | None = None  # how the tokens are known
    estimated: Cost | None = None  # what was expected before it was sent
    cost: Cost | None = None
    is_unpriced: bool = False  # it cost something, and nobody knows how much
    is_partial: bool = False  # the answer broke off; the tokens are those seen until then
    saved: Cost | None = None  # of a local answer: what the asked cloud model costs
    saved_model: str | None = None


class ReportedUsage(msgspec.Struct, kw_only=True):
    """What came of an attempt, as far as money goes; nobody changes one."""

    usage: TokenUsage | None  # as the backend reported it
    service_tier: str | None = None
    text_bytes: int = 0  # of the answer that no reported usage covers
    is_whole: bool  # else it broke off, or its client left


_COUNT_AFTER_SECONDS = 0.1  # of a stream under way


class Charge:
    """Of one attempt; settled exactly once.

    A prompt is counted only where the number is used: while the backend works where a stream's
    header tells its cost, and at the end of a whole answer that reports no usage. Until then, and
    elsewhere, its length tells about how much it is. A short prompt is counted in no time, and so
    not before its backend has taken a moment for the stream.
    """

    __slots__ = (
        *("_cost_tracker", "_count", "_counting", "_estimate", "_is_streaming", "_model"),
        *("_priced", "_reading", "_request", "_reservation", "_soon", "_told", "_told_of"),
        "is_cloud",
    )

    def __init__(
        self,
        cost_tracker: CostTracker,
        request: ProxyRequest,
        model: str,
        estimate: Estimate | None,
        at: float,
    ) -> None:
        """Reserve what the attempt may cost. Right after it, the request is sent.

        Args:
            estimate: what it is expected to cost at its cloud backend; None: at a local one.
        """
        self._cost_tracker = cost_tracker
        self._request = request
        self._model = model  # the backend's own name
        self._is_streaming = request.envelope.is_streaming
        self._count: TokenCount | None = None  # of the prompt; None: only its length is known
        self._soon: asyncio.Handle | None = None  # begins to count when the request has been sent
        self._reading: asyncio.Future[PromptParts] | None = None  # of a long prompt
        self._counting: asyncio.Future[TokenCount] | None = None
        self._reservation: Reservation | None = None
        self._estimate = None if estimate is None else estimate.cost
        self._told: Cost | None = None  # what a header said that it costs,
        self._told_of: ReportedUsage | None = None  # and of which answer
        self._priced: PricedModel | None = None
        self.is_cloud = estimate is not None  # else it costs nothing, and nothing is reserved
        if estimate is not None:
            self._priced = estimate.priced
            self._open(estimate, at)

    def _open(self, estimate: Estimate, at: float) -> None:
        tracker, cost = self._cost_tracker, estimate.cost
        if self._is_streaming:
            loop = asyncio.get_running_loop()
            if self._is_long:
                self._soon = loop.call_soon(self._begin_to_count)
            else:
                self._soon = loop.call_later(_COUNT_AFTER_SECONDS, self._begin_to_count)
        nano = None
        if cost is not None:
            nano = cost.nano_usd
        else:
            tracker.prices.warn_once(estimate.priced.provider, estimate.priced.name)
        self._reservation = tracker.budget.reserve(self._request.client, nano, at)

    def _begin_to_count(self) -> None:
        """Count the prompt, beside the loop where that takes long."""
        self._soon = None
        if self._is_long:
            self._reading = asyncio.get_running_loop().run_in_executor(None, self._prompt)
        else:
            self._ask_for_count(self._prompt())

    def _prompt(self) -> PromptParts:
        return self._request.dialect.read_prompt(self._request.envelope)

    def _ask_for_count(self, prompt: PromptParts) -> None:
        name = self._model if self._priced is None else self._priced.name
        counting = self._cost_tracker.counter.count(name, prompt)
        if counting.done():
            self._count = counting.result()
        else:
            self._counting = counting

    @property
    def _is_long(self) -> bool:
        """Whether reading the prompt takes long enough to be felt by other requests."""
        return len(self._request.envelope.body) >= THREAD_FROM_BYTES

    @property
    def _prompt_tokens(self) -> int:
        count = self._count
        return self._request.envelope.demand.prompt_tokens if count is None else count.tokens

    def _cost(self, usage: TokenUsage, at: float, tier: str | None) -> Cost | None:
        """What the backend says that it charges, else what its usage comes to."""
        if usage.cost_nano_usd is not None:
            return Cost(usage.cost_nano_usd, REPORTED)
        return None if self._priced is None else self._priced.cost(usage, at, tier)

    async def counted(self, at: float) -> None:
        """An answer begins that does not tell its usage yet: take the count of its prompt.

        A stream does not wait for it: its header tells an estimate as well without.
        """
        if self._priced is None:
            return
        if self._soon is not None:
            if self._is_long:
                self._soon.cancel()
                self._begin_to_count()
            else:
                self._count = estimate_tokens(self._priced.name, self._prompt())
        elif not (self._count or self._reading or self._counting or self._is_streaming):
            self._begin_to_count()
        if self._reading is not None:
            prompt, self._reading = await self._reading, None
            self._ask_for_count(prompt)
        counting = self._counting
        if counting is not None and (counting.done() or not self._is_streaming):
            self._count, self._counting = await counting, None
        if self._count is not None:
            demand = self._request.envelope.demand
            completion = self._cost_tracker.expected_completion(self._model, demand)
            self._estimate = self._priced.plain_cost(self._count.tokens, completion, at)

    def expected(self, reported: ReportedUsage | None, at: float) -> Cost | None:
        """What the answer's header tells: of a whole one the cost, of a stream the estimate."""
        if not self.is_cloud:
            return None
        if reported is not None and reported.usage is not None:
            self._told = cost = self._cost(reported.usage, at, reported.service_tier)
            self._told_of = reported
            return cost
        return self._estimate

    def drop(self, at: float) -> None:
        """The attempt failed, and cost nothing that anybody knows of."""
        self._pay(None, at)

    def settle(self, reported: ReportedUsage, at: float) -> Settlement:
        """It is over; what the ledger's row of the same moment says."""
        usage, counted = reported.usage, CountMethod.REPORTED
        if usage is None:
            self._count_what_came_to_nothing()
            completion = tokens_of(self._model, reported.text_bytes)
            usage = TokenUsage(prompt_tokens=self._prompt_tokens, completion_tokens=completion)
            counted = CountMethod.ESTIMATED
            if self._count is not None and not reported.text_bytes:
                counted = self._count.method
        elif not reported.is_whole and reported.text_bytes:
            # It broke off after a usage reported at its start only, as Anthropic's is.
            completion = tokens_of(self._model, reported.text_bytes)
            if completion > usage.completion_tokens:
                # What the backend reported to cost was less than this.
                usage = replace(usage, completion_tokens=completion, cost_nano_usd=None)
                counted = CountMethod.ESTIMATED
        elif reported.is_whole and self._request.envelope.operation is not Operation.EMBEDDINGS:
            each, choices = usage.completion_tokens, self._request.envelope.demand.choices
            if choices != 1:
                each = round(each / choices)
            self._cost_tracker.averages.observe(self._model, each)
        cost, saving, asked = None, None, self._request.envelope.model
        if self.is_cloud:
            is_told = reported is self._told_of and usage is reported.usage
            cost = self._told if is_told else self._cost(usage, at, reported.service_tier)
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

    def _count_what_came_to_nothing(self) -> None:
        """Take the count of an attempt that ended before its answer began, or an estimate."""
        if self._counting is not None and self._counting.done():
            self._count = self._counting.result()
        if self._count is None and self._priced is not None and not self._is_long:
            self._count = estimate_tokens(self._priced.name, self._prompt())

    def _pay(self, cost: Cost | None, at: float) -> None:
        for beside in (self._soon, self._reading, self._counting):
            if beside is not None:
                beside.cancel()
        if self._reservation is not None:
            self._cost_tracker.budget.settle(self._reservation, nano_usd(cost), at)
            self._reservation = None
