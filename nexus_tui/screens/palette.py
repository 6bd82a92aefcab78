"""The command palette: every action by its name, filtered while typing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from nexus_tui.keymap.keys import Key
from nexus_tui.screens.dialog import Dialog
from nexus_tui.text.numbers import fit
from nexus_tui.widgets.base.lines import Line
from nexus_tui.widgets.base.rowlist import RowList

_ROWS = 14


class Actions(RowList):
    """The actions that match."""

    head_lines = 0
    raised = True

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__(id="actions")
        self._all = keys
        self.keys = list(keys)
        self.styles.height = _ROWS

    @property
    def selected(self) -> Key | None:
        return self.keys[self.cursor] if self.cursor < len(self.keys) else None

    def narrow(self, text: str) -> None:
        """Show the actions that hold every word, those whose name begins with it first."""
        words = text.casefold().split()
        found = [key for key in self._all if all(word in _text(key) for word in words)]
        first = words[0] if words else ""
        self.keys = sorted(found, key=lambda key: not key.id.startswith(first))
        self.cursor = 0
        self.redraw_all()

    def row_count(self) -> int:
        return len(self.keys)

    def head(self, width: int) -> Sequence[Line]:
        return ()

    def empty(self, width: int) -> Sequence[Line]:
        return [(("  Nothing is called that.", "dim"),)]

    def row(self, index: int, width: int) -> Line:
        key = self.keys[index]
        return (
            (f" {fit(key.id, 15)} ", "bright"),
            (fit(key.all_shown, 10), "key"),
            (fit(key.help, width - 27), "text"),
        )


def _text(key: Key) -> str:
    return f"{key.id} {key.hint} {key.help}".casefold()


class Palette(Dialog[str]):
    """Gives the id of the action that was chosen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
    ]

    def __init__(self, keys: Sequence[Key]) -> None:
        super().__init__("Command")
        self._entry = Input(placeholder="what to do", id="entry")
        self._entry.cursor_blink = False
        self.actions = Actions(keys)

    def compose_below(self) -> ComposeResult:
        yield self._entry
        yield self.actions

    def on_mount(self) -> None:
        self._entry.focus()

    def action_move(self, rows: int) -> None:
        self.actions.move(rows)
        self.actions.redraw()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.actions.narrow(event.value)

    @on(Input.Submitted)
    @on(RowList.Opened)
    def _chosen(self) -> None:
        if self.actions.selected is not None:
            self.dismiss(self.actions.selected.id)
