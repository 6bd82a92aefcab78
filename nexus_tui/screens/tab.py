"""Base of all tabs: their keys, cursor moves, panes, zoom, repaint."""

from __future__ import annotations

from typing import Protocol

from textual.containers import Vertical

from nexus_tui.keymap.keys import Place
from nexus_tui.view.filter.filtered import Filtered
from nexus_tui.view.model import BACKENDS, KPI, LIST
from nexus_tui.widgets.base.lines import LineWidget
from nexus_tui.widgets.base.sortable import SortableList


class Mover(Protocol):
    """What the cursor keys move."""

    def move(self, rows: int, /) -> None: ...
    def page(self, pages: int, /) -> None: ...
    def edge(self, direction: int, /) -> None: ...


class Searched(Protocol):
    """Text that can be searched."""

    search: str  # what it is searched for now; may be empty

    def look_for(self, text: str, /) -> None:
        """Mark a text, and go to its first place; the empty text marks nothing."""
        ...


class Tab(Vertical):
    """One tab; says which of its widgets belong to a group, and which list the keys move."""

    def __init__(self, *, id: str) -> None:  # noqa: A002  Textual's own name
        super().__init__(id=id)
        self.is_zoomed = False
        # The tab that what is open here was opened from, to go back to it; None: this one.
        self.origin: str | None = None

    @property
    def place(self) -> Place:
        """Whose keys are hinted at."""
        raise NotImplementedError

    @property
    def filtered(self) -> Filtered | None:
        """The list that can be filtered; None where there is none."""
        return None

    @property
    def searched(self) -> Searched | None:
        """The text that is shown in place of a list, and can be searched."""
        return None

    @property
    def places(self) -> tuple[Place, ...]:
        """Whose keys work, beside those that work everywhere."""
        return ("lists", self.place)

    def widgets_of(self, group: str) -> list[LineWidget]:
        """What to repaint when the group has changed."""
        raise NotImplementedError

    @property
    def mover(self) -> Mover:
        """What the cursor keys move."""
        raise NotImplementedError

    @property
    def sortable(self) -> SortableList | None:
        """Its list, where that can be sorted."""
        return None

    def redraw(self) -> None:
        """Repaint all that changed."""
        for group in (KPI, BACKENDS, LIST):
            for widget in self.widgets_of(group):
                widget.redraw()

    def turn(self, steps: int) -> None:
        """Show the next pane (1) or the one before it (-1), where there are any."""

    def zoom(self) -> None:
        """Give the list or pane the whole tab, or share the room again."""
        self.is_zoomed = not self.is_zoomed
        self.share_room(self.size.width, self.size.height)

    def share_room(self, width: int, height: int) -> None:
        """Give each part its lines for a tab of this size."""

    def close(self) -> bool:
        """Leave the detail; False when there is none to leave."""
        return False

    def leave_mode(self) -> bool:
        """Back to the usual way to list; False when that is shown."""
        return False
