"""Signs of life for the client of a stream that says nothing for long.

While a model loads, a slot is awaited, a prompt is read, and between two events: proxies and
clients cut a silent connection. The first sign comes before it is known who answers: it begins the
answer with status 200, and a later failure is an event of the stream. So it comes after a silence
only; where a backend answers or fails in time, status and headers are as ever.
"""

from __future__ import annotations

from nexus_core.config.schema import ServerConfig
from nexus_core.proxy.deadlines import NEVER, Deadlines
from nexus_core.proxy.progress import RequestProgress
from nexus_core.proxy.reply import Reply

_SOON_SECONDS = 1.0  # to the next try, where nothing could be written now


class Pings:
    """The signs of life of one request."""

    __slots__ = ("_deadlines", "_idle", "_progress", "_reply", "_seconds", "_sign")

    def __init__(
        self, reply: Reply, progress: RequestProgress, deadlines: Deadlines, server: ServerConfig
    ) -> None:
        request = progress.request
        self._sign = request.dialect.ping(request.envelope)
        self._reply = reply
        self._progress = progress
        self._deadlines = deadlines
        self._seconds = server.ping_seconds
        self._idle = server.idle_timeout_seconds

    def look(self, now: float) -> float:
        """Give a sign if it is due; the time of the loop's clock to look again."""
        if not self._sign:
            return NEVER
        if self._progress.has_begun:
            # The relay's limit tells when the last chunk came.
            wait_at = self._deadlines.wait_at
            if wait_at == NEVER:  # it does not wait for the backend, but for the client
                return now + self._seconds
            due = wait_at - self._idle + self._seconds
            if due > now:
                return due
        return now + (self._seconds if self._reply.ping(self._sign) else _SOON_SECONDS)
