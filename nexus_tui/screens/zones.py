"""The Zones tab, with the panic switch, and what operators did."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult

from nexus_tui.keymap.keys import Place
from nexus_tui.screens.tab import Mover, Tab
from nexus_tui.view.frame import Frames
from nexus_tui.view.model import KPI, ViewModel
from nexus_tui.widgets.base.lines import LineWidget
from nexus_tui.widgets.records.action_list import ActionList
from nexus_tui.widgets.zone_board import ZoneBoard

_BOARD = 14  # lines that the zones need; what operators did gets what is left
_FEW = 2  # lines under which it is not worth showing


class ZonesTab(Tab):
    """The Zones tab: zone states, the impact of a cut, and what operators did."""

    def __init__(self, frames: Frames, view: ViewModel) -> None:
        super().__init__(id="zones")
        self.board = ZoneBoard(frames, view)
        self.actions = ActionList(frames)
        self._room = -1  # lines of the actions

    def compose(self) -> ComposeResult:
        yield self.board
        yield self.actions

    @property
    def place(self) -> Place:
        return "zones"

    def widgets_of(self, group: str) -> list[LineWidget]:
        if group != KPI:
            return []
        self.share_room(self.size.width, self.size.height)
        return [self.board, self.actions]

    def on_resize(self, event: events.Resize) -> None:
        self.share_room(event.size.width, event.size.height)

    def share_room(self, width: int, height: int) -> None:
        """Give the actions the lines that they need, and that the board can spare."""
        room = 0 if self.is_zoomed else min(len(self.actions.lines(width, height)), height - _BOARD)
        if room != self._room:
            self._room = room
            self.actions.display = room >= _FEW
            self.actions.styles.height = max(1, room)

    @property
    def mover(self) -> Mover:
        return self.board
