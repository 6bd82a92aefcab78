"""Notices beside the hints: outcomes and problems, for some seconds; the log tab keeps them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

from nexus_core.observe.events import (
    BackendHealthChanged,
    NexusEvent,
    OperatorActed,
    RequestFinished,
    RequestRefused,
)
from nexus_core.observe.log_ring import LogLine, LogRing
from nexus_core.observe.phases import finished
from nexus_core.observe.record import RequestRecord
from nexus_core.types import HealthCause, Via
from nexus_tui.view.sentences import sentence

_SECONDS = 5.0
_NEWS_SECONDS = 60.0  # an older line, such as those of before attaching, is found in the log only
# Their lines say what an event says, which is put into words.
_TOLD_BY_EVENTS = ("nexus_core.proxy.progress", "nexus_core.control.actions")
_LINE_END = "\\x0a"  # as the log writes it
_WARNING_SECONDS = 8.0  # long enough to be read through a magnifier
_KEPT = 200  # notices that the log tab shows


class NoticeLine(Protocol):
    """A last line, which shows a notice beside its hints."""

    notice: str  # empty: none
    is_news: bool  # the notice came unasked: the hints keep half of the line

    def redraw(self) -> None:
        """Paint it at once."""
        ...


class Notices:
    """The notice in the last line: one at a time, the newest wins."""

    def __init__(
        self,
        bars: Callable[[], Iterable[NoticeLine]],
        later: Callable[[float, Callable[[], None]], object],
        logs: LogRing,
        now: Callable[[], float],
        session: str,
    ) -> None:
        """`session` is the screen's own: what it did itself is told as an outcome."""
        self._bars = bars  # the last lines that can be seen, the one of the tabs first
        self._later = later  # calls a function after some seconds
        self._logs = logs
        self._now = now  # seconds since the epoch, by the clock of the log
        self._session = session
        self.kept = LogRing(_KEPT)  # what was said, but for what is in the log
        self._warned_of: LogLine | None = None
        self._news: str | None = None  # what went wrong since, and waits to be shown

    def say(self, text: str) -> None:
        """Show what came of something asked for from the next painting on; it is drawn as text."""
        self._keep(text)
        self._show(text, _SECONDS, is_news=False)

    def _keep(self, text: str) -> None:
        self.kept.add(LogLine(self._now(), "notice", "nexus_tui", text))

    def _show(self, text: str, seconds: float, *, is_news: bool) -> None:
        for bar in self._bars():
            bar.notice, bar.is_news = text, is_news
        self._later(seconds, partial(self._clear, text))

    def _clear(self, text: str) -> None:
        for bar in self._bars():
            if bar.notice == text:
                bar.notice = ""
                bar.redraw()

    def note_requests(self, changed: Sequence[RequestRecord]) -> None:
        """Take in which requests went wrong: the newest of them is what is shown."""
        for request in reversed(changed):
            if request.refused is not None:
                event: NexusEvent = request.refused
            elif request.failed and request.ended_at is not None:
                event = finished(request)
            else:
                continue
            if self._now() - event.at <= _NEWS_SECONDS:
                self._news = sentence(event)
                return

    def note(self, events: Iterable[NexusEvent]) -> bool:
        """Take in what goes wrong beside requests, by its typed events.

        Gives whether something is to be painted at once: a refused key, for it changes rarely.
        """
        is_urgent = False
        for event in events:
            if isinstance(event, RequestFinished | RequestRefused):
                continue  # `note_requests`
            if isinstance(event, OperatorActed) and self._is_known(event):
                continue
            text = sentence(event)
            if text is None or self._now() - event.at > _NEWS_SECONDS:
                continue
            if not isinstance(event, OperatorActed):  # the log has those
                self._keep(text)
            if isinstance(event, BackendHealthChanged) and event.cause is HealthCause.AUTH:
                self._show(text, _WARNING_SECONDS, is_news=True)
                is_urgent = True
            else:
                self._news = text
        return is_urgent

    def _is_known(self, acted: OperatorActed) -> bool:
        """The outcome is told where it was asked for; that of a signal too."""
        return acted.by.session == self._session or acted.by.via is Via.SIGNAL

    def forget(self) -> None:
        """Drop what waits: what went wrong before there was a screen is found in its lists."""
        self._news = None

    def warn(self) -> None:
        """Show the newest of what went wrong, and of the log's warnings, unless it was shown.

        What somebody asked for has its time first.
        """
        if any(bar.notice for bar in self._bars()):
            return
        text, self._news = self._news or self._logged(), None
        if text is not None:
            self._show(text, _WARNING_SECONDS, is_news=True)

    def _logged(self) -> str | None:
        """The newest line that is a warning or worse, as a sentence; None if it is no news."""
        line = self._logs.last_warning
        if line is None or line is self._warned_of or self._now() - line.at > _NEWS_SECONDS:
            return None
        self._warned_of = line
        if line.logger.endswith(_TOLD_BY_EVENTS):
            return None
        return _without_trace(line.text)


def _without_trace(text: str) -> str:
    """What was logged, and of a trace the exception alone; `\\x0a` stands for line ends here."""
    what, _, trace = text.partition(f"{_LINE_END}Traceback")
    if not trace:
        return text
    # Of several, the last one was raised; its frames are indented, its message may have lines.
    lines = trace.rpartition(f"{_LINE_END}Traceback")[2].split(_LINE_END)[1:]
    error = next((line for line in lines if line and not line.startswith(" ")), "see the log")
    return f"{'internal error' if '=' in what else what}: {error}"
