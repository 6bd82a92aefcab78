"""Filter actions: edit the filter, apply it, and leave entry, detail or filter by esc."""

from __future__ import annotations

from nexus_tui.actions.context import AppContext, Handlers, Tabs
from nexus_tui.widgets.filter_entry import FilterEntry


class FilterActions:
    """Filter actions; the request lists share one filter, the log has its own."""

    def __init__(self, context: AppContext, tabs: Tabs, entry: FilterEntry) -> None:
        self._context = context
        self._requests = tabs.requests
        self._logs = tabs.logs
        self._entry = entry

    def handlers(self) -> Handlers:
        return {"filter": self._open, "back": self._back}

    def apply(self, text: str) -> None:
        """Apply a filter to the list of the current tab."""
        if self._context.tab is self._logs:
            self._logs.list.set_filter(text)
        else:
            self._context.view.set_filter(text)

    def _open(self) -> None:
        if not self._context.tab.filter_example:
            self._context.show_tab("requests")
        tab = self._context.tab
        tab.close()
        text = self._logs.list.filter if tab is self._logs else self._context.view.filter.text
        self._entry.open(text, tab.filter_example)

    def _back(self) -> None:
        tab = self._context.tab
        if self._entry.display:
            self._entry.close()
            self.apply("")
        elif tab.close():
            if tab is self._requests:
                self._context.show_tab(self._requests.origin)
        elif tab.sortable is not None and tab.sortable.unsort():
            pass  # one step at a time: the filter stays
        elif tab.filter_example:
            self.apply("")
            self._context.view.set_errors_only(False)
