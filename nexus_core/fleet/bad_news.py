"""Log levels of what happens to backends: a warning when one goes bad, but not again and again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable

QUIET_SECONDS = 60.0  # after a warning about something; what comes meanwhile is told at info


class BadNews:
    """Whether bad news about something is worth a warning."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """`clock` gives monotonic seconds."""
        self._clock = clock
        self._warned: dict[Hashable, float] = {}

    def level(self, about: Hashable) -> int:
        """logging.WARNING, or logging.INFO where there was a warning about it a short while ago."""
        at = self._clock()
        self._warned = {
            one: then for one, then in self._warned.items() if at - then < QUIET_SECONDS
        }
        if about in self._warned:
            return logging.INFO
        self._warned[about] = at
        return logging.WARNING
