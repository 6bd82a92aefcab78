"""The help: every key, from the same table as the bindings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen

from nexus_tui.figures import fit
from nexus_tui.keys import by_place
from nexus_tui.widgets.lines import Line, LineWidget

_FILTER = (
    ("llama gpt", "words in model, backend or id; all must match"),
    ("status:5xx", "or a number, as status:503"),
    ("zone:open", "or zone:restricted"),
    ("reason:failover", "a part of the route reason"),
    ("backend:vllm", "a part of the backend's name; model:… likewise"),
    ("slow:>2s", "took longer; ms and s"),
    ("live", "still running"),
    ("!zone:open", "an exclamation mark inverts a term"),
)


class HelpText(LineWidget):
    """The table, one line each."""

    raised = True

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return help_lines()


def help_lines() -> list[Line]:
    """The keys by place, then the filter language."""
    lines: list[Line] = []
    for title, keys in by_place():
        lines += [((f" {title}", "title"),)]
        lines += [((f"   {fit(key.shown, 10)}", "key"), (key.help, "text")) for key in keys]
        lines += [()]
    lines += [((" Filter", "title"),)]
    lines += [((f"   {fit(term, 17)}", "key"), (meaning, "text")) for term, meaning in _FILTER]
    return lines


class HelpScreen(ModalScreen[None]):
    """Shown over the tab; any of its keys closes it."""

    CSS = """
    HelpScreen { align: center middle; background: #000000 50%; }
    #help-box { width: 78; max-width: 100%; height: auto; max-height: 100%;
                background: $panel; padding: 1 1; scrollbar-size-vertical: 1; }
    HelpText { width: 100%; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,question_mark,f1,q,enter", "dismiss", "Close", show=False),
        Binding("j", "scroll(1)", "Down", show=False),
        Binding("k", "scroll(-1)", "Up", show=False),
    ]

    def compose(self) -> ComposeResult:
        text = HelpText()
        text.styles.height = len(help_lines())
        with VerticalScroll(id="help-box"):
            yield text

    def action_scroll(self, lines: int) -> None:
        """Scroll where the help is longer than the screen."""
        self.query_one("#help-box").scroll_relative(y=lines, animate=False)
