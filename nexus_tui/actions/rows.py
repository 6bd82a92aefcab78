"""Row actions: open or toggle what the cursor is on, whatever list that is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from nexus_tui.actions.backends import BackendActions
from nexus_tui.actions.context import AppContext, Handlers, Tabs
from nexus_tui.actions.lists import ListActions
from nexus_tui.actions.requests.drill import DrillActions
from nexus_tui.actions.requests.opening import RequestActions
from nexus_tui.screens.tab import Tab

Toggle: TypeAlias = Callable[[], Awaitable[None]]


class RowActions:
    """What enter and space do in each list."""

    def __init__(
        self,
        context: AppContext,
        tabs: Tabs,
        requests: RequestActions,
        backends: BackendActions,
        toggles: Mapping[Tab, Toggle],
        lists: ListActions,
        drill: DrillActions,
    ) -> None:
        """`toggles` switch the row of a tab where that is no backend."""
        self._context = context
        self._tabs = tabs
        self._backends = backends
        self._toggles = toggles
        self._opens: dict[Tab, Callable[[], Awaitable[None]]] = {
            tabs.requests: requests.open,
            tabs.backends: backends.open,
            tabs.zones: drill.related,
            tabs.costs: drill.related,
            tabs.keys: drill.related,
            tabs.logs: lists.open_line,
        }
        self._opens_pane: dict[str, Callable[[], Awaitable[None]]] = {
            "list": requests.open,
            "backends": self._open_backend,
            "reasons": drill.related,
        }

    def handlers(self) -> Handlers:
        return {"toggle": self._toggle, "open": self._open}

    async def _toggle(self) -> None:
        await self._toggles.get(self._context.tab, self._backends.toggle)()

    async def _open(self) -> None:
        tab = self._context.tab
        if tab is self._tabs.dashboard:
            await self._opens_pane[self._tabs.dashboard.pane]()
        elif tab in self._opens:
            await self._opens[tab]()

    async def _open_backend(self) -> None:
        name = self._tabs.dashboard.panel.selected
        if name is not None:
            self._backends.open_from(name, "dashboard")
