"""The Dashboard tab: statistics, backends and the live request list."""

from __future__ import annotations

from typing import Literal, TypeAlias

from textual import events
from textual.app import ComposeResult

from nexus_tui.keymap.keys import Place
from nexus_tui.screens.tab import Mover, Tab
from nexus_tui.sources.base import EventSource
from nexus_tui.view.filter.filtered import Filtered
from nexus_tui.view.filter.grammar import term
from nexus_tui.view.frame import Frames
from nexus_tui.view.model import BACKENDS, KPI, LIST, ViewModel
from nexus_tui.widgets.backend_list import BackendPanel
from nexus_tui.widgets.base.lines import Line, LineWidget
from nexus_tui.widgets.base.sortable import SortableList
from nexus_tui.widgets.kpis import Kpis
from nexus_tui.widgets.request_list import RequestList
from nexus_tui.widgets.welcome import Welcome

Pane: TypeAlias = Literal["list", "backends", "reasons"]

_WIDE = 100  # columns from which the dashboard has its full form
_TALL = 25
_NARROW = 66  # columns and lines under which only numbers and the list are left
_LOW = 14


class EnlargeHint(LineWidget):
    """Hint to enlarge a small terminal."""

    def lines(self, width: int, height: int) -> list[Line]:
        return [((" enlarge to 80x24 for more", "dim"),)]


class DashboardTab(Tab):
    """The Dashboard tab: statistics, backends, live list; without backends the welcome screen."""

    def __init__(self, source: EventSource, view: ViewModel, frames: Frames) -> None:
        super().__init__(id="dashboard")
        self._frames = frames
        self.kpis = Kpis(frames, view)
        self.panel = BackendPanel(frames)
        self.list = RequestList(view, "Live", source.config.tui.columns, id="live")
        self.enlarge = EnlargeHint(id="enlarge")
        self.welcome = Welcome(source)
        self.pane: Pane = "list"  # that the keys move in
        self._backends = -1  # how many there were when room was shared

    def compose(self) -> ComposeResult:
        yield self.welcome
        yield self.kpis
        yield self.panel
        yield self.list
        yield self.enlarge

    @property
    def filtered(self) -> Filtered:
        return self.list.filtered

    @property
    def place(self) -> Place:
        if not self._frames.current.backends:
            return "empty"
        return "requests" if self.pane == "list" else "panel"

    # --- panes ---------------------------------------------------------------------------

    def turn(self, steps: int) -> None:
        """Move the keys to the next pane that is shown (1), or to the one before it (-1)."""
        panes = self._panes
        at = panes.index(self.pane) if self.pane in panes else 0
        self._go_to(panes[(at + steps) % len(panes)])

    @property
    def _panes(self) -> list[Pane]:
        shown: list[Pane] = ["list"]
        if self.panel.display:
            shown.append("backends")
        if self.kpis.display and self.kpis.has_reasons:
            shown.append("reasons")
        return shown

    def _go_to(self, pane: Pane) -> None:
        self.pane = pane
        self.panel.has_cursor = pane == "backends"
        self.kpis.has_cursor = pane == "reasons"
        self.list.shows_cursor = pane == "list"
        self.list.forget()  # the same lines, with another one selected

    def close(self) -> bool:
        """Back to the list."""
        if self.pane == "list":
            return False
        self._go_to("list")
        return True

    @property
    def pane_term(self) -> str | None:
        """The filter for the requests of what the cursor is on; None in the list of requests."""
        if self.pane == "backends" and (name := self.panel.selected) is not None:
            return term("backend", name)
        return term("reason", self.kpis.reason) if self.pane == "reasons" else None

    def widgets_of(self, group: str) -> list[LineWidget]:
        if group == BACKENDS and len(self._frames.current.backends) != self._backends:
            self.share_room(self.size.width, self.size.height)
        groups: dict[str, list[LineWidget]] = {
            KPI: [self.kpis, self.welcome, self.enlarge],
            BACKENDS: [self.panel],
            LIST: [self.list],
        }
        return groups[group]

    @property
    def sortable(self) -> SortableList:
        return self.list

    @property
    def mover(self) -> Mover:
        if not self._frames.current.backends:
            return self.welcome
        movers: dict[Pane, Mover] = {
            "list": self.list,
            "backends": self.panel,
            "reasons": self.kpis,
        }
        return movers[self.pane]

    def on_resize(self, event: events.Resize) -> None:
        self.share_room(event.size.width, event.size.height)

    def share_room(self, width: int, height: int) -> None:
        """Give each part its lines for a tab of this size."""
        frame = self._frames.current
        backends = self._backends = len(frame.backends)
        is_small = width < _NARROW or height < _LOW
        is_wide = width >= _WIDE and height >= _TALL
        has_rest = backends > 0 and not self.is_zoomed
        self.welcome.display = backends == 0
        self.panel.display = has_rest and not is_small
        self.panel.is_wide = is_wide
        self.enlarge.display = has_rest and is_small
        self.kpis.display = has_rest
        self.list.display = backends > 0
        self.kpis.has_reasons = is_wide
        self.kpis.styles.height = 5 if is_wide else 1
        if self.pane not in self._panes:
            self._go_to("list")
        if is_wide:
            self.panel.styles.height = 2 + min(frame.total, max(4, height // 3))
        else:
            self.panel.styles.height = 1 + min(-(-frame.total // 2), 4)
