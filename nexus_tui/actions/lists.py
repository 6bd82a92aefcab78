"""List actions: move, sort, filter, pause and follow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nexus_core.observe.log_ring import LogLine
from nexus_core.observe.record import RequestRecord
from nexus_tui.actions.context import AppContext, Handlers, Tabs
from nexus_tui.actions.sort_menu import sort_menu
from nexus_tui.screens.dialog import confirm, notice
from nexus_tui.text.numbers import clock
from nexus_tui.widgets.base.sortable import SortableList


class ListActions:
    """Actions on lists; the live list and the request list show the same rows."""

    def __init__(
        self, context: AppContext, tabs: Tabs, show: Callable[[RequestRecord], Awaitable[None]]
    ) -> None:
        """`show` shows a request in full."""
        self._context = context
        self._show = show
        self._requests = tabs.requests
        self._lists = (tabs.dashboard.list, tabs.requests.list)
        self._logs = tabs.logs

    def handlers(self) -> Handlers:
        return {
            "up": lambda: self._context.tab.mover.move(-1),
            "down": lambda: self._context.tab.mover.move(1),
            "page_up": lambda: self._context.tab.mover.page(-1),
            "page_down": lambda: self._context.tab.mover.page(1),
            "top": lambda: self._context.tab.mover.edge(-1),
            "bottom": lambda: self._context.tab.mover.edge(1),
            "sort": self._sort,
            "reverse": self._reverse,
            "pause": self._pause,
            "follow": self._follow,
            "errors": self._errors,
            "clear": self._clear,
            "sessions": self._by_session,
            "fold": lambda: self._requests.sessions.fold(),
            "level": self._logs.list.next_level,
            "whole_line": self._whole_line,
            "pane.next": lambda: self._context.tab.turn(1),
            "pane.previous": lambda: self._context.tab.turn(-1),
            "zoom": lambda: self._context.tab.zoom(),
        }

    @property
    def _sortable(self) -> SortableList | None:
        """The list of the tab that is shown; None where it can't be sorted."""
        shown = self._context.tab.sortable
        if shown is None:
            self._context.notice("this list can't be sorted")
        return shown

    async def _sort(self) -> None:
        """Ask by which column; the one that holds already is turned around."""
        shown = self._sortable
        if shown is None:
            return
        chosen = await self._context.ask(sort_menu(shown.sorting))
        if chosen is not None:
            shown.sort_by(chosen)

    def _reverse(self) -> None:
        if (shown := self._sortable) is not None:
            shown.reverse()

    def _pause(self) -> None:
        view = self._context.view
        if view.paused:
            view.resume()
        else:
            view.pause()

    def _follow(self) -> None:
        if self._context.tab is self._logs:
            self._logs.list.follow()
            return
        was_paused = self._context.view.paused
        self._context.view.resume()
        was_sorted = self._context.view.sort_by_time()
        following = was_paused or was_sorted or not all(shown.following for shown in self._lists)
        for shown in self._lists:
            if following:
                shown.follow()
            else:
                shown.cursor_moved()
                shown.following = False

    def _by_session(self) -> None:
        """List sessions; where they are listed, the requests again."""
        requests = self._requests
        is_shown = self._context.tab is requests and not requests.is_open
        requests.show_by(session=not (is_shown and requests.is_by_session))
        self._context.show_tab("requests")

    def _errors(self) -> None:
        view = self._context.view
        view.set_errors_only(not view.errors_only)

    async def open_line(self) -> None:
        """The request of the log line under the cursor; without one the whole line."""
        line = self._logs.list.selected
        request = None if line is None else self._request_of(line)
        if request is None:
            await self._whole_line()
        else:
            await self._show(request)

    def _request_of(self, line: LogLine) -> RequestRecord | None:
        known = self._context.source.requests
        return None if line.request_id is None else known.get(line.request_id)

    async def _whole_line(self) -> None:
        line = self._logs.list.selected
        if line is None:
            return
        title = f"{line.level} {line.logger} at {clock(line.at)}"
        text = line.text.split("\\x0a")
        if line.request_id is not None and self._request_of(line) is None:
            text += ["", f"Request {line.request_id} is no longer kept."]
        await self._context.ask(notice(title, text))

    async def _clear(self) -> None:
        text = ["All requests are removed from the list. The statistics stay."]
        if await self._context.ask(confirm("Clear the list?", text, "Clear it")):
            self._context.view.clear()
