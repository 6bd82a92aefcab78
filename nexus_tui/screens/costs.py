"""The Costs tab: spending, its parts, and the rest of the budget."""

from __future__ import annotations

from textual.app import ComposeResult

from nexus_tui.keymap.keys import Place
from nexus_tui.screens.tab import Mover, Tab
from nexus_tui.view.filter.filtered import Filtered
from nexus_tui.view.frame import Frames
from nexus_tui.view.model import KPI
from nexus_tui.widgets.base.lines import LineWidget
from nexus_tui.widgets.base.sortable import SortableList
from nexus_tui.widgets.cost_table import CostTable


class CostsTab(Tab):
    """The Costs tab: rows by model, backend, client key, agent, session, API, day or hour."""

    def __init__(self, frames: Frames) -> None:
        super().__init__(id="costs")
        self.table = CostTable(frames)

    def compose(self) -> ComposeResult:
        yield self.table

    @property
    def filtered(self) -> Filtered:
        return self.table.typed.filtered

    @property
    def place(self) -> Place:
        return "costs"

    def widgets_of(self, group: str) -> list[LineWidget]:
        return [self.table] if group == KPI else []

    @property
    def sortable(self) -> SortableList:
        return self.table

    @property
    def mover(self) -> Mover:
        return self.table

    def turn(self, steps: int) -> None:
        self.table.turn(steps)
