"""Request actions: open one in full, step to the next, explain its route."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from nexus_core.observe.record import RequestRecord
from nexus_tui.actions.clip import ClipActions
from nexus_tui.actions.context import AppContext, Handlers, Tabs
from nexus_tui.actions.requests.sending import Sending, form_to_send
from nexus_tui.keymap.keys import Keymap
from nexus_tui.screens.explain import ExplainScreen
from nexus_tui.view.explain_form import ExplainForm

_FOLLOW_SECONDS = 0.5  # between two looks at a running answer


class RequestActions:
    """Actions on the selected request."""

    def __init__(
        self,
        context: AppContext,
        tabs: Tabs,
        keymap: Keymap,
        alarms: Callable[[bool], list[str]],
        clip: ClipActions,
    ) -> None:
        self._context = context
        self._dashboard = tabs.dashboard
        self._requests = tabs.requests
        self._keymap = keymap
        self._alarms = alarms  # for the screens that cover a tab
        self._clip = clip
        self._sending = Sending(context)

    def handlers(self) -> Handlers:
        return {
            "previous": partial(self._step, -1),
            "next": partial(self._step, 1),
            "explain": self._explain,
        }

    def selected(self) -> RequestRecord | None:
        """The request under the cursor, or in full."""
        is_dashboard = self._context.tab is self._dashboard
        return self._dashboard.list.selected if is_dashboard else self._requests.selected

    # --- the detail ----------------------------------------------------------------------

    async def open(self) -> None:
        """Show the request under the cursor in full."""
        row, is_list = self.selected(), self._context.tab is self._requests
        if row is None and is_list and self._requests.is_by_session:
            self._requests.sessions.fold()
        if row is None or (is_list and self._requests.is_open):
            return
        await self.show(row)

    async def show(self, row: RequestRecord) -> None:
        """Show a request in full; leaving it leads back to the tab that is shown now."""
        self._requests.open(row, str(self._context.tab.id))
        self._context.show_tab("requests")
        await self._learn(row)

    async def _step(self, rows: int) -> None:
        self._requests.step(rows)
        self._context.paint_soon()
        row = self._requests.selected
        if row is not None:
            await self._learn(row)

    async def _learn(self, row: RequestRecord) -> None:
        """Load what the detail shows and events lack: bodies, and the route it would take now.

        While the answer runs, and is shown, more of it is loaded as it comes.
        """
        with self._context.giving_way():
            await self._keep_learning(row)

    async def _keep_learning(self, row: RequestRecord) -> None:
        source, detail = self._context.source, self._requests.detail
        kept = await source.captured(row.request_id)
        form = ExplainForm.of_captured(row, None if kept is None else kept.body)
        now = None if row.refused is not None else await self._sending.explained(form)
        is_live = row.is_live
        detail.know(row, kept, now)
        while is_live and self._requests.is_open and detail.request is row:
            self._context.paint_soon()
            await asyncio.sleep(_FOLLOW_SECONDS)
            is_live = row.is_live  # what came before its end is learnt after it
            if not is_live or detail.shows_answer:
                detail.know(row, await source.captured(row.request_id), now)

    async def _explain(self) -> None:
        row = self.selected() if self._context.tab in (self._dashboard, self._requests) else None
        context, form = self._context, ExplainForm()
        if row is not None and row.refused is None:
            kept = await context.source.captured(row.request_id)
            form = form_to_send(row, None if kept is None else kept.body)
        while True:
            screen = ExplainScreen(context.source, self._keymap, form, self._clip.put, self._alarms)
            wanted = await context.ask(screen)
            if wanted is None or not context.may_command:
                return
            if await self._sending.may_send(wanted):
                await context.command(wanted.request())
                return
            form = wanted
