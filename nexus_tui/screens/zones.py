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
from nexus_tui.widgets.records.zone_requests import ZoneRequests
from nexus_tui.widgets.zone_backends import ZoneBackends
from nexus_tui.widgets.zone_board import ZoneBoard

_BOARD = 14  # lines that the zones need; what operators did gets what is left
_BACKENDS = 4  # lines under which the backends of a zone are not worth showing, or its requests
_FEW = 2  # lines under which it is not worth showing


class ZonesTab(Tab):
    """The Zones tab: zone states, the impact of a cut, requests, and what operators did."""

    def __init__(self, frames: Frames, view: ViewModel) -> None:
        super().__init__(id="zones")
        self.board = ZoneBoard(frames, view)
        self.actions = ActionList(frames)
        self.backends = ZoneBackends(frames, lambda: self.board.selected)
        self.requests = ZoneRequests(view, lambda: self.board.selected)
        self._rooms = (-1,) * 4  # lines of the actions, the board, the backends and the requests

    def compose(self) -> ComposeResult:
        yield self.board
        yield self.backends
        yield self.requests
        yield self.actions

    @property
    def place(self) -> Place:
        return "zones"

    def widgets_of(self, group: str) -> list[LineWidget]:
        if group != KPI:
            return []
        self.share_room(self.size.width, self.size.height)
        return [self.board, self.backends, self.requests, self.actions]

    def on_resize(self, event: events.Resize) -> None:
        self.share_room(event.size.width, event.size.height)

    def share_room(self, width: int, height: int) -> None:
        """Give the actions the lines that they need and the board can spare; then the backends.

        What is left then is for the requests of the zone.
        """
        room = 0 if self.is_zoomed else min(len(self.actions.lines(width, height)), height - _BOARD)
        board = len(self.board.lines(width, height)) + 1
        left = height - board - max(0, room)
        backends = 0 if self.is_zoomed or left < _BACKENDS else min(left, self.backends.needed)
        left -= backends
        requests = 0 if not backends or left < _BACKENDS else min(left, self.requests.needed)
        rooms = (room, board, backends, requests)
        if rooms != self._rooms:
            self._rooms = rooms
            self.actions.display = room >= _FEW
            self.actions.styles.height = max(1, room)
            self.backends.display = bool(backends)
            self.backends.styles.height = max(1, backends)
            self.requests.display = bool(requests)
            self.requests.styles.height = max(1, requests)
            self.board.styles.height = board if backends else "1fr"

    @property
    def mover(self) -> Mover:
        return self.board
