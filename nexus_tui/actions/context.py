"""What the actions need of the app."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol, TypeAlias, TypeVar

from textual.screen import Screen

from nexus_core.control.commands import Command, Outcome
from nexus_tui.screens.backends import BackendsTab
from nexus_tui.screens.costs import CostsTab
from nexus_tui.screens.dashboard import DashboardTab
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


class AppContext(Protocol):
    """The app, as far as actions see it. What an action has changed is painted when it is over."""

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
        """Say something short in the last line; it is drawn as text."""
        ...

    def show_tab(self, name: str) -> None:
        """Open a tab."""
        ...

    def paint_soon(self) -> None:
        """Paint before the action is over, while it waits."""
        ...

    async def ask(self, dialog: Screen[T]) -> T | None:
        """Show a dialog; its value, or None when it was left."""
        ...

    async def command(self, command: Command) -> Outcome | None:
        """Carry it out and say what became of it; None when it could not be done."""
        ...
