"""AppContext: the interface of the app for action handlers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from textual.screen import Screen

from nexus_core.control.commands import Command, Outcome
from nexus_tui.draw.foreground import Terminal
from nexus_tui.screens.backends import BackendsTab
from nexus_tui.screens.costs import CostsTab
from nexus_tui.screens.dashboard import DashboardTab
from nexus_tui.screens.keys.tab import KeysTab
from nexus_tui.screens.logs import LogsTab
from nexus_tui.screens.requests import RequestsTab
from nexus_tui.screens.tab import Tab
from nexus_tui.screens.zones import ZonesTab
from nexus_tui.sources.base import EventSource
from nexus_tui.view.frame import Frames
from nexus_tui.view.model import ViewModel

T = TypeVar("T")
# What a key does. One that asks or waits is a coroutine function, or a partial of one.
Action: TypeAlias = Callable[[], Awaitable[None] | None]
Handlers: TypeAlias = Mapping[str, Action]  # by the key's id


class Tabs(NamedTuple):
    """All tabs, in the order of their digits."""

    dashboard: DashboardTab
    requests: RequestsTab
    backends: BackendsTab
    zones: ZonesTab
    costs: CostsTab
    logs: LogsTab
    keys: KeysTab


class AppContext(Protocol):
    """Interface of the app for action handlers."""

    @property
    def source(self) -> EventSource: ...
    @property
    def view(self) -> ViewModel: ...
    @property
    def frames(self) -> Frames: ...
    @property
    def tab(self) -> Tab: ...  # the one that is shown
    @property
    def may_command(self) -> bool: ...  # says why not, if it is not so

    def notice(self, text: str) -> None:
        """Show a short notice in the last line, drawn as plain text."""
        ...

    def show_tab(self, name: str) -> None:
        """Open a tab."""
        ...

    def paint_soon(self) -> None:
        """Request a painting while the action waits."""
        ...

    def giving_way(self) -> AbstractContextManager[None]:
        """What may take long and opens nothing: what is typed meanwhile does not wait for it."""
        ...

    async def ask(self, dialog: Screen[T]) -> T | None:
        """Show a dialog; gives its value, None if it was closed."""
        ...

    async def on_terminal(self, use: Callable[[Terminal], Awaitable[T]]) -> T:
        """Let another program have the terminal meanwhile.

        Raises:
            NoProgramError: there is no terminal to give away.
        """
        ...

    async def command(self, command: Command) -> Outcome | None:
        """Run a command and show its outcome; None if it failed."""
        ...
