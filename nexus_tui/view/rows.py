"""One request as a row of the list."""

from __future__ import annotations

from nexus_core.observe.events import (
    AttemptFailed,
    FirstByteReceived,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
)
from nexus_core.observe.requests import Headers, RecentRequest

__all__ = ["Headers", "RequestRow"]


class RequestRow(RecentRequest):
    """A row of the request list; `version` changes with every event."""

    __slots__ = ("seq", "version")

    def __init__(
        self,
        seq: int,
        request_id: str,
        at: float,
        received: RequestReceived | None = None,
        refused: RequestRefused | None = None,
    ) -> None:
        super().__init__(request_id, at, received, refused)
        self.seq = seq  # ascending in order of arrival, without gaps
        self.version = 0

    def add(
        self, event: RouteDecided | AttemptFailed | FirstByteReceived | RequestFinished
    ) -> None:
        """Take in the next event of this request."""
        super().add(event)
        self.version += 1
