"""Copy actions: clipboard of the terminal and the desktop, with the text shown if unsure."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from textual.app import App
from textual.widgets import Input, TextArea

from nexus_tui.actions.context import AppContext, Handlers
from nexus_tui.draw.clipboard import KEPT_SECONDS, CopiedFiles, copy
from nexus_tui.screens.dialog import ShowText
from nexus_tui.screens.logs import LogsTab
from nexus_tui.text.escape import escaped

_CLIPBOARD_UNSURE = "Sent to the terminal's clipboard. Terminals do not confirm it."
_INTERRUPT_SECONDS = 2.0


class ClipActions:
    """Clipboard actions; ctrl+c copies the selection, if any."""

    def __init__(
        self, app: App[Any], context: AppContext, logs: LogsTab, quit_app: Callable[[], None]
    ) -> None:
        """`quit_app` does what the key `quit` does."""
        self._app = app  # the same as the context: for the terminal and the focus
        self._quit_app = quit_app
        self._context = context
        self._logs = logs
        self._interrupted_at = 0.0
        self._files = CopiedFiles()

    def forget(self) -> None:
        """Remove the files of what was copied: the screen is closed."""
        self._files.remove()

    def handlers(self) -> Handlers:
        return {"copy_line": self._copy_line, "interrupt": self._interrupt}

    def put(self, title: str, text: str, *, may_keep: bool = True) -> None:
        """Copy by the terminal and the desktop; if neither is sure, show the text too.

        Args:
            may_keep: the text may be saved in a file if the copy is not sure.
        """
        text = "\n".join(map(escaped, text.split("\n")))  # what is pasted steers no terminal
        self._app.copy_to_clipboard(text)  # OSC 52, through the driver
        self._app.run_worker(self._finish(title, text, may_keep=may_keep), name="copy")

    async def _finish(self, title: str, text: str, *, may_keep: bool) -> None:
        """Try the desktop's tool; if it fails, show the text and save it."""
        copied = await copy(text, os.environ, self._files if may_keep else None)
        if copied.is_sure:
            self._context.notice(f"copied: {title}")
            return
        where: list[str] = []
        if copied.path:
            where = [f"Also in {copied.path}, for an hour or until this screen is closed."]
            self._app.set_timer(KEPT_SECONDS, self._files.remove_old, name="copies")
        await self._context.ask(ShowText(f"Copied: {title}", [_CLIPBOARD_UNSURE, *where], text))

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
        """Copy the selection; without one the second ctrl+c is as `q`."""
        if text := self._selected_text():
            self._app.copy_to_clipboard(text)
            self._app.run_worker(copy(text, os.environ), name="copy")
            self._context.notice("copied the selection")
            return
        now = time.monotonic()
        if now - self._interrupted_at < _INTERRUPT_SECONDS:
            self._quit_app()
            return
        self._interrupted_at = now
        self._context.notice("ctrl+c again quits; so does q")
