"""Lines that are moved: by rows, by what is in sight, and by the mouse wheel."""

from __future__ import annotations

from textual import events

from nexus_tui.widgets.base.lines import LineWidget

_WHEEL = 3  # rows that one notch moves


class MovedLines(LineWidget):
    """Subclasses say what moves: the cursor in a list, or the text itself."""

    head_lines = 0  # that stay at the top

    def move(self, rows: int) -> None:
        """Move down, or up where it is negative; it is seen when the lines are drawn."""
        raise NotImplementedError

    def page(self, pages: int) -> None:
        """Move by what is in sight."""
        self.move(pages * max(1, self.size.height - self.head_lines - 1))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._turn_wheel(event, _WHEEL)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._turn_wheel(event, -_WHEEL)

    def _turn_wheel(self, event: events.MouseEvent, rows: int) -> None:
        event.stop()
        self.move(rows)
        self.redraw()
