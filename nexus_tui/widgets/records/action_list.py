"""Action list: what operators did, the newest first."""

from __future__ import annotations

import time
from collections.abc import Sequence

from nexus_core.observe.events import OperatorActed
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import clock
from nexus_tui.view.frame import Frames
from nexus_tui.widgets.base.lines import Line, LineWidget, folded, rule

SHOWN = 10


class ActionList(LineWidget):
    """The last things that operators did, each one whole, wrapped where it is long."""

    def __init__(self, frames: Frames) -> None:
        super().__init__(id="action-list")
        self._frames = frames

    def lines(self, width: int, height: int) -> Sequence[Line]:
        frame = self._frames.current
        shown = frame.actions[:SHOWN]
        lines = [rule(width, "Operators", "what was changed, by whom, with what effect")]
        if not shown:
            return [*lines, ((" Nobody has changed anything.", "dim"),)]
        for acted in shown:
            lines += folded(_line(acted, frame.session, frame.now), width - 1)
        return lines


def _line(acted: OperatorActed, session: str, now: float) -> Line:
    sentence = acted.sentence
    if acted.by.session == session:
        sentence = f"you {sentence.removeprefix(f'{acted.by} ')}"
    style = "text" if acted.error is None else "warn"
    return ((f" {_when(acted.at, now)}  ", "dim"), (escaped(sentence), style))


def _when(at: float, now: float) -> str:
    """The time of day; the date where it was another day."""
    try:
        then, today = time.localtime(at), time.localtime(now)
    except (OverflowError, OSError, ValueError):  # what another Nexus says may be any number
        return clock(at)
    return clock(at) if then[:3] == today[:3] else time.strftime("%d %b %H:%M", then)
