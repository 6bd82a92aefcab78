"""AppContext: the interface of the app for action handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol, TypeAlias, TypeVar

from textual.screen import Screen

from nexus_core.control.commands import Command, Outcome
from nexus_tui.keymap.keys import Keymap
from nexus_tui.screens.tab import Tab
from nexus_tui.sources.base import EventSource
from nexus_tui.view.model import ViewModel

T = TypeVar("T")
# What a key does. One that asks or waits is a coroutine function, or a partial of one.
Deed: TypeAlias = Callable[[], Awaitable[None] | None]
Handlers: TypeAlias = Mapping[str, Deed]  # by the key's id


class AppContext(Protocol):
    """Interface of the app for action handlers."""

    @property
    def source(self) -> EventSource: ...
    @property
    def view(self) -> ViewModel: ...
    @property
    def keymap(self) -> Keymap: ...
    @property
    def tab(self) -> Tab: ...
    @property
    def may_command(self) -> bool: ...  # says why not, if it is not so

    def alarms(self, is_short: bool) -> list[str]:
        """What every screen has to say, one line each."""
        ...

    def notice(self, text: str) -> None:
        """Say something short in the last line; it is drawn as text."""
        ...

    def show_tab(self, name: str) -> None:
        """Open a tab."""
        ...

    def redraw(self) -> None:
        """Paint what changed, at once."""
        ...

    def put_on_clipboard(self, title: str, text: str, *, may_keep: bool = True) -> None:
        """Copy; where nobody can be sure that it arrived, show it, and keep it if that may be."""
        ...

    async def ask(self, dialog: Screen[T]) -> T | None:
        """Show a dialog; its value, or None when it was left."""
        ...

    async def command(self, command: Command) -> Outcome | None:
        """Carry it out and say what became of it; None when it could not be done."""
        ...
