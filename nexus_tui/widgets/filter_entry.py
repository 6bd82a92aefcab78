"""Filter entry: the list is filtered while typing."""

from __future__ import annotations

from textual import on
from textual.message import Message
from textual.widgets import Input


class FilterEntry(Input):
    """Filter entry, hidden while unused."""

    class Typed(Message):
        """The filter is another one now."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Done(Message):
        """Enter was pressed: the filter stays."""

    def __init__(self) -> None:
        super().__init__(id="filter")
        self.cursor_blink = False
        self.display = False

    def open(self, text: str, example: str) -> None:
        """Show the filter that is in force, to change it."""
        self.placeholder = example
        self.value = text
        self.display = True
        self.focus()

    def close(self) -> None:
        """Give the keys back to the tab."""
        self.display = False
        self.screen.set_focus(None)

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display:
            self.post_message(self.Typed(event.value))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.close()
        self.post_message(self.Done())
