"""The Keys tab: client keys, their limits and what is used of them."""

from __future__ import annotations

from textual.app import ComposeResult

from nexus_tui.keymap.keys import Place
from nexus_tui.screens.tab import Mover, Tab
from nexus_tui.view.filter.filtered import Filtered
from nexus_tui.view.frame import Frames
from nexus_tui.view.keys.watch import KeyWatch
from nexus_tui.view.model import KPI
from nexus_tui.widgets.base.lines import LineWidget
from nexus_tui.widgets.base.sortable import SortableList
from nexus_tui.widgets.key_table import KeyTable


class KeysTab(Tab):
    """The Keys tab; `watch` asks for keys while it is shown."""

    def __init__(self, frames: Frames, watch: KeyWatch) -> None:
        super().__init__(id="keys")
        self.known = watch
        self.table = KeyTable(frames, watch)

    def compose(self) -> ComposeResult:
        yield self.table

    @property
    def filtered(self) -> Filtered:
        return self.table.typed.filtered

    @property
    def place(self) -> Place:
        return "keys"

    def widgets_of(self, group: str) -> list[LineWidget]:
        return [self.table] if group == KPI else []

    @property
    def sortable(self) -> SortableList:
        return self.table

    @property
    def mover(self) -> Mover:
        return self.table
