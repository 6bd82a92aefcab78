"""The routing context: all inputs of a decision besides the request; built in one place."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Protocol

import msgspec

from nexus_core.fleet.registry import BackendSnapshot, Registry
from nexus_core.money.accounting import CostTracker, MoneyRule
from nexus_core.routing.scoring import Strategy

NOBODY_TRIED: Mapping[str, str] = MappingProxyType({})


class RoutingContext(msgspec.Struct, frozen=True):
    """Backends, order, budget and queue at one moment.

    A decision, its explanation and its refusal read only this value, so that they agree.
    `ContextBuilder.build` makes it of a running Nexus.
    """

    fleet: tuple[BackendSnapshot, ...]  # in the order of the configuration
    strategy: Strategy
    at: float = 0.0  # monotonic seconds
    # Backends that failed this request, and how.
    tried: Mapping[str, str] = msgspec.field(default_factory=lambda: NOBODY_TRIED)
    money: MoneyRule | None = None  # None: no budget limits the request
    prefers_local: bool = False  # spending near its limit: local backends are tried first
    budget_resets_in_seconds: int | None = None  # None: no budget limits the request
    queued: int = 0  # requests in the queue
    wait_seconds: float | None = None  # how long one more may wait; None: no queue, or no room
    is_money_cut_off: bool = False  # what other replicas spend can't be known


class WaitingLine(Protocol):
    """The queue, as far as routing reports it."""

    def __len__(self) -> int: ...

    @property
    def wait_seconds(self) -> float | None:
        """How long one more request may wait; None if the queue is full."""
        ...


class ContextBuilder(msgspec.Struct, frozen=True):
    """Builder of routing contexts; one for the life of the process."""

    registry: Registry
    strategy: Strategy
    cost_tracker: CostTracker
    queue: WaitingLine | None

    def build(self, client: str | None, tried: Mapping[str, str] = NOBODY_TRIED) -> RoutingContext:
        """Build the context of a client's request now, for its decision and for explain alike.

        Args:
            client: name of the client key, whose budget applies; None without client keys.
            tried: backends that failed this request before, and how; kept by reference.
        """
        registry, queue, tracker = self.registry, self.queue, self.cost_tracker
        money, prefers_local, resets_in_seconds, is_cut_off = None, False, None, False
        if tracker.budget.is_limited:
            verdict = tracker.verdict(client)
            money, prefers_local = tracker.rule_of(verdict), verdict.prefers_local
            resets_in_seconds, is_cut_off = (
                verdict.resets_in_seconds(tracker.now()),
                verdict.is_cut_off,
            )
        return RoutingContext(
            registry.snapshots(),
            self.strategy,
            registry.clock(),
            tried,
            money,
            prefers_local,
            resets_in_seconds,
            0 if queue is None else len(queue),
            None if queue is None else queue.wait_seconds,
            is_cut_off,
        )
