"""Drill-down actions: from a backend, key, session, reason, zone or cost line to its requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nexus_core.observe.record import RequestRecord
from nexus_tui.actions.context import AppContext, Handlers, Tabs
from nexus_tui.screens.dialog import Choose, Option
from nexus_tui.screens.requests import Opened
from nexus_tui.text.escape import escaped
from nexus_tui.view.filter.grammar import term

_DEEPEST = 20  # steps down that lead back


@dataclass(frozen=True, slots=True)
class _Step:
    """Where a person came from, and what was shown of the requests there."""

    tab: str
    shows: str  # the filter that this step set
    filter: str  # the one before it
    errors_only: bool
    seq: int | None  # of the request under the cursor of the request list; None: it followed
    opened: Opened | None  # the request that was shown in full
    is_by_session: bool  # sessions were listed


class DrillActions:
    """Shows the requests of what the cursor is on; `back` leads to where that was."""

    def __init__(self, context: AppContext, tabs: Tabs) -> None:
        self._context = context
        self._tabs = tabs
        self._steps: list[_Step] = []

    def handlers(self) -> Handlers:
        return {"related": self.related}

    async def related(self) -> None:
        """Show the requests of what the cursor is on; of a request, ask which of its facts."""
        tabs, tab = self._tabs, self._context.tab
        row = None
        if tab is tabs.dashboard:
            wanted = tabs.dashboard.pane_term
            row = tabs.dashboard.list.selected if wanted is None else None
        elif tab is tabs.backends:
            name = tabs.backends.table.selected_name
            wanted = term("backend", name) if name else None
        elif tab is tabs.zones:
            wanted = term("zone", tabs.zones.board.selected)
        elif tab is tabs.costs:
            wanted = tabs.costs.table.selected_term
        elif tab is tabs.keys:
            wanted = tabs.keys.table.selected_term
        else:
            wanted, row = tabs.requests.selected_term, tabs.requests.selected
            row = row if wanted is None else None
        if row is not None:
            wanted = await self._context.ask(_which(row))
        if wanted is not None:
            self.show(wanted)

    def show(self, text: str) -> None:
        """Show the requests that a filter leaves."""
        view, requests = self._context.view, self._tabs.requests
        at = None if requests.list.following else requests.list.selected
        self._steps.append(
            _Step(
                tab=str(self._context.tab.id),
                shows=text,
                filter=view.filter.text,
                errors_only=view.errors_only,
                seq=None if at is None else at.seq,
                opened=requests.opened if self._context.tab is requests else None,
                is_by_session=requests.is_by_session,
            )
        )
        del self._steps[:-_DEEPEST]
        requests.show_by(session=False)
        view.set_errors_only(False)
        view.set_filter(text)
        requests.list.follow()
        self._context.show_tab("requests")

    def back(self) -> bool:
        """Go back up a step; False when the list shows something else by now."""
        view, requests = self._context.view, self._tabs.requests
        if self._context.tab is not requests or not self._steps:
            return False
        if view.filter.text != self._steps[-1].shows:
            self._steps.clear()
            return False
        step = self._steps.pop()
        view.set_filter(step.filter)
        view.set_errors_only(step.errors_only)
        requests.show_by(session=step.is_by_session)
        if step.seq is None:
            requests.list.follow()
        else:
            requests.list.select(step.seq)
        if step.opened is not None:
            requests.reopen(step.opened)
        self._context.show_tab(step.tab)
        return True


def _which(row: RequestRecord) -> Choose[str]:
    options = [Option(text, label, key, note=note) for text, label, key, note in _facts(row)]
    return Choose("Show the requests of its …", [], options)


def _facts(row: RequestRecord) -> Iterator[tuple[str, str, str, str]]:
    """The filter, what it is for, its key, and the value."""
    if row.asked_model:
        yield term("model", row.asked_model), "model", "m", escaped(row.asked_model)
    if row.backend is not None:
        yield term("backend", row.backend), "backend", "b", escaped(row.backend)
    if row.refused is None:
        yield term("key", row.client), "client key", "c", escaped(row.client or "none")
    if row.origin.agent is not None:
        yield term("agent", row.origin.agent), "agent", "p", escaped(row.origin.agent)
    if row.origin.session is not None:
        yield term("session", row.origin.session), "session", "i", escaped(row.origin.session)
    if row.reason is not None:
        yield term("reason", row.reason), "reason", "r", row.reason
    if row.zone is not None:
        yield term("zone", row.zone), "zone", "z", row.zone
    if row.error_code is not None:
        yield term("error", row.error_code), "error", "e", escaped(row.error_code)
    if row.status is not None:
        yield term("status", str(row.status)), "status", "s", str(row.status)
    yield term("api", row.api), "API", "a", row.api
