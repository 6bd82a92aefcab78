"""Row actions: open or toggle what the cursor is on, whatever list that is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nexus_tui.actions.backends import BackendActions
from nexus_tui.actions.context import AppContext, Handlers, Tabs
from nexus_tui.actions.lists import ListActions
from nexus_tui.actions.requests.drill import DrillActions
from nexus_tui.actions.requests.opening import RequestActions
from nexus_tui.actions.zones import ZoneActions
from nexus_tui.screens.tab import Tab


class RowActions:
    """What enter and space do in each list."""

    def __init__(
        self,
        context: AppContext,
        tabs: Tabs,
        requests: RequestActions,
        backends: BackendActions,
        zones: ZoneActions,
        lists: ListActions,
        drill: DrillActions,
    ) -> None:
        self._context = context
        self._tabs = tabs
        self._backends = backends
        self._zones = zones
        self._opens: dict[Tab, Callable[[], Awaitable[None]]] = {
            tabs.requests: requests.open,
            tabs.backends: backends.open,
            tabs.zones: drill.related,
            tabs.costs: drill.related,
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
        is_zone = self._context.tab is self._tabs.zones
        await (self._zones.toggle() if is_zone else self._backends.toggle())

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
