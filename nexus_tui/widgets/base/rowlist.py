"""A list that draws only the rows in sight: cursor, scrolling, following."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from nexus_tui.widgets.base.lines import Line
from nexus_tui.widgets.base.moved import MovedLines

CURSOR = "▌"
_CURSOR_IN_REVERSE = ">"  # where a block would be cut out of the row


def with_cursor(line: Line, *, reverses: bool) -> Line:
    """A line with the cursor's mark in its first cell, where that is blank."""
    if not line or not line[0][0].startswith(" "):
        return line
    (text, style), *rest = line
    mark = _CURSOR_IN_REVERSE if reverses else CURSOR
    return ((mark, "key"), (text[1:], style), *rest)


class RowList(MovedLines):
    """Headings, then rows. Subclasses say how many rows there are and draw one."""

    head_lines = 2
    shows_cursor = True

    class Opened(Message):
        """A row was clicked that the cursor was on already."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's own name
        super().__init__(id=id)
        self.cursor = 0
        self._top = 0  # the first row in sight

    # --- what subclasses give ------------------------------------------------------------

    def row_count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def head(self, width: int) -> Sequence[Line]:
        """The headings, `head_lines` of them."""
        raise NotImplementedError

    def row(self, index: int, width: int) -> Line:
        """One row; 0 is the top one."""
        raise NotImplementedError

    def rows(self, first: int, last: int, width: int) -> list[Line]:
        """The rows from `first` to before `last`, all of which there are."""
        return [self.row(index, width) for index in range(first, last)]

    def empty(self, width: int) -> Sequence[Line]:
        """What to show in place of rows."""
        return ()

    def locate(self) -> None:
        """Bring the cursor up to date with rows that came since the last drawing."""

    def cursor_moved(self) -> None:
        """The person moved the cursor."""

    # --- drawing -------------------------------------------------------------------------

    def lines(self, width: int, height: int) -> Sequence[Line]:
        total = self.row_count()
        self._keep_in_sight(total, height - self.head_lines)
        head = list(self.head(width))
        if not total:
            return [*head, *self.empty(width)]
        last = min(total, self._top + height - self.head_lines)
        rows = self.rows(self._top, last, width)
        self.put_cursor(self.head_lines + self.cursor - self._top)
        return [*head, *rows]

    def _keep_in_sight(self, total: int, room: int) -> None:
        self.cursor = max(0, min(self.cursor, total - 1))
        room = max(1, room)
        self._top = min(self._top, self.cursor, max(0, total - room))
        self._top = max(self._top, self.cursor - room + 1)

    def line_is_selected(self, y: int) -> bool:
        return self.shows_cursor and y == self.cursor_line and self.row_count() > 0

    def under_cursor(self, line: Line) -> Line:
        """The line with the cursor's mark in its first cell, which rows leave blank for it."""
        return with_cursor(line, reverses=self.look.reverses)

    # --- moving --------------------------------------------------------------------------

    def move(self, rows: int) -> None:
        self.locate()
        self.cursor = max(0, min(self.cursor + rows, self.row_count() - 1))
        self.cursor_moved()

    def edge(self, direction: int) -> None:
        """Move to the top (-1) or the bottom (1)."""
        self.move(direction * self.row_count())

    def on_click(self, event: events.Click) -> None:
        self.locate()
        index = self._top + event.y - self.head_lines
        if event.y < self.head_lines or index >= self.row_count():
            return
        if index == self.cursor:
            self.post_message(self.Opened())
        else:
            self.move(index - self.cursor)
            self.redraw()
