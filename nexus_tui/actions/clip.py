"""Copy: by the terminal, by the desktop, and onto the screen where neither is sure."""

from __future__ import annotations

import os
import time
from typing import Any

from textual.app import App
from textual.widgets import Input, TextArea

from nexus_tui.actions.context import AppContext, Handlers
from nexus_tui.draw.clipboard import copy
from nexus_tui.screens.dialog import ShowText
from nexus_tui.screens.logs import LogsTab
from nexus_tui.text.escape import visible

_TOLD = "The terminal was asked to copy it. Terminals do not say whether they did."
_INTERRUPT_SECONDS = 2.0


class ClipActions:
    """What goes to the clipboard; ctrl+c, which copies a selection where there is one."""

    def __init__(self, app: App[Any], context: AppContext, logs: LogsTab) -> None:
        self._app = app  # the same as the context: for the terminal, the focus and the end
        self._context = context
        self._logs = logs
        self._interrupted_at = 0.0

    def handlers(self) -> Handlers:
        return {"copy_line": self._copy_line, "interrupt": self._interrupt}

    def put(self, title: str, text: str, *, may_keep: bool = True) -> None:
        """Copy by the terminal and the desktop; where neither is sure, show the text too.

        Args:
            may_keep: a file may hold it where nobody can be sure that it arrived.
        """
        text = "\n".join(map(visible, text.split("\n")))  # what is pasted steers no terminal
        self._app.copy_to_clipboard(text)  # OSC 52, through the driver
        self._app.run_worker(self._finish(title, text, may_keep=may_keep), name="copy")

    async def _finish(self, title: str, text: str, *, may_keep: bool) -> None:
        """What is left to do: the desktop's tool, else a box and a file."""
        copied = await copy(text, os.environ, may_keep=may_keep)
        if copied.is_sure:
            self._context.notice(f"copied: {title}")
            return
        where = [f"It is in {copied.path} too."] if copied.path else []
        await self._context.ask(ShowText(f"Copied: {title}", [_TOLD, *where], text))

    def _copy_line(self) -> None:
        line = self._logs.list.selected
        if line is not None:
            self.put("the log line", f"{line.level} {line.logger}: {line.text}")

    def _selected_text(self) -> str:
        focused = self._app.focused
        if isinstance(focused, Input | TextArea) and focused.selected_text:
            return focused.selected_text
        return self._app.screen.get_selected_text() or ""

    def _interrupt(self) -> None:
        """Copy what is selected; without a selection, quit at the second time."""
        if text := self._selected_text():
            self._app.copy_to_clipboard(text)
            self._app.run_worker(copy(text, os.environ, may_keep=False), name="copy")
            self._context.notice("copied what is selected")
            return
        now = time.monotonic()
        if now - self._interrupted_at < _INTERRUPT_SECONDS:
            self._app.exit()
            return
        self._interrupted_at = now
        self._context.notice("ctrl+c again quits; so does q")
