"""A request under way: who asked, where the answer goes, and what ends it before its own end."""

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
    """One request while it is carried; its time-outs are those it came in under."""

    record: RequestProgress
    reply: Reply
    blame: Blame
    server: ServerConfig
    deadline: asyncio.Timeout = field(repr=False)
    ended_with: UpstreamFailedError | None = None  # by somebody, before its time was over

    def end(self, error: UpstreamFailedError, at: float) -> bool:
        """End it at a moment on the loop's clock; the client is told `error`.

        False if its time is over already, which can't be changed any more.
        """
        if self.deadline.expired():
            return False
        self.ended_with = error
        self.deadline.reschedule(at)
        return True

    @property
    def has_run_out(self) -> bool:
        """Its time is over, and not because somebody ended it."""
        return self.ended_with is None and self.deadline.expired()

    @property
    def too_late(self) -> str:
        """What is said of a request whose time is over, for people."""
        seconds = self.server.request_timeout_seconds
        return f"no complete answer within request_timeout_seconds ({seconds:g})"
