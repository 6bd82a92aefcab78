"""The fourth tab: the zones, with the panic switch."""

from __future__ import annotations

from textual.app import ComposeResult

from nexus_tui.keymap.keys import Place
from nexus_tui.screens.tab import Mover, Tab
from nexus_tui.view.frame import Frames
from nexus_tui.view.model import KPI, ViewModel
from nexus_tui.widgets.base.lines import LineWidget
from nexus_tui.widgets.zone_board import ZoneBoard


class ZonesTab(Tab):
    """What is open for use, and what cutting it would hit."""

    def __init__(self, frames: Frames, view: ViewModel) -> None:
        super().__init__(id="zones")
        self.board = ZoneBoard(frames, view)

    def compose(self) -> ComposeResult:
        yield self.board

    @property
    def place(self) -> Place:
        return "zones"

    def widgets_of(self, group: str) -> list[LineWidget]:
        return [self.board] if group == KPI else []

    @property
    def mover(self) -> Mover:
        return self.board
