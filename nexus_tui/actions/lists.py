"""Move, sort, filter, pause and follow: what a list shows, and where its cursor is."""

from __future__ import annotations

from nexus_tui.actions.context import AppContext, Handlers, Tabs
from nexus_tui.screens.backends import BackendsTab
from nexus_tui.screens.costs import CostsTab
from nexus_tui.screens.dialog import confirm, notice
from nexus_tui.screens.logs import LogsTab
from nexus_tui.text.numbers import clock


class ListActions:
    """The live list and the requests' list show the same rows, and follow or rest together."""

    def __init__(self, context: AppContext, tabs: Tabs) -> None:
        self._context = context
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
            "reverse": self._context.view.reverse,
            "pause": self._pause,
            "follow": self._follow,
            "errors": self._errors,
            "clear": self._clear,
            "level": self._logs.list.next_level,
            "pane.next": lambda: self._context.tab.turn(1),
            "pane.previous": lambda: self._context.tab.turn(-1),
            "zoom": lambda: self._context.tab.zoom(),
        }

    def _sort(self) -> None:
        tab = self._context.tab
        if isinstance(tab, BackendsTab | CostsTab):
            self._context.notice(f"sorted by {tab.table.sort_by_next()}")
        elif isinstance(tab, LogsTab):
            self._context.notice("log lines stay in the order in which they came")
        else:
            self._context.view.sort_by_next()

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
        following = was_paused or not all(shown.following for shown in self._lists)
        for shown in self._lists:
            if following:
                shown.follow()
            else:
                shown.cursor_moved()
                shown.following = False

    def _errors(self) -> None:
        view = self._context.view
        view.set_errors_only(not view.errors_only)

    async def open_line(self) -> None:
        """The whole of the log line under the cursor."""
        line = self._logs.list.selected
        if line is not None:
            title = f"{line.level} {line.logger} at {clock(line.at)}"
            await self._context.ask(notice(title, line.text.split("\\x0a")))

    async def _clear(self) -> None:
        text = ["Every request is taken out of the list. The numbers above it stay."]
        if await self._context.ask(confirm("Empty the list?", text, "Empty it")):
            self._context.view.clear()
