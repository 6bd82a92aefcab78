"""The help screen: all keys, from the key table."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from nexus_tui.keymap.keys import Keymap
from nexus_tui.screens.dialog import Dialog, WrappedLines
from nexus_tui.text.numbers import fit
from nexus_tui.widgets.base.lines import Line

_FILTER = (
    ("llama gpt", "words in model, backend or id; all must match"),
    ("status:5xx", "or a number, as status:503"),
    ("zone:open", "or zone:restricted"),
    ("reason:failover", "a part of the route reason"),
    ("backend:vllm", "a part of the backend's name; model:… likewise"),
    ("slow:>2s", "took longer than 2 s; also ms"),
    ("cost:>0.01", "cost more than $0.01; also cost:unpriced"),
    ("live", "still running"),
    ("!zone:open", "an exclamation mark inverts a term"),
)


def help_lines(keymap: Keymap) -> list[Line]:
    """Lines of the help screen: keys by place, then the filter language."""
    lines: list[Line] = []
    for title, keys in keymap.by_place():
        lines += [((f" {title}", "title"),)]
        lines += [((f"   {fit(key.all_shown, 12)}", "key"), (key.help, "text")) for key in keys]
        lines += [()]
    lines += [((" Request filter", "title"),)]
    lines += [((f"   {fit(term, 17)}", "key"), (meaning, "text")) for term, meaning in _FILTER]
    lines += [(), ((" Action names for [tui.keys]", "title"),)]
    names = [f"{key.id}" for key in keymap.keys]
    return [*lines, (("   ", "dim"), ("  ".join(names), "dim"))]


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
