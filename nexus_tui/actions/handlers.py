"""Handlers of all keys: what each does, by its id."""

from __future__ import annotations

from typing import Protocol

from nexus_tui.actions.backends import BackendActions
from nexus_tui.actions.clip import ClipActions
from nexus_tui.actions.context import AppContext, Handlers, Tabs
from nexus_tui.actions.costs import CostActions
from nexus_tui.actions.filtering import FilterActions
from nexus_tui.actions.keys import KeyActions
from nexus_tui.actions.lists import ListActions
from nexus_tui.actions.palette import PaletteActions
from nexus_tui.actions.program import ProgramActions, Server
from nexus_tui.actions.requests.drill import DrillActions
from nexus_tui.actions.requests.export import ExportActions
from nexus_tui.actions.requests.opening import RequestActions
from nexus_tui.actions.requests.reading import ReadingActions
from nexus_tui.actions.requests.replay import ReplayActions
from nexus_tui.actions.rows import RowActions, Toggle
from nexus_tui.actions.zones import ZoneActions
from nexus_tui.keymap.keys import Keymap
from nexus_tui.screens.tab import Tab


class Program(AppContext, Protocol):
    """Interface of the app for the keys that concern all of it."""

    tabs: Tabs
    keymap: Keymap

    def alarms(self, is_short: bool) -> list[str]:
        """What every screen has to say, one line each."""
        ...

    def action_do(self, key_id: str) -> None:
        """Do what a key is for."""
        ...

    def look_like(self, theme: str | None = None) -> None:
        """Change the theme, to the next one if none is named."""
        ...

    def next_window(self) -> None:
        """Show the numbers of another window."""
        ...

    def refresh_everything(self) -> None:
        """Paint every line anew."""
        ...

    def exit(self) -> None:
        """Close the screen."""
        ...


def make_handlers(
    app: Program,
    clip: ClipActions,
    drill: DrillActions,
    filtering: FilterActions,
    server: Server | None,
) -> Handlers:
    """What each key does, by its id.

    Args:
        server: the one of this process; None where another one is shown.
    """
    tabs, keymap = app.tabs, app.keymap
    requests = RequestActions(app, tabs, keymap, app.alarms, clip)
    export = ExportActions(app, requests.selected, tabs.requests, clip)
    replay = ReplayActions(app, requests.selected, keymap, app.alarms)
    reading = ReadingActions(app, tabs.requests)
    backends = BackendActions(app, tabs.backends)
    zones = ZoneActions(app, tabs.zones)
    lists = ListActions(app, tabs, requests.show)
    keys = KeyActions(app, tabs.keys, clip)
    toggles: dict[Tab, Toggle] = {tabs.zones: zones.toggle, tabs.keys: keys.toggle}
    rows = RowActions(app, tabs, requests, backends, toggles, lists, drill)
    program = ProgramActions(app, tabs, keymap, clip, server, app.exit)
    commands = PaletteActions(app, tabs, keymap, backends, zones, app.look_like, drill.show)

    async def palette() -> None:
        text = await app.ask(commands.palette())
        if (chosen := await commands.carry_out(text)) is not None:
            app.action_do(chosen)

    return {
        **program.handlers(),
        **lists.handlers(),
        **requests.handlers(),
        **replay.handlers(),
        **export.handlers(),
        **reading.handlers(),
        **backends.handlers(),
        **zones.handlers(),
        **keys.handlers(),
        **rows.handlers(),
        **CostActions(app, tabs.costs, clip).handlers(),
        **clip.handlers(),
        **filtering.handlers(),
        **drill.handlers(),
        "palette": palette,
        "theme": app.look_like,
        "window": app.next_window,
        "repaint": app.refresh_everything,
    }
