"""What the last line says for a while in place of the hints: outcomes, warnings of the log."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial

from nexus_core.events import BackendHealthChanged, NexusEvent
from nexus_core.log_ring import LogLine, LogRing
from nexus_core.types import HealthCause
from nexus_tui.untrusted import visible
from nexus_tui.widgets.frame import HintBar

_SECONDS = 3.0
_NEWS_SECONDS = 60.0  # an older line, such as those of before attaching, is found in the log only
_WARNING_SECONDS = 5.0  # and then the hints have the line for as long, however many come


class Notices:
    """One at a time; the newest wins."""

    def __init__(
        self,
        bars: Callable[[], Iterable[HintBar]],
        later: Callable[[float, Callable[[], None]], object],
        logs: LogRing,
        now: Callable[[], float],
    ) -> None:
        self._bars = bars  # the last lines that can be seen, the one of the tabs first
        self._later = later  # calls a function after some seconds
        self._logs = logs
        self._now = now  # seconds since the epoch, by the clock of the log
        self._warned_at = -2 * _WARNING_SECONDS  # when the latest warning was shown
        self._warned_of: LogLine | None = None

    def say(self, text: str, seconds: float = _SECONDS) -> None:
        """Show it; it is drawn as text."""
        for bar in self._bars():
            bar.notice = text
            bar.redraw()
        self._later(seconds, partial(self._clear, text))

    def _clear(self, text: str) -> None:
        for bar in self._bars():
            if bar.notice == text:
                bar.notice = ""
                bar.redraw()

    def tell_of(self, events: Iterable[NexusEvent]) -> None:
        """A key that is refused: once for each change, however many requests it costs."""
        for event in events:
            if isinstance(event, BackendHealthChanged) and event.cause is HealthCause.AUTH:
                self.say(visible(f"{event.backend}: {event.detail}"), _WARNING_SECONDS)

    def warn(self) -> None:
        """Show the newest line of the log that is a warning or worse, unless it was shown.

        What somebody asked for has its time first.
        """
        line, now = self._logs.last_warning, time.monotonic()
        if line is None or line is self._warned_of or now - self._warned_at < 2 * _WARNING_SECONDS:
            return
        if self._now() - line.at > _NEWS_SECONDS or any(bar.notice for bar in self._bars()):
            return
        self._warned_of, self._warned_at = line, now
        self.say(f"{line.level.upper()} {line.logger}: {line.text}", _WARNING_SECONDS)
