"""The reply interface of the proxy: destination of an answer and its headers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

import msgspec

from nexus_core.dialects.base.dialect import Dialect
from nexus_core.dialects.request import Request
from nexus_core.errors import NexusError
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.observe.origin.origin import NO_ORIGIN, Origin
from nexus_core.observe.record import HeaderLines, KeptHeaders
from nexus_core.routing.requirements import Requirements
from nexus_core.types import BudgetStatus, Cost, RouteReason
from nexus_core.upstream.base import Headers


class Permit(Protocol):
    """The share of one request in the limits of its client key."""

    def enter(self, tokens: Callable[[], int]) -> Awaitable[None] | None:
        """Take part in the limits; `tokens` gives about how many the request comes to.

        What is returned is to be awaited first, where other processes have to be asked.

        Raises:
            NexusError: there is no room; what is awaited raises it, too.
        """
        ...

    def may_ask(self, names: tuple[str, ...]) -> bool:
        """Whether it may ask for a model: its name, then each alias it goes through."""
        ...

    def leave(self, used: int) -> None:
        """The request is over, entered or not, and came to so many tokens."""
        ...


class ProxyRequest(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A checked request on its way to a backend, with what Nexus knows beside it."""

    envelope: Request
    dialect: Dialect  # that the client speaks
    need: Requirements  # by its hints; what its body asks for is the envelope's demand
    client: str | None  # the name of the client key
    headers: KeptHeaders  # for events and the screen
    received: float  # monotonic seconds
    origin: Origin = NO_ORIGIN  # as its headers tell it
    replay_of: str | None = None  # the request that an operator sends again with this one
    permit: Permit | None = None  # None: nothing but the budget limits it


class SelectedRoute(msgspec.Struct, frozen=True):
    """Which backend an answer comes from, and why: what the X-Nexus-* headers tell."""

    backend: BackendSnapshot
    model: str  # the backend's own name of it
    reason: RouteReason
    overhead_ms: float | None = None  # Nexus's own share of the time so far; None: not known yet
    dropped: tuple[str, ...] = ()  # sampling hints that the model does not take
    cost: Cost | None = None  # of a cloud answer; of a stream, what is expected
    budget: BudgetStatus = BudgetStatus.NORMAL


class Reply(Protocol):
    """The reply to a client: plain writes; `drain` waits while the client reads slowly."""

    def start(
        self, status: int, upstream: Headers, selected: SelectedRoute, *, length: int | None
    ) -> HeaderLines:
        """Begin an answer of `length` bytes (None: a stream); the headers as they are sent.

        Where a sign of life began it, what the headers would tell is told inside.
        """
        ...

    def send(self, data: bytes) -> None:
        """Pass on a part of the body."""
        ...

    def ping(self, sign: bytes) -> bool:
        """Write a sign of life at once, beginning a stream if none has begun.

        False: nothing can be written now, in the middle of an event or while the client doesn't
        read.
        """
        ...

    @property
    def is_early(self) -> bool:
        """Whether a sign of life began the answer, with status 200, before anybody answered."""
        ...

    async def drain(self) -> None:
        """Return when more may be sent. Until then what was sent may not be on its way."""
        ...

    def finish(self) -> None:
        """End the answer."""
        ...

    def send_error_event(self, error: NexusError) -> None:
        """Tell of a failure inside a stream that has begun."""
        ...

    def refuse(self, error: NexusError, selected: SelectedRoute | None) -> HeaderLines:
        """Answer with an error instead; `selected` is the backend that caused it."""
        ...
