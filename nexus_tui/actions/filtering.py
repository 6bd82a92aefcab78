"""Filter actions: edit the filter of the list that is shown, and leave entry, detail or filter."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from nexus_tui.actions.context import AppContext, Handlers
from nexus_tui.text.escape import escaped
from nexus_tui.widgets.filter_entry import FilterEntry

_SEARCH = "search"  # in the history: what was looked for in texts
_KEPT = 10  # filters of each kind of list, until Nexus ends


class FilterActions:
    """Filter actions; the two request lists share one filter, each other tab has its own."""

    def __init__(
        self, context: AppContext, entry: FilterEntry, go_back: Callable[[], bool]
    ) -> None:
        """`go_back` leads up from the requests of something to where they were asked for."""
        self._context = context
        self._go_back = go_back
        self._entry = entry
        self._history: defaultdict[str, list[str]] = defaultdict(list)  # oldest first

    def handlers(self) -> Handlers:
        return {"filter": self._open, "back": self._back}

    def apply(self, text: str) -> None:
        """Apply a filter to the list of the current tab, or look for a text in what is open."""
        if (searched := self._context.tab.searched) is not None:
            searched.look_for(text)
            return
        if (filtered := self._context.tab.filtered) is not None:
            filtered.set(text)
            told, is_warning = filtered.told()
            self._entry.tell(told, is_warning=is_warning)

    def done(self, text: str) -> None:
        """Keep a filter that was entered, to come back to it."""
        if self._context.tab.searched is not None:
            self._keep(_SEARCH, text.strip())
            return
        filtered = self._context.tab.filtered
        if filtered is None:
            return
        self._keep(filtered.kind, text.strip())
        if (hint := filtered.current().hint) is not None:
            self._context.notice(escaped(hint))

    def _keep(self, kind: str, text: str) -> None:
        if text:
            history = self._history[kind]
            self._history[kind] = [*(one for one in history if one != text), text][-_KEPT:]

    def _open(self) -> None:
        tab = self._context.tab
        if (searched := tab.searched) is not None:
            self._entry.open(searched.search, "search in this pane", self._history[_SEARCH])
            self._entry.tell("n, N: next, previous")
            return
        filtered = tab.filtered
        if filtered is None:
            self._context.notice("there is no list to filter on this tab")
            return
        if tab.close():
            tab.origin = None
        text, history = filtered.current().text, self._history[filtered.kind]
        self._entry.open(text, filtered.example, history, filtered.completed)
        self._entry.tell("")

    @property
    def _is_narrowed(self) -> bool:
        """Something is left out of the list that is shown."""
        filtered = self._context.tab.filtered
        has_filter = filtered is not None and bool(filtered.current().text)
        return has_filter or self._context.view.errors_only

    def _back(self) -> None:
        tab = self._context.tab
        if self._entry.display:
            self._entry.close()
            self.apply("")
        elif tab.searched is not None and tab.searched.search:
            self.apply("")
        elif tab.close():
            origin, tab.origin = tab.origin, None
            if origin is not None:
                self._context.show_tab(origin)
        elif self._go_back():
            pass
        elif tab.sortable is not None and tab.sortable.unsort():
            pass  # one step at a time: the filter stays
        elif not self._is_narrowed and tab.leave_mode():
            pass
        elif tab.filtered is not None:
            self.apply("")
            if tab.filtered.kind == "requests":
                self._context.view.set_errors_only(False)
