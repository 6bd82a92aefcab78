"""The Requests tab: the request list, the same by session, or one request in full."""

from __future__ import annotations

from typing import NamedTuple

from textual.app import ComposeResult

from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.record import RequestRecord
from nexus_core.routing.explain import Explanation
from nexus_tui.keymap.keys import Place
from nexus_tui.screens.tab import Mover, Searched, Tab
from nexus_tui.sources.base import EventSource
from nexus_tui.view.filter.filtered import Filtered
from nexus_tui.view.model import LIST, ViewModel
from nexus_tui.widgets.base.lines import LineWidget
from nexus_tui.widgets.base.sortable import SortableList
from nexus_tui.widgets.detail import RequestDetail
from nexus_tui.widgets.panes import Pane
from nexus_tui.widgets.request_list import RequestList
from nexus_tui.widgets.session_list import SessionList


class Opened(NamedTuple):
    """A request that is shown in full, to come back to."""

    row: RequestRecord
    kept: CapturedExchange | None
    now: Explanation | None
    pane: Pane
    origin: str | None  # the tab that it was opened from, if that is another one


class RequestsTab(Tab):
    """The Requests tab: the list, by request or by session, or one request."""

    def __init__(self, source: EventSource, view: ViewModel) -> None:
        super().__init__(id="requests")
        self.list = RequestList(view, "Requests", source.config.tui.columns, id="request-list")
        self.sessions = SessionList(view, id="session-list")
        self.detail = RequestDetail(source)
        self.is_by_session = False

    def compose(self) -> ComposeResult:
        yield self.list
        yield self.sessions
        yield self.detail

    def on_mount(self) -> None:
        self.detail.display = self.sessions.display = False

    def show_by(self, *, session: bool) -> None:
        """List sessions, or the requests themselves; what is open is closed."""
        self.is_by_session = session
        self.detail.display = False
        self.list.display, self.sessions.display = not session, session

    def leave_mode(self) -> bool:
        was_by_session = self.is_by_session
        if was_by_session:
            self.show_by(session=False)
        return was_by_session

    @property
    def is_open(self) -> bool:
        """One request is shown in full."""
        return self.detail.display

    @property
    def filtered(self) -> Filtered:
        return self.list.filtered

    @property
    def searched(self) -> Searched | None:
        return self.detail if self.is_open else None

    @property
    def place(self) -> Place:
        if self.is_open:
            return "detail"
        return "sessions" if self.is_by_session else "requests"

    @property
    def places(self) -> tuple[Place, ...]:
        return ("lists", "requests", "detail") if self.is_open else ("lists", self.place)

    def widgets_of(self, group: str) -> list[LineWidget]:
        return [self.list, self.sessions, self.detail] if group == LIST else []

    @property
    def sortable(self) -> SortableList:
        return self.sessions if self.is_by_session else self.list

    @property
    def mover(self) -> Mover:
        if self.is_open:
            return self.detail
        return self.sessions if self.is_by_session else self.list

    def turn(self, steps: int) -> None:
        if self.is_open:
            self.detail.turn(steps)

    def share_room(self, width: int, height: int) -> None:
        self.detail.is_zoomed = self.is_zoomed

    @property
    def selected(self) -> RequestRecord | None:
        """The request that is shown in full, else the one under the cursor."""
        if self.is_open:
            return self.detail.request
        return self.sessions.selected if self.is_by_session else self.list.selected

    @property
    def selected_term(self) -> str | None:
        """The filter for the requests of the session under the cursor; None where it is on none."""
        return None if self.is_open or not self.is_by_session else self.sessions.selected_term

    def open(self, row: RequestRecord, origin: str | None = None) -> None:
        """Show one request in full; the list keeps its place.

        Args:
            origin: the tab that it was opened from.
        """
        self.origin = origin if origin != self.id else None
        self.list.select(row.seq)
        # The list finds its row only when it is drawn, and it is about to be hidden.
        self.list.locate()
        self.list.display = self.sessions.display = False
        self.detail.display = True
        self.detail.start(row)

    @property
    def opened(self) -> Opened | None:
        """What is shown in full, to `reopen` it later."""
        detail = self.detail
        if not self.is_open or detail.request is None:
            return None
        return Opened(detail.request, detail.kept, detail.now, detail.pane, self.origin)

    def reopen(self, opened: Opened) -> None:
        """Show a request as it was shown."""
        self.open(opened.row, opened.origin)
        self.detail.pane = opened.pane
        self.detail.know(opened.row, opened.kept, opened.now)

    def close(self) -> bool:
        """Back to the list."""
        if not self.is_open:
            return False
        self.show_by(session=self.is_by_session)
        return True

    def step(self, rows: int) -> None:
        """The next older (1) or newer (-1) request, in the order of the list."""
        if self.is_by_session:
            if (row := self.sessions.step(rows)) is not None:
                self.detail.start(row)
            return
        if self.detail.request is not None:
            self.list.select(self.detail.request.seq)
        self.list.move(rows)
        self.list.following = False
        self.detail.start(self.list.selected)
