"""Session list: agents' sessions, each of which folds out its subagents and requests."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_core.observe.record import RequestRecord
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import count
from nexus_tui.view.filter.grammar import term
from nexus_tui.view.model import ViewModel
from nexus_tui.view.order import Sorting
from nexus_tui.view.sessions.book import Tally
from nexus_tui.view.sessions.lines import Identity, SessionLine, identity_of, lines_of
from nexus_tui.view.sessions.order import session_ways
from nexus_tui.widgets.base.columns import Layout, layout
from nexus_tui.widgets.base.filter_lines import filter_problem, nothing_matches
from nexus_tui.widgets.base.lines import Line, rule
from nexus_tui.widgets.base.sortable import SortableList
from nexus_tui.widgets.cells.sessions import COLUMNS, LEAD, session_line

_NONE_YET = (
    "  No session yet.",
    "  Claude Code, Codex and opencode name theirs; any other client may send X-Session-Id.",
)


class SessionList(SortableList):
    """Sessions of the view model's requests, as pause and filter leave them."""

    lead = LEAD

    def __init__(self, view: ViewModel, *, id: str) -> None:  # noqa: A002  Textual's own name
        super().__init__(id=id)
        self._view = view
        self._sorting = Sorting(session_ways(), usual="last")
        self._opened: set[Identity] = set()
        self._shown: Sequence[SessionLine] = []
        self._at: Identity | None = None  # the line under the cursor

    # --- what the cursor is on -----------------------------------------------------------

    @property
    def line(self) -> SessionLine | None:
        """The line under the cursor; None without lines."""
        return self._shown[self.cursor] if self.cursor < len(self._shown) else None

    @property
    def selected(self) -> RequestRecord | None:
        """The request under the cursor; None on a session."""
        return None if self.line is None else self.line.row

    @property
    def selected_term(self) -> str | None:
        """The filter for the requests of the session under the cursor, or of the subagent."""
        line = self.line
        if line is None or line.row is not None:
            return None
        one = line.tally
        if one.subagent is not None:
            return term("session", one.subagent)
        by_session = term("session", one.session)
        return by_session if one.session else f"{term('agent', one.agent)} {by_session}"

    def fold(self) -> None:
        """Fold out what the cursor is on, or fold it in; on a request, what that belongs to."""
        line = self.line
        if line is None:
            return
        identity = identity_of(line.tally)
        if identity in self._opened:
            self._opened.remove(identity)
        else:
            self._opened.add(identity)
        self._at = identity
        self._list()
        self.locate()

    def step(self, rows: int) -> RequestRecord | None:
        """Move to the next request (1) of those below one another, or the one before (-1)."""
        place = self.cursor + rows
        if not (0 <= place < len(self._shown)) or self._shown[place].row is None:
            return None
        self.move(rows)
        return self.selected

    # --- order ---------------------------------------------------------------------------

    @property
    def sorting(self) -> Sorting[Tally]:
        return self._sorting

    def columns(self, width: int) -> Layout:
        return layout(COLUMNS, width, lead=LEAD)

    # --- lines ---------------------------------------------------------------------------

    def _list(self) -> None:
        sessions = self._sorting.top_first(self._view.sessions.sessions[::-1])
        if self._opened:  # of those that are gone nothing is kept
            self._opened &= {
                identity_of(one) for session in sessions for one in _with_subagents(session)
            }
        self._shown = [*lines_of(sessions, self._opened, self._view.in_time)]

    def cursor_moved(self) -> None:
        self._at = None if self.line is None else self.line.identity

    def locate(self) -> None:
        """At the top the cursor stays there; elsewhere it stays on its line."""
        if self._at is None or (self.cursor == 0 and not self._opened):
            return
        place = next((n for n, one in enumerate(self._shown) if one.identity == self._at), None)
        if place is not None and place != self.cursor:
            self._top = max(0, self._top + place - self.cursor)
            self.cursor = place

    def lines(self, width: int, height: int) -> Sequence[Line]:
        self._list()
        self.locate()
        return super().lines(width, height)

    def row_count(self) -> int:
        return len(self._shown)

    def head(self, width: int) -> Sequence[Line]:
        view, sessions = self._view, self._view.sessions.sessions
        running = sum(one.running > 0 for one in sessions)
        listed = f"{count(len(sessions))} in all"
        if view.sessions.is_full:
            listed = f"the latest {count(len(sessions))}"
        states = [f"{listed}, {running} running"]
        states += ["paused"] if view.paused else []
        states += self.sorted_by()
        states += ["errors only"] if view.errors_only else []
        states += [f"filter: {escaped(view.filter.text)}"] if view.filter.text else []
        problem = filter_problem(view.filter)
        return [rule(width, "Sessions", *states, warning=problem), self.titles(width)]

    def empty(self, width: int) -> Sequence[Line]:
        view = self._view
        # Calls that were refused before they were routed are listed, and no session has them.
        if view.filter.text or view.filter.problem or view.errors_only:
            return nothing_matches(view.filter)
        return [(), *(((text, "dim"),) for text in _NONE_YET)]

    def row(self, index: int, width: int) -> Line:
        return session_line(self._shown[index], self.columns(width))


def _with_subagents(session: Tally) -> Sequence[Tally]:
    return (session, *session.subagents.values())
