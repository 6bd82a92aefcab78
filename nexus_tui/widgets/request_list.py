"""Request list: newest on top, columns by priority, cursor kept on its request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from nexus_core.observe.record import RequestRecord
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import count
from nexus_tui.view.filter.filtered import Filtered
from nexus_tui.view.filter.requests import REQUESTS
from nexus_tui.view.model import ViewModel
from nexus_tui.view.order import Sorting
from nexus_tui.widgets.base.columns import Layout
from nexus_tui.widgets.base.filter_lines import filter_problem, nothing_matches
from nexus_tui.widgets.base.lines import Line, rule
from nexus_tui.widgets.base.sortable import SortableList
from nexus_tui.widgets.cells.requests import LEAD, RequestColumns, request_line

# A request by its record, as numbers begin anew after a restart; its version; whether it is marked.
_Drawn: TypeAlias = tuple[RequestRecord, int, bool]


class RequestList(SortableList):
    """Rows of the view model. While following, the cursor stays on the newest request."""

    lead = LEAD

    def __init__(
        self,
        view: ViewModel,
        title: str,
        own_columns: Sequence[str] | None = None,
        *,
        id: str,  # noqa: A002  Textual's own name
    ) -> None:
        """
        Args:
            own_columns: a person's own choice of columns, as in `[tui] columns`.
        """
        super().__init__(id=id)
        self.following = True
        self._view = view
        self._title = title
        self._columns = RequestColumns(own_columns)
        self._of_several = RequestColumns(own_columns, is_fleet=True)
        self._names_replicas = view.names_replicas
        self._seq = -1  # of the row under the cursor
        self._kept: dict[_Drawn, Line] = {}  # the rows in sight,
        self._kept_for: Layout = ()  # in these columns
        self.filtered = Filtered(
            kind="requests",
            example="words  status:5xx  key:laptop  slow:>2s  last:10m  cut or left  !zone:open",
            language=REQUESTS,
            current=lambda: view.filter,
            set=view.set_filter,
            names=lambda: view.known_names,
        )

    @property
    def selected(self) -> RequestRecord | None:
        """The row under the cursor, also when newer ones came that are not drawn yet."""
        self.locate()
        rows = self._view.view
        return rows[-1 - self.cursor] if self.cursor < len(rows) else None

    def select(self, seq: int) -> None:
        """Put the cursor on a request; it stays there."""
        self.following = False
        self._seq = seq

    def follow(self) -> None:
        """Go to the newest request and stay there."""
        self.following = True

    # --- order ---------------------------------------------------------------------------

    @property
    def sorting(self) -> Sorting[RequestRecord]:
        return self._view.sorting

    def sort_by(self, column: str) -> None:
        self._view.sort_by(column)

    def reverse(self) -> None:
        self._view.reverse()

    def unsort(self) -> bool:
        return self._view.sort_by_time()

    def columns(self, width: int) -> Layout:
        return (self._of_several if self._names_replicas else self._columns).layout(width)

    # --- rows ----------------------------------------------------------------------------

    def row_count(self) -> int:
        return len(self._view.view)

    def cursor_moved(self) -> None:
        rows = self._view.view
        self._seq = rows[-1 - self.cursor].seq if self.cursor < len(rows) else -1
        self.following = self.cursor == 0

    def lines(self, width: int, height: int) -> Sequence[Line]:
        self._names_replicas = self._view.names_replicas
        self.locate()
        return super().lines(width, height)

    def locate(self) -> None:
        """Move with the request that the cursor is on, and keep it on its line of the screen."""
        rows = self._view.view
        if self.following or not rows:
            self.cursor = self._top = 0
            return
        index = len(rows) - 1 - min(self._view.position(self._seq), len(rows) - 1)
        if index != self.cursor:
            self._top = max(0, self._top + index - self.cursor)
            self.cursor = index

    def head(self, width: int) -> Sequence[Line]:
        problem = filter_problem(self._view.filter)
        return [rule(width, self._title, *self._states(), warning=problem), self.titles(width)]

    def _states(self) -> list[str]:
        view = self._view
        if view.paused:
            states = [f"paused, +{count(view.new_while_paused)} new, f to follow"]
        elif not view.sorting.is_usual:
            states = []
        elif self.following:
            states = ["following"]
        else:
            states = ["not following, f for the newest"]
        states += self.sorted_by()
        if view.errors_only:
            states.append("errors only")
        if view.filter.text:
            states.append(f"filter: {escaped(view.filter.text)}")
        if view.filter.text or view.errors_only:
            states.append(f"{count(len(view.view))} of {count(view.kept)}")
        return states

    def empty(self, width: int) -> Sequence[Line]:
        if self._view.kept or self._view.filter.problem:
            return nothing_matches(self._view.filter)
        return [(), (("  No request yet.", "dim"),)]

    def rows(self, first: int, last: int, width: int) -> list[Line]:
        view, marked = self._view.view, self._view.marked
        columns = self.columns(width)
        before = self._kept if columns is self._kept_for else {}
        drawn = dict[_Drawn, Line]()
        self._kept, self._kept_for = drawn, columns
        lines: list[Line] = []
        for index in range(first, last):
            row = view[-1 - index]
            is_marked = bool(marked) and row in marked
            key = (row, row.version, is_marked)
            line = before.get(key)
            if line is None:
                line = request_line(row, columns, is_marked=is_marked)
            drawn[key] = line
            lines.append(line)
        return lines
