"""A text that scrolls under a fixed head."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from nexus_tui.widgets.base.moved import MovedLines

T = TypeVar("T")  # a line, or what one is made of
_ANY_END = 100_000  # lines, more than any text has


class ScrolledLines(MovedLines):
    """Subclasses draw `head_lines` lines and below them what `in_sight` leaves of the rest."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002  Textual's own name
        super().__init__(id=id)
        self._top = 0  # the first line in sight

    def in_sight(self, body: Sequence[T], room: int) -> Sequence[T]:
        """What is seen through so many lines; scrolled back where the text has become shorter."""
        self._top = max(0, min(self._top, len(body) - room))
        return body[self._top : self._top + room]

    def move(self, rows: int) -> None:
        self._top = max(0, self._top + rows)

    def edge(self, direction: int) -> None:
        """Scroll to the top (-1) or the bottom (1)."""
        self.move(direction * _ANY_END)
