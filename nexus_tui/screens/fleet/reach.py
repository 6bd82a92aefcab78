"""Dialog: how a cut of the open zone reaches the replicas of a fleet, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.app import ComposeResult

from nexus_tui.screens.dialog import Choose, Option
from nexus_tui.sources.fleet.replica import Roll
from nexus_tui.text.numbers import count, fit, noun
from nexus_tui.view.replicas import Reach, confirmed, has_reached_all, reach_lines
from nexus_tui.widgets.base.lines import Line, LineWidget

LOOK_SECONDS = 0.25
_MOST = 12  # replicas with a line each
_STYLES = {Reach.CUT: "good", Reach.LAPSED: "warn", Reach.OPEN: "bad"}


class ReachLines(LineWidget):
    """A line for each replica, and the count."""

    raised = True

    def __init__(
        self,
        fleet: Callable[[], Roll | None],
        ended: Callable[[], int],
        now: Callable[[], float],
    ) -> None:
        super().__init__(id="reach")
        self._fleet = fleet
        self._ended = ended
        self._now = now
        told = fleet()
        self.styles.height = 3 + min(_MOST + 1, 0 if told is None else len(told.replicas))

    def lines(self, width: int, height: int) -> Sequence[Line]:
        fleet, now = self._fleet(), self._now()
        if fleet is None:
            return []
        lines: list[Line] = []
        told = reach_lines(fleet, now)
        for words, reach in told[:_MOST]:
            lines.append(((f" {fit(words, width - 2)}", _STYLES[reach]),))
        if len(told) > _MOST:
            lines.append(((f" and {len(told) - _MOST} more", "dim"),))
        return [*lines, (), _count(fleet, now), _told(self._ended())]


def _count(fleet: Roll, now: float) -> Line:
    cut, lapsed, total = confirmed(fleet, now)
    text = f" {cut} of {total} confirmed the cut"
    if lapsed:
        text += f", {lapsed} may send nothing without a word from the store"
    return ((text, "good" if has_reached_all(fleet, now) else "warn"),)


def _told(ended: int) -> Line:
    what = noun(ended, "running request")
    return ((f" {count(ended)} {what} ended on all of them", "text"),)


class ReachDialog(Choose[bool]):
    """The replicas as they carry the cut out; it has been asked for by then."""

    def __init__(
        self,
        fleet: Callable[[], Roll | None],
        ended: Callable[[], int],
        now: Callable[[], float],
    ) -> None:
        """`ended`: how many running requests the replicas have ended with it so far."""
        super().__init__("Open zone cut", [], [Option(True, "Close", "enter")])
        self._lines = ReachLines(fleet, ended, now)

    def compose_below(self) -> ComposeResult:
        yield self._lines
        yield from super().compose_below()

    def on_mount(self) -> None:
        super().on_mount()
        self._lines.redraw()
        self.set_interval(LOOK_SECONDS, self._lines.redraw)
