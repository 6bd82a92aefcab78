"""A request in flight: its progress, its reply, its deadline, and how to end it early."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from nexus_core.config.schema import ServerConfig
from nexus_core.errors import UpstreamFailedError
from nexus_core.proxy.blame import Blame
from nexus_core.proxy.progress import RequestProgress
from nexus_core.proxy.reply import Reply


@dataclass(slots=True, eq=False)
class InFlight:
    """One request in flight; a reload does not change its time-outs."""

    record: RequestProgress
    reply: Reply
    blame: Blame
    server: ServerConfig
    deadline: asyncio.Timeout = field(repr=False)
    ended_with: UpstreamFailedError | None = None  # ended before its deadline, by `end`

    def end(self, error: UpstreamFailedError, at: float) -> bool:
        """End it at a time on the loop's clock; the client gets `error`.

        False if its deadline has already passed, which can't be changed any more.
        """
        if self.deadline.expired():
            return False
        self.ended_with = error
        self.deadline.reschedule(at)
        return True

    @property
    def has_run_out(self) -> bool:
        """Whether its deadline has passed; False if `end` was called."""
        return self.ended_with is None and self.deadline.expired()

    @property
    def too_late(self) -> str:
        """Error message for a request that exceeded its deadline."""
        seconds = self.server.request_timeout_seconds
        return f"no complete answer within request_timeout_seconds ({seconds:g})"
