"""The windows that numbers are shown for."""

from __future__ import annotations

from enum import StrEnum


class Window(StrEnum):
    """A stretch of time up to now."""

    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    HOUR = "1h"
    START = "start"

    @property
    def seconds(self) -> float | None:
        """How long it is; None: as long as this Nexus runs."""
        return _SECONDS[self]

    @property
    def shown(self) -> str:
        """For people: `last 5 min`."""
        return _SHOWN[self]

    @property
    def next(self) -> Window:
        """The next longer one; after the longest the shortest."""
        windows = tuple(Window)
        return windows[(windows.index(self) + 1) % len(windows)]


_SECONDS = {
    Window.MINUTE: 60.0,
    Window.FIVE_MINUTES: 300.0,
    Window.HOUR: 3600.0,
    Window.START: None,
}
_SHOWN = {
    Window.MINUTE: "last 1 min",
    Window.FIVE_MINUTES: "last 5 min",
    Window.HOUR: "last 1 h",
    Window.START: "since start",
}
MOVING = tuple(window for window in Window if window.seconds is not None)
