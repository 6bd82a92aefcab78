"""A request in flight: its progress, its reply, its deadlines, and how to end it early."""

from __future__ import annotations

import msgspec

from nexus_core.config.schema import ServerConfig
from nexus_core.errors import UpstreamFailedError
from nexus_core.proxy.blame import Blame
from nexus_core.proxy.deadlines import Deadlines
from nexus_core.proxy.progress import RequestProgress
from nexus_core.proxy.reply import Reply
from nexus_core.proxy.streams.pings import Pings


class InFlight(msgspec.Struct, eq=False):
    """One request in flight; a reload does not change its time-outs."""

    progress: RequestProgress
    reply: Reply
    blame: Blame
    server: ServerConfig
    deadlines: Deadlines
    pings: Pings | None = None  # made at the first silence
    ended_with: UpstreamFailedError | None = None  # ended before its deadline, by `end`

    def __repr__(self) -> str:
        """What may be shown: no prompt."""
        return f"InFlight({self.progress!r})"

    def look(self, now: float) -> float:
        """Look for silence, and give a sign of life if it is due; the time to look again."""
        if self.pings is None:
            self.pings = Pings(self.reply, self.progress, self.deadlines, self.server)
        return self.pings.look(now)

    def end(self, error: UpstreamFailedError) -> bool:
        """End it at once; the client gets `error`.

        False if its deadline has already passed, which can't be changed any more.
        """
        if not self.deadlines.end():
            return False
        self.ended_with = error
        return True

    @property
    def has_run_out(self) -> bool:
        """Whether its deadline has passed; False if `end` was called."""
        return self.ended_with is None and self.deadlines.has_ended

    @property
    def too_late(self) -> str:
        """Error message for a request that exceeded its deadline."""
        seconds = self.server.request_timeout_seconds
        return f"no complete answer within request_timeout_seconds ({seconds:g})"
