"""Connection shortage: a period without free connections, logged at its beginning and end."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

_QUIET_SECONDS = 5.0  # without trouble, after which the period is over


class Trouble:
    """A period in which connections are closed or refused for lack of room."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._limit = 0
        self._began: float | None = None
        self._last = 0.0
        self.evicted = 0
        self.refused = 0

    def note(self, at: float, limit: int) -> None:
        """Note one occurrence; the first one begins the period and is logged."""
        self._last = at
        if self._began is None:
            self._began, self._limit = at, limit
            log.warning(
                "%s: idle connections are closed to accept new ones; if none is idle, new ones "
                "get a 503",
                self._what % limit,
            )

    def end_if_over(self, at: float) -> None:
        """End the period, and log it, if nothing happened for a while."""
        if self._began is None or at - self._last < _QUIET_SECONDS:
            return
        log.warning(
            "%s: over; in %.0f s %d idle connections were closed and %d refused",
            self._what % self._limit,
            self._last - self._began,
            self.evicted,
            self.refused,
        )
        self._began, self.evicted, self.refused = None, 0, 0
