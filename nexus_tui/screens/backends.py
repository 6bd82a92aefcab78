"""The Backends tab: all backends, and the selected one in brief or in full."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult

from nexus_tui.keymap.keys import Place
from nexus_tui.screens.tab import Mover, Tab
from nexus_tui.view.filter.filtered import Filtered
from nexus_tui.view.frame import Frames
from nexus_tui.view.model import BACKENDS, Troubles
from nexus_tui.widgets.backend_detail import BackendDetail, BackendFacts
from nexus_tui.widgets.backend_list import BackendTable
from nexus_tui.widgets.base.lines import LineWidget
from nexus_tui.widgets.base.sortable import SortableList

_TALL = 17  # lines from which the facts have room


class BackendsTab(Tab):
    """The Backends tab: the table with facts below it, or one backend."""

    def __init__(self, frames: Frames, troubles: Troubles) -> None:
        super().__init__(id="backends")
        self.table = BackendTable(frames)
        self.facts = BackendFacts(frames, lambda: self.table.selected)
        self.detail = BackendDetail(frames, troubles, lambda: self.table.selected)

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
        is_open = self.detail.display
        self.facts.display = height >= _TALL and not self.is_zoomed and not is_open

    def widgets_of(self, group: str) -> list[LineWidget]:
        return [self.table, self.facts, self.detail] if group == BACKENDS else []

    @property
    def sortable(self) -> SortableList:
        return self.table

    @property
    def mover(self) -> Mover:
        return self.detail if self.detail.display else self.table

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
        self.table.display = self.facts.display = False
        self.detail.display = True
        self.detail.start()

    def close(self) -> bool:
        """Back to the table."""
        if not self.detail.display:
            return False
        self.detail.display = False
        self.table.display = True
        self.share_room(self.size.width, self.size.height)
        return True
