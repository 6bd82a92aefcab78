"""The Logs tab."""

from __future__ import annotations

from textual.app import ComposeResult

from nexus_core.observe.log_ring import LogRing
from nexus_tui.keymap.keys import Place
from nexus_tui.screens.tab import Mover, Tab
from nexus_tui.view.filter.filtered import Filtered
from nexus_tui.view.model import KPI
from nexus_tui.widgets.base.lines import LineWidget
from nexus_tui.widgets.records.log_list import LogList


class LogsTab(Tab):
    """The Logs tab: log lines and notices by level and filter."""

    def __init__(self, ring: LogRing, notices: LogRing) -> None:
        super().__init__(id="logs")
        self.list = LogList(ring, notices)

    def compose(self) -> ComposeResult:
        yield self.list

    @property
    def filtered(self) -> Filtered:
        return self.list.filtered

    @property
    def place(self) -> Place:
        return "logs"

    def widgets_of(self, group: str) -> list[LineWidget]:
        return [self.list] if group == KPI else []

    @property
    def mover(self) -> Mover:
        return self.list
