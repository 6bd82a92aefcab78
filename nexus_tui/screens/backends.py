"""The Backends tab: all backends, and the selected one in brief or in full."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult

from nexus_tui.keymap.keys import Place
from nexus_tui.screens.tab import Mover, Tab
from nexus_tui.view.filter.filtered import Filtered
from nexus_tui.view.frame import Frames
from nexus_tui.view.model import BACKENDS, ViewModel
from nexus_tui.widgets.backend_detail import BackendDetail, BackendFacts
from nexus_tui.widgets.backend_list import BackendTable
from nexus_tui.widgets.base.lines import LineWidget
from nexus_tui.widgets.base.sortable import SortableList

_TALL = 17  # lines from which the facts have room
_DETAIL = 14  # lines below the table from which the whole backend is shown in place of the facts


class BackendsTab(Tab):
    """The Backends tab: the table with the selected backend below it, or one backend alone."""

    def __init__(self, frames: Frames, view: ViewModel) -> None:
        super().__init__(id="backends")
        self.table = BackendTable(frames)
        self.facts = BackendFacts(frames, lambda: self.table.selected)
        self.detail = BackendDetail(frames, view, lambda: self.table.selected)
        self.is_open = False  # one backend has the whole tab
        self._table_lines = -1  # that the table has; -1: those that are left

    def compose(self) -> ComposeResult:
        yield self.table
        yield self.facts
        yield self.detail

    def on_mount(self) -> None:
        self.detail.display = False

    @property
    def filtered(self) -> Filtered:
        return self.table.typed.filtered

    @property
    def place(self) -> Place:
        return "backends"

    def on_resize(self, event: events.Resize) -> None:
        self.share_room(event.size.width, event.size.height)

    def share_room(self, width: int, height: int) -> None:
        """Give the table its rows and the selected backend what is left, where that is enough."""
        rows = self.table.row_count()  # where there are none the table says why
        needed = rows + self.table.head_lines + 1
        is_shared = not self.is_zoomed and not self.is_open
        has_room = is_shared and rows > 0 and height - needed >= _DETAIL
        self.table.display = not self.is_open
        self.detail.display = self.is_open or has_room
        self.facts.display = is_shared and not has_room and height >= _TALL
        lines = needed if has_room else -1
        if lines != self._table_lines:
            self._table_lines = lines
            self.table.styles.height = "1fr" if lines < 0 else lines

    def widgets_of(self, group: str) -> list[LineWidget]:
        if group != BACKENDS:
            return []
        self.share_room(self.size.width, self.size.height)
        return [self.table, self.facts, self.detail]

    @property
    def sortable(self) -> SortableList:
        return self.table

    @property
    def mover(self) -> Mover:
        return self.detail if self.is_open else self.table

    def show(self, name: str) -> None:
        """Put the cursor on a backend; a filter that hides it is cleared."""
        self.close()
        if self.table.typed.current.text and not self.table.has(name):
            self.table.typed.set("")
        self.table.select(name)

    def open(self, origin: str | None = None) -> None:
        """Show the backend under the cursor in full.

        Args:
            origin: the tab that it was opened from, if that is another one.
        """
        self.origin = origin
        self.is_open = True
        self.share_room(self.size.width, self.size.height)
        self.detail.start()

    def close(self) -> bool:
        """Back to the table."""
        if not self.is_open:
            return False
        self.is_open = False
        self.detail.start()
        self.share_room(self.size.width, self.size.height)
        return True
