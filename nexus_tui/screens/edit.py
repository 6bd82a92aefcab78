"""The editor for a request that is about to be replayed, inside the dashboard."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import TextArea

from nexus_tui.screens.dialog import Dialog, Problem

_HOW = "ctrl+o takes it over, esc discards it. Nothing is sent yet."
_SURE = "Changed: ctrl+o takes it over, esc again discards it."


class EditText(Dialog[str]):
    """Dialog with a text of many lines; a problem keeps it open, and the text is never lost."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+o", "take", show=False, priority=True),
        Binding("escape", "leave", show=False, priority=True),
    ]

    def __init__(
        self, title: str, text: str, check: Callable[[str], str | None], problem: str | None = None
    ) -> None:
        """`check` gives what is wrong with the text; `problem` what is known to be."""
        super().__init__(title, [_HOW])
        self._area = TextArea(text, soft_wrap=True, show_line_numbers=True, tab_behavior="indent")
        self._area.cursor_blink = False
        self._original = text
        self._check = check
        self._problem = Problem(problem or "")
        self._has_asked = False

    def compose_below(self) -> ComposeResult:
        yield self._area
        yield self._problem

    def on_mount(self) -> None:
        self._area.focus()
        self._problem.redraw()

    def action_take(self) -> None:
        """Close with the text, unless something is wrong with it."""
        problem = self._check(self._area.text)
        if problem is None:
            self.dismiss(self._area.text)
        else:
            self._say(problem)

    def action_leave(self) -> None:
        """Close without the text; of a changed one the second time."""
        if self._has_asked or self._area.text == self._original:
            self.dismiss(None)
        else:
            self._has_asked = True
            self._say(_SURE)

    def _say(self, text: str) -> None:
        self._problem.tell(text)
