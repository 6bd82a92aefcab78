"""Painter of the screen: all at once after a key, group by group in the pacer's rounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from textual.screen import Screen

from nexus_tui.draw.intake import Intake
from nexus_tui.draw.pacer import Pacer
from nexus_tui.screens.tab import Tab
from nexus_tui.sources.base import EventSource
from nexus_tui.view.frame import Frames
from nexus_tui.view.model import BACKENDS, KPI, SLOTS, ViewModel
from nexus_tui.view.notices import Notices
from nexus_tui.widgets.chrome import Banner, Bars


class Stage(Protocol):
    """Interface of the app for the painter."""

    @property
    def screen_stack(self) -> Sequence[Screen[Any]]: ...  # empty while the app ends
    @property
    def tab(self) -> Tab: ...  # the one that is shown
    @property
    def bars(self) -> Bars: ...  # around every tab

    def call_next(self, callback: Callable[[], None], /) -> None:
        """Call it in the next turn of the event loop."""
        ...


class Painter:
    """Takes in events and paints the screen; every change of the view calls `soon`."""

    def __init__(
        self, stage: Stage, source: EventSource, view: ViewModel, frames: Frames, notices: Notices
    ) -> None:
        self._stage = stage
        self._source = source
        self._view = view
        self._frames = frames
        self._notices = notices
        self._epoch = source.epoch
        self.is_due = False  # a painting was asked for and has not begun
        self.is_held = False  # another program has the terminal: nothing is painted
        self.intake = Intake(source.wait, self._take)
        self.pacer = Pacer(self.intake, self, busy_interval=1 / source.config.tui.refresh_hz)

    def soon(self) -> None:
        """Request a painting of all changes; several requests make one painting."""
        if not self.is_due:
            self.is_due = True
            self._stage.call_next(self.paint)

    def paint(self) -> None:
        """Paint all changes now; nothing is left for the pacer."""
        self.is_due = False
        self.take_in()
        if self.is_held:
            return
        self._view.age()
        self._view.take_dirty()
        self._frames.renew()
        self._paint_bars()
        self._stage.tab.redraw()

    def take_in(self) -> None:
        """Update the view from all events so far, without painting."""
        self.pacer.count(self.intake.collect())

    def _take(self) -> int:
        source, view = self._source, self._view
        if source.epoch != self._epoch:
            self._epoch = source.epoch
            view.follow(source.requests)
        events, changed = source.drain(), source.changed()
        if events:  # first: what a switch does to requests is counted from its time on
            view.apply(events)
            if self._notices.note(events):
                self.soon()
        if changed:
            view.take(changed)
            self._notices.note_requests(changed)
        if unseen := source.unseen():
            view.rate.add(source.now(), unseen)
        return len(changed) + len(events)

    # --- rounds --------------------------------------------------------------------------

    def begin_round(self) -> list[list[str]]:
        """Make a frame for a round of painting; gives the groups to paint, by slots."""
        if self.is_held:
            return []
        self._view.mark_dirty(KPI, BACKENDS)  # clock, rate and cooldowns move by themselves
        self._view.age()
        self._frames.renew()
        dirty = self._view.take_dirty()
        return [[group for group in slot if group in dirty] for slot in SLOTS]

    def paint_group(self, group: str) -> None:
        """Paint a group's widgets; under a dialog this is postponed until it is closed."""
        if group == KPI:
            self._notices.warn()
            self._paint_bars()
        if len(self._stage.screen_stack) != 1:
            self._view.mark_dirty(group)
            return
        for widget in self._stage.tab.widgets_of(group):
            widget.redraw()

    def _paint_bars(self) -> None:
        screens = self._stage.screen_stack
        if not screens:
            return  # the app is ending, and a painting was under way
        screens[0].set_class(self._frames.current.status != "live", "-stale")
        bars = self._stage.bars
        bars.banner.share_room()
        for bar in bars:
            bar.redraw()
        if len(screens) > 1:
            for banner in screens[-1].query(Banner):  # of a screen that covers all of it
                banner.share_room()
                banner.redraw()
