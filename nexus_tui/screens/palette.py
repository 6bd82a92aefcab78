"""The command palette: actions by name, and nouns with arguments, completed while typing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from nexus_tui.screens.dialog import Dialog
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import clip, fit, wrap
from nexus_tui.view.commands import Found, Suggestion, Vocabulary
from nexus_tui.widgets.base.lines import Line
from nexus_tui.widgets.base.rowlist import RowList

_ROWS = 14
_LONGEST = 1000  # characters, as of a filter
_TEXT, _KEYS = 15, 10  # columns


class Suggestions(RowList):
    """What suits what is typed."""

    head_lines = 0
    raised = True

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__(id="actions")
        self._vocabulary = vocabulary
        self._found: Found = vocabulary.find("")
        self.styles.height = _ROWS

    @property
    def selected(self) -> Suggestion | None:
        found = self._found.suggestions
        return found[self.cursor] if self.cursor < len(found) else None

    def narrow(self, text: str) -> None:
        """Show what suits a text, the best first."""
        self._found = self._vocabulary.find(text)
        self.cursor = 0
        self.redraw_all()

    def row_count(self) -> int:
        return len(self._found.suggestions)

    def head(self, width: int) -> Sequence[Line]:
        return ()

    def empty(self, width: int) -> Sequence[Line]:
        return [((f"  {part}", "warn"),) for part in wrap(escaped(self._found.told), width - 4)]

    def row(self, index: int, width: int) -> Line:
        one = self._found.suggestions[index]
        text = escaped(one.text) + ("…" if not one.is_whole and not one.problem else "")
        room = max(_TEXT + 1 + _KEYS, min(len(text) + 2, width // 2))
        name = _TEXT + 1 if len(text) <= _TEXT else room
        keys = fit(one.keys, room - name)
        told = one.problem or one.help
        return (
            (f" {fit(clip(text, name - 1), name)}", "bright"),
            (keys, "key"),
            (fit(escaped(told), width - 1 - room), "warn" if one.problem else "text"),
        )


class Palette(Dialog[str]):
    """The command palette; gives what was typed or chosen, as one text."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("tab", "complete", show=False),
    ]

    def __init__(self, vocabulary: Vocabulary) -> None:
        super().__init__("Command")
        self._entry = Input(
            placeholder="what to do: an action, or filter, backend, theme …",
            id="entry",
            max_length=_LONGEST,
        )
        self._entry.cursor_blink = False
        self.actions = Suggestions(vocabulary)

    def compose_below(self) -> ComposeResult:
        yield self._entry
        yield self.actions

    def on_mount(self) -> None:
        self._entry.focus()

    def action_move(self, rows: int) -> None:
        self.actions.move(rows)
        self.actions.redraw()

    def action_page(self, pages: int) -> None:
        self.actions.page(pages)
        self.actions.redraw()

    def action_complete(self) -> None:
        """Write out what the cursor is on; it is not carried out yet."""
        one = self.actions.selected
        if one is not None:
            text = one.text if one.text.endswith(" ") or not one.is_whole else f"{one.text} "
            self._entry.value = text
            self._entry.cursor_position = len(text)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self.actions.narrow(event.value)

    @on(Input.Submitted)
    @on(RowList.Opened)
    def _chosen(self) -> None:
        one = self.actions.selected
        if one is None or one.problem:
            return
        if one.is_whole:
            self.dismiss(one.text.strip())
        else:
            self.action_complete()
