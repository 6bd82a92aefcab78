"""A list that can be sorted: by a menu, or by a click on the title of a column."""

from __future__ import annotations

from typing import Any

from textual import events
from textual.message import Message

from nexus_tui.view.order import Sorting
from nexus_tui.widgets.base.columns import Layout, column_at, heading
from nexus_tui.widgets.base.lines import Line
from nexus_tui.widgets.base.rowlist import RowList


class SortableList(RowList):
    """A list with columns; the last line of its head has their titles."""

    lead = 1  # cells before the first column
    _titled: tuple[Layout, str, Line] | None = None  # what the titles were made of, and they

    class Sorted(Message):
        """The order was changed by a click."""

    # --- what subclasses give ------------------------------------------------------------

    @property
    def sorting(self) -> Sorting[Any]:
        """How it is sorted now."""
        raise NotImplementedError

    def columns(self, width: int) -> Layout:
        """Its columns in this width."""
        raise NotImplementedError

    # --- sorting -------------------------------------------------------------------------

    def sort_by(self, column: str) -> None:
        """Sort by one of the ways of `sorting`; chosen again, the other way round."""
        self.cursor_moved()  # it stays on its row
        self.sorting.choose(column)

    def reverse(self) -> None:
        """Turn the order around."""
        self.cursor_moved()
        self.sorting.reverse()

    def unsort(self) -> bool:
        """Back to the usual order; False if that holds already."""
        self.cursor_moved()
        return self.sorting.reset()

    def sorted_by(self) -> tuple[str, ...]:
        """What the title says of the order, where it is not the usual one."""
        return () if self.sorting.is_usual else (f"sorted by {self.sorting.words}",)

    def titles(self, width: int) -> Line:
        """The last line of the head: what is sorted by has a mark beside it."""
        columns, sorting = self.columns(width), self.sorting
        if (
            self._titled is None
            or self._titled[0] is not columns
            or self._titled[1] != sorting.words
        ):
            text = heading(columns, sorting.column, sorting.mark, lead=self.lead)
            self._titled = (columns, sorting.words, ((text, "head"),))
        return self._titled[2]

    def on_click(self, event: events.Click) -> None:
        if event.y != self.head_lines - 1:
            return  # Textual also calls the handler of RowList, for its rows
        column = column_at(self.columns(self.size.width), event.x, lead=self.lead)
        if column is not None and column in self.sorting.ways:
            self.sort_by(column)
            self.post_message(self.Sorted())
