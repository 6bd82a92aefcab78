"""A request in flight: its progress, its reply, its time limits, and how to end it early."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from nexus_core.config.schema import ServerConfig
from nexus_core.errors import UpstreamFailedError
from nexus_core.fleet.registry import Registry
from nexus_core.money.accounting import CostTracker
from nexus_core.observe.bus import EventBus
from nexus_core.providers import InferenceAgent
from nexus_core.proxy.blame import Blame
from nexus_core.proxy.deadlines import Deadlines
from nexus_core.proxy.progress import RequestProgress
from nexus_core.proxy.reply import Reply
from nexus_core.proxy.streams.pings import Pings
from nexus_core.routing.router import RouteDecision
from nexus_core.routing.scoring import Strategy


class ProxyParts(msgspec.Struct, frozen=True, kw_only=True):
    """Shared parts of all requests: registry, agents, strategy, cost tracker, bus, clock."""

    agents: Mapping[str, InferenceAgent]  # by the backend's name
    registry: Registry
    strategy: Strategy
    cost_tracker: CostTracker
    bus: EventBus
    now: Callable[[], float]  # seconds since the epoch
    models_known: Callable[[], Awaitable[None]]  # returns after the first look at every backend
    doubt: Callable[[str], None]  # has a probe find out whether a backend refuses the key


class InFlight(Deadlines):
    """One request in flight, with its time limits; a reload does not change these."""

    __slots__ = (
        "_parts",
        "_pings",
        "blame",
        "decision",
        "ended_with",
        "progress",
        "reply",
        "server",
    )

    def __init__(
        self,
        parts: ProxyParts,
        progress: RequestProgress,
        reply: Reply,
        server: ServerConfig,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        """For the running task; its time begins now."""
        now = loop.time()
        super().__init__(now + server.request_timeout_seconds, loop)
        self.progress = progress
        self.reply = reply
        self.server = server
        self.decision: RouteDecision | None = None  # of the latest attempt
        self.blame: Blame | None = None  # made when the first attempt fails
        self.ended_with: UpstreamFailedError | None = (
            None  # ended before its deadline, by `end_with`
        )
        self._parts = parts
        self._pings: Pings | None = None  # made at the first silence
        if progress.request.envelope.is_streaming and server.ping_seconds:
            self.on_silence(now + server.ping_seconds, self._ping)

    def __repr__(self) -> str:
        """What may be shown: no prompt."""
        return f"InFlight({self.progress!r})"

    def _ping(self, now: float) -> float:
        """Give a sign of life if it is due; the time to look again."""
        if self._pings is None:
            self._pings = Pings(self.reply, self.progress, self, self.server)
        return self._pings.look(now)

    def blamed(self) -> Blame:
        """What became of its attempts, for the latest to be added."""
        if self.blame is None:
            parts = self._parts
            body = self.progress.request.envelope.body
            self.blame = Blame(parts.registry, body, parts.doubt, parts.now)
        self.blame.decision = self.decision
        return self.blame

    def end_with(self, error: UpstreamFailedError) -> bool:
        """End it at once; the client gets `error`.

        False if its deadline has already passed, which can't be changed any more.
        """
        if not self.end():
            return False
        self.ended_with = error
        return True

    @property
    def has_run_out(self) -> bool:
        """Whether its deadline has passed; False if `end_with` was called."""
        return self.ended_with is None and self.has_ended

    def timed_out(self) -> UpstreamFailedError:
        """The error of a request that exceeded its deadline."""
        return UpstreamFailedError(self.too_late, status=504, code="upstream_timeout")

    @property
    def too_late(self) -> str:
        """Error message for a request that exceeded its deadline."""
        seconds = self.server.request_timeout_seconds
        return f"no complete answer within request_timeout_seconds ({seconds:g})"
