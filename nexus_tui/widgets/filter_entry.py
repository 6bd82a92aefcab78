"""Filter entry: the list is filtered while typing; ↑ and ↓ bring back earlier filters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import Suggester
from textual.widgets import Input

from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import clip
from nexus_tui.widgets.base.lines import Line, LineWidget

_LONGEST = 1000  # characters; a pasted page would hold up the screen
Complete = Callable[[str], str | None]


class FilterEntry(Horizontal):
    """Filter entry, hidden while unused: what is typed, and beside it what it means."""

    class Typed(Message):
        """The filter is another one now."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Done(Message):
        """Enter was pressed: the filter stays."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__(id="filter")
        self.display = False
        self._input = FilterInput()
        self._told = Told()

    def compose(self) -> ComposeResult:
        yield self._input
        yield self._told

    def open(
        self, text: str, example: str, history: Sequence[str] = (), complete: Complete | None = None
    ) -> None:
        """Show the filter that is in force, to change it.

        Args:
            history: earlier filters, oldest first.
            complete: the text with its end completed, or None.
        """
        self._input.begin(text, example, history, complete)
        self.display = True
        self._input.focus()

    def close(self) -> None:
        """Give the keys back to the tab."""
        self.display = False
        self.screen.set_focus(None)

    def tell(self, text: str, *, is_warning: bool = False) -> None:
        """Say something beside what is typed."""
        self._told.tell(text, "warn" if is_warning else "dim")

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display:
            self.post_message(self.Typed(event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.close()
        self.post_message(self.Done(event.value))


class FilterInput(Input):
    """The line that is typed into."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "recall(-1)", "Earlier filter", show=False),
        Binding("down", "recall(1)", "Later filter", show=False),
        Binding("tab", "cursor_right", "Complete", show=False),
    ]

    def __init__(self) -> None:
        self._complete = Completion()
        super().__init__(suggester=self._complete, max_length=_LONGEST)
        self.cursor_blink = False
        self._history: list[str] = []
        self._at = 0

    def begin(
        self, text: str, example: str, history: Sequence[str], complete: Complete | None
    ) -> None:
        """Edit a text; what is typed is the last line of the history."""
        self._history = [*history, text]
        self._at = len(history)
        self._complete.complete = complete
        self.placeholder = example
        self.value = text
        self.cursor_position = len(text)

    def action_recall(self, steps: int) -> None:
        """Go back (-1) or forth (1) in the history; the draft is its end."""
        if self._at == len(self._history) - 1:
            self._history[-1] = self.value
        self._at = max(0, min(self._at + steps, len(self._history) - 1))
        if steps < 0 and self._at and self._history[self._at] == self.value:
            self._at -= 1  # the filter in force is the newest of the history as well
        self.value = self._history[self._at]
        self.cursor_position = len(self.value)


class Completion(Suggester):
    """What may follow, as the list's language knows it."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self.complete: Complete | None = None

    async def get_suggestion(self, value: str) -> str | None:
        return self.complete(value) if self.complete is not None else None


class Told(LineWidget):
    """A text on the right, as wide as it is."""

    raised = True

    def __init__(self) -> None:
        super().__init__(id="filter-told")
        self._text, self._style = "", "dim"
        self.display = False

    def tell(self, text: str, style: str) -> None:
        """Show another text; without one there is all the more room for what is typed."""
        self._text, self._style = escaped(text), style
        self.display = bool(text)
        self.styles.width = cell_len(self._text) + 2
        self.redraw()

    def lines(self, width: int, height: int) -> Sequence[Line]:
        return [((f" {clip(self._text, width - 2)}", self._style),)]
