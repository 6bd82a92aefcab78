"""The help screen: all keys, from the key table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from nexus_tui.keymap.keys import Keymap
from nexus_tui.screens.dialog import Dialog, WrappedLines
from nexus_tui.text.numbers import fit
from nexus_tui.view.filter.table import GRAMMAR, LANGUAGES, TableRow, table
from nexus_tui.widgets.base.lines import Line

_TERM = 26  # columns for what is written in a filter


def help_lines(keymap: Keymap) -> list[Line]:
    """Lines of the help screen: keys by place, then the filter language."""
    lines: list[Line] = []
    for title, keys in keymap.by_place():
        lines += [((f" {title}", "title"),)]
        lines += [((f"   {fit(key.all_shown, 12)}", "key"), (key.help, "text")) for key in keys]
        lines += [()]
    lines += _filter_lines("Filter", GRAMMAR)
    for name, language in LANGUAGES.items():
        lines += _filter_lines(f"Filter of {name}", table(language))
    lines += [((" Action names for [tui.keys]", "title"),)]
    names = [f"{key.id}" for key in keymap.keys]
    return [*lines, (("   ", "dim"), ("  ".join(names), "dim"))]


def _filter_lines(title: str, rows: Iterable[TableRow]) -> list[Line]:
    lines: list[Line] = [((f" {title}", "title"),)]
    lines += [((f"   {fit(row.written, _TERM)} ", "key"), (row.meaning, "text")) for row in rows]
    return [*lines, ()]


class HelpScreen(Dialog[None]):
    """The help screen."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,f1,q,enter", "dismiss", "Close", show=False),
        Binding("j,down", "scroll(1)", "Down", show=False),
        Binding("k,up", "scroll(-1)", "Up", show=False),
    ]

    def __init__(self, keymap: Keymap) -> None:
        super().__init__("Help")
        self._keymap = keymap

    def compose_below(self) -> ComposeResult:
        with VerticalScroll(id="help-box", can_focus=False):
            yield WrappedLines(help_lines(self._keymap))

    def action_scroll(self, lines: int) -> None:
        self.query_one("#help-box").scroll_relative(y=lines, animate=False)
