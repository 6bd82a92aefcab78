"""Lines that scroll under a fixed head: by keys, pages and the wheel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from textual import events

from nexus_tui.widgets.base.lines import LineWidget

T = TypeVar("T")  # a line, or what one is made of
_ANY_END = 100_000  # lines, more than any text has


class ScrolledLines(LineWidget):
    """Subclasses draw `head_lines` lines and below them what `in_sight` leaves of the rest."""

    head_lines = 0

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's own name
        super().__init__(id=id)
        self._top = 0  # the first line in sight

    def in_sight(self, body: Sequence[T], room: int) -> Sequence[T]:
        """What is seen through so many lines; scrolled back where the text has become shorter."""
        self._top = max(0, min(self._top, len(body) - room))
        return body[self._top : self._top + room]

    def move(self, lines: int) -> None:
        """Scroll; it is seen when the lines are drawn."""
        self._top = max(0, self._top + lines)

    def page(self, pages: int) -> None:
        """Scroll by what is in sight."""
        self.move(pages * max(1, self.size.height - self.head_lines - 1))

    def edge(self, direction: int) -> None:
        """Scroll to the top (-1) or the bottom (1)."""
        self.move(direction * _ANY_END)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.move(3)
        self.redraw()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.move(-3)
        self.redraw()
