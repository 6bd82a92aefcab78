"""The sixth tab: the log of this process."""

from __future__ import annotations

from textual.app import ComposeResult

from nexus_tui.keys import Place
from nexus_tui.logs import Ring
from nexus_tui.screens.tab import Mover, Tab
from nexus_tui.viewmodel import KPI
from nexus_tui.widgets.lines import LineWidget
from nexus_tui.widgets.log_list import LogList


class LogsTab(Tab):
    """The ring's lines, by level and filter."""

    filter_example = "words in the line; ! before one: without it"

    def __init__(self, ring: Ring, *, is_remote: bool = False) -> None:
        """Another process, which is_remote says is shown, keeps its log to itself."""
        super().__init__(id="logs")
        self.list = LogList(ring, is_remote=is_remote)

    def compose(self) -> ComposeResult:
        yield self.list

    @property
    def place(self) -> Place:
        return "logs"

    def widgets_of(self, group: str) -> list[LineWidget]:
        return [self.list] if group == KPI else []

    @property
    def mover(self) -> Mover:
        return self.list
