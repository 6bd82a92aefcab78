"""Reading actions in the detail of a request: search, other forms of a body, the pager."""

from __future__ import annotations

import os
from functools import partial

from nexus_tui.actions.context import AppContext, Handlers
from nexus_tui.draw.foreground import NoProgramError, Terminal, pager, run
from nexus_tui.screens.requests import RequestsTab
from nexus_tui.text.escape import escaped

_NO_PAGER = "no pager: set PAGER"


class ReadingActions:
    """Actions on the pane of an open request."""

    def __init__(self, context: AppContext, tab: RequestsTab) -> None:
        self._context = context
        self._tab = tab

    def handlers(self) -> Handlers:
        return {
            "search.next": partial(self._go_to, 1),
            "search.previous": partial(self._go_to, -1),
            "form": self._turn_form,
            "pager": self._page,
        }

    def _go_to(self, steps: int) -> None:
        detail = self._tab.detail
        if not detail.go_to(steps):
            told = f"not found: {escaped(detail.search)}" if detail.search else "/ searches"
            self._context.notice(told)

    def _turn_form(self) -> None:
        if self._tab.detail.turn_form() is None:
            self._context.notice("ANSWER and REQUEST have other forms; tab goes there")

    async def _page(self) -> None:
        """Show the whole pane in the user's pager, which reads it from a pipe and not a file."""
        detail = self._tab.detail
        command = pager(os.environ)
        if command is None:
            self._context.notice(_NO_PAGER)
            return
        # What a model wrote steers no terminal; a restricted body is not to be saved by the pager.
        text = "\n".join(map(escaped, detail.pane_text().split("\n"))) + "\n"
        is_restricted = detail.kept is not None and detail.kept.is_restricted
        environ = {"LESSSECURE": "1"} if is_restricted else {}

        async def use(terminal: Terminal) -> int:
            return await run(terminal, command, stdin=text, environ=environ)

        try:
            await self._context.on_terminal(use)
        except NoProgramError as error:
            self._context.notice(escaped(str(error)))
