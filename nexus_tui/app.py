"""The dashboard app: wires keys, tabs, view model and pacer together; draws nothing itself."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from textual import events, on, work
from textual.app import App, ComposeResult
from textual.binding import BindingsMap
from textual.driver import Driver
from textual.filter import Monochrome, NoColor
from textual.screen import Screen

from nexus_core.config.tui import TuiConfig
from nexus_core.control.commands import Command, Outcome
from nexus_core.errors import ConfigError, NexusError
from nexus_core.observe.log_ring import LogRing
from nexus_core.observe.windows.window import Window
from nexus_core.types import PrivacyZone
from nexus_tui.actions.clip import ClipActions
from nexus_tui.actions.context import Tabs
from nexus_tui.actions.filtering import FilterActions
from nexus_tui.actions.handlers import make_handlers
from nexus_tui.actions.program import Server
from nexus_tui.actions.requests.drill import DrillActions
from nexus_tui.draw.driver import NexusDriver
from nexus_tui.draw.foreground import NoProgramError, Terminal
from nexus_tui.draw.painter import Painter
from nexus_tui.draw.theme import depth_of, note_on, theme_after, themes
from nexus_tui.keymap.bindings import as_bindings
from nexus_tui.keymap.keys import Key, remapped
from nexus_tui.keymap.typed import TypedKeys
from nexus_tui.process.loop import settle_gc
from nexus_tui.screens.backends import BackendsTab
from nexus_tui.screens.base import BaseScreen
from nexus_tui.screens.costs import CostsTab
from nexus_tui.screens.dashboard import DashboardTab
from nexus_tui.screens.keys.tab import KeysTab
from nexus_tui.screens.logs import LogsTab
from nexus_tui.screens.requests import RequestsTab
from nexus_tui.screens.tab import Tab
from nexus_tui.screens.zones import ZonesTab
from nexus_tui.sources.base import READ_ONLY, EventSource
from nexus_tui.text.escape import escaped
from nexus_tui.view.banner import alarms
from nexus_tui.view.costs.choice import keep_cost_lines
from nexus_tui.view.costs.poller import keep_costs
from nexus_tui.view.filter.grammar import term
from nexus_tui.view.frame import Frames
from nexus_tui.view.keys.watch import KeyWatch
from nexus_tui.view.known_names import known_names
from nexus_tui.view.model import ViewModel
from nexus_tui.view.notices import Notices
from nexus_tui.widgets.backend_list import BackendPanel
from nexus_tui.widgets.base.lines import LineWidget
from nexus_tui.widgets.base.rowlist import RowList
from nexus_tui.widgets.base.sortable import SortableList
from nexus_tui.widgets.chrome import Banner, Bars, HintBar, StatusBar, TabBar
from nexus_tui.widgets.cost_table import CostTable
from nexus_tui.widgets.filter_entry import FilterEntry
from nexus_tui.widgets.kpis import Kpis

T = TypeVar("T")


class TerminalLostError(ConnectionError):
    """The terminal went away while the dashboard was on it."""


class NexusApp(App[None], inherit_bindings=False):
    """Shows one event source. Exits on `q`; what then happens to the server is not its business."""

    TITLE = "Nexus"
    ENABLE_COMMAND_PALETTE = False
    CSS_PATH = "nexus.tcss"

    def __init__(
        self,
        source: EventSource,
        *,
        now: Callable[[], float] | None = None,
        stop: asyncio.Event | None = None,
        logs: LogRing | None = None,
        server: Server | None = None,
        draws_ascii: bool | None = None,
        driver_class: type[Driver] | None = None,
    ) -> None:
        super().__init__(driver_class=driver_class)
        tui = source.config.tui
        self._look_as(tui, draws_ascii)
        self.source = source
        self.view = view = ViewModel(
            source.requests,
            now=now or source.now,
            is_fleet=source.fleet is not None,
            replicas=lambda: 1 if source.fleet is None else len(source.fleet.replicas),
        )
        view.known_names = known_names(source, view, lambda: self.client_keys.names)
        view.window = Window(tui.window)
        self.client_keys = KeyWatch()
        self.frames = frames = Frames(source, view, now or source.now)
        self.keymap = remapped(tui.keys)
        self.lost: TerminalLostError | None = None
        self._stop = stop
        self._logs = LogRing() if logs is None else logs
        self._server = server
        self._bindings = BindingsMap(as_bindings(self.keymap.keys))
        self._notices = Notices(
            self._all_hint_bars, self.set_timer, self._logs, now or source.now, source.session
        )
        self.tabs = Tabs(
            DashboardTab(source, view, frames),
            RequestsTab(source, view),
            BackendsTab(frames, view),
            ZonesTab(frames, view),
            CostsTab(frames),
            LogsTab(self._logs, self._notices.kept),
            KeysTab(frames, self.client_keys),
        )
        self._tabs_by_id = {str(tab.id): tab for tab in self.tabs}
        self.bars = Bars(
            StatusBar(source, view, frames), TabBar(), Banner(self.alarms), HintBar(self._hints)
        )
        self._entry = FilterEntry()
        self.painter = Painter(self, source, view, frames, self._notices)
        self.pacer = self.painter.pacer
        self.typed = TypedKeys(self)
        self._clip = ClipActions(self, self, self.tabs.logs, lambda: self.action_do("quit"))
        self._drill = DrillActions(self, self.tabs)
        self._filtering = FilterActions(self, self._entry, self._drill.back)
        self._handlers = make_handlers(self, self._clip, self._drill, self._filtering, server)

    def _look_as(self, tui: TuiConfig, draws_ascii: bool | None) -> None:
        self.animation_level = "none"
        # NO_COLOR means none: Textual's own filter would still send shades of grey.
        self._filters = [NoColor() if isinstance(one, Monochrome) else one for one in self._filters]
        self.depth = depth_of(self.console)
        for theme in themes(self.depth):
            self.register_theme(theme)
        self.theme = tui.theme
        self.draws_ascii = tui.ascii is True if draws_ascii is None else draws_ascii

    # --- life ----------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[Any]:
        return BaseScreen(id="_default", classes="-ascii" if self.draws_ascii else None)

    def compose(self) -> ComposeResult:
        yield self.bars.status
        yield self.bars.tabs
        yield self.bars.banner
        yield from self.tabs
        yield self._entry
        yield self.bars.hints

    def on_mount(self) -> None:
        self.painter.intake.collect()
        self._notices.forget()
        self.show_tab("dashboard")
        self.run_worker(self.painter.intake.run(), name="intake")
        self.run_worker(self.pacer.run(), name="pacer")
        self.run_worker(self.typed.run(), name="typed keys")
        self.run_worker(keep_costs(self.source, self.paint_soon), name="costs")
        lines = keep_cost_lines(self.source, self.tabs.costs.table.choice, self.paint_soon)
        self.run_worker(lines, name="cost lines")
        self.run_worker(self.client_keys.keep(self.source, self.paint_soon), name="keys")
        if self._stop is not None:
            self.run_worker(self._exit_after(self._stop), name="stop")
        if not self.is_headless:
            self.call_after_refresh(settle_gc)

    def on_unmount(self) -> None:
        self._clip.forget()

    async def _exit_after(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.exit()

    def terminal_lost(self) -> None:
        """The driver found nobody at the other end."""
        self.lost = TerminalLostError("the terminal is gone")
        self.exit()

    @property
    def crash(self) -> Exception | None:
        """What ended the app other than its user; None while it runs and after a normal end."""
        return self._exception or self.lost

    def _fatal_error(self) -> None:
        # Textual would print its own trace over the shell; the supervisor reports instead.
        self._close_messages_no_wait()

    # --- what is on the screen -----------------------------------------------------------

    @property
    def tab(self) -> Tab:
        """The tab that is shown."""
        return self._tabs_by_id[self.bars.tabs.tab]

    def show_tab(self, name: str) -> None:
        """Open a tab."""
        self._entry.close()
        self.bars.tabs.tab = name
        self.client_keys.look(is_open=name == "keys")
        for tab_name, tab in self._tabs_by_id.items():
            tab.display = tab_name == name
        self.paint_soon()

    def notice(self, text: str) -> None:
        """Say something short in the last line; it is drawn as text."""
        self._notices.say(text)
        self.paint_soon()

    def alarms(self, is_short: bool) -> list[str]:
        """What every screen has to say, one line each."""
        return alarms(self.frames.current, self.view.zones, self._server, is_short=is_short)

    def _hints(self) -> tuple[Key, ...]:
        frame = self.frames.current
        is_cut = PrivacyZone.OPEN not in frame.zones_on
        return self.keymap.hints(self.tab.place, is_cut=is_cut, may_change=frame.may_change)

    def _all_hint_bars(self) -> Iterable[HintBar]:
        on_top = [bar for screen in self.screen_stack[1:][-1:] for bar in screen.query(HintBar)]
        return [self.bars.hints, *on_top]

    def paint_soon(self) -> None:
        """Paint what has changed, once, as soon as what runs now has made way."""
        self.painter.soon()

    def refresh_everything(self) -> None:
        """Paint every line anew, whatever is on the screen."""
        for widget in self.screen.query(LineWidget):
            widget.redraw_all()
        self.refresh()

    # --- keys ----------------------------------------------------------------------------
    # A key's way: Textual asks `check_action` whether it is for here, and calls `action_do`; its
    # action changes the view, or calls `command`; then all is painted, once.

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key means something on the tab that is shown."""
        if action != "do" or len(self.screen_stack) > 1:
            return action != "do" or parameters[0] == "panic"
        places = self.keymap[str(parameters[0])].places
        return "everywhere" in places or not set(self.tab.places).isdisjoint(places)

    def action_do(self, key_id: str) -> None:
        """Do what a key is for, and paint; what has to ask or wait goes on beside the screen."""
        action = self._handlers[key_id]
        if inspect.iscoroutinefunction(action):
            self._finish(action)
        else:
            action()
            self.paint_soon()

    async def on_event(self, event: events.Event) -> None:
        """Keys wait for their turn."""
        if not self.typed.keep(event):
            await super().on_event(event)

    @work
    async def _finish(self, action: Callable[[], Awaitable[None]]) -> None:
        with self.typed.acting():
            try:
                await action()
            except NexusError as error:
                self.notice(escaped(error.message))
            self.paint_soon()

    @property
    def may_command(self) -> bool:
        """Whether commands are carried out; says why not."""
        if self.source.is_read_only:
            self.notice(READ_ONLY)
        elif self.source.status != "live":
            self.notice("link lost: changes are disabled")
        else:
            return True
        return False

    async def command(self, command: Command) -> Outcome | None:
        """Say what became of it; the view knows by then what it changed here."""
        self.paint_soon()  # another process takes its time: what was asked for is seen meanwhile
        try:
            with self.giving_way():
                outcome = await self.source.command(command)
        except (NexusError, ConfigError) as error:
            self.notice(escaped(str(error).partition("\n")[0]))  # of a file's faults, the first
            return None
        self.painter.take_in()
        self.notice(escaped(outcome.message))
        return outcome

    def giving_way(self) -> AbstractContextManager[None]:
        """What may take long and opens nothing: what is typed meanwhile does not wait for it."""
        return self.typed.giving_way()

    async def ask(self, dialog: Screen[T]) -> T | None:
        """Show a dialog; its value, or None when it was left."""
        with self.typed.asking(dialog):
            result = await self.push_screen_wait(dialog)
        self.paint_soon()
        return result

    async def on_terminal(self, use: Callable[[Terminal], Awaitable[T]]) -> T:
        """Let another program have the terminal meanwhile; the proxy serves on."""
        driver = self._driver
        if not isinstance(driver, NexusDriver):
            raise NoProgramError("there is no terminal for another program")
        self.painter.is_held = True
        try:
            with self.giving_way():
                return await use(driver)
        finally:
            self.painter.is_held = False
            self.refresh_everything()
            self.paint_soon()

    def look_like(self, theme: str | None = None) -> None:
        """Change the theme, to the next one if none is named."""
        self.theme = theme or theme_after(self.theme)
        self.refresh_everything()
        self.notice(note_on(self.theme, depth_of(self.console)))

    def next_window(self) -> None:
        """Show the numbers of another window."""
        if not self.source.has_windows:
            self.notice("numbers: since start; the attached Nexus is too old for others")
            return
        self.view.window = window = self.view.window.next
        self.notice(f"numbers: {window.shown}")

    # --- clicks, and what is typed -------------------------------------------------------

    @on(HintBar.Chosen)
    def _hint_clicked(self, message: HintBar.Chosen) -> None:
        self.action_do(message.key_id)

    @on(StatusBar.SaveWanted)
    def _unsaved_clicked(self) -> None:
        self.action_do("save")

    @on(TabBar.Chosen)
    def _tab_clicked(self, message: TabBar.Chosen) -> None:
        self.show_tab(message.tab)

    @on(BackendPanel.Chosen)
    def _backend_clicked(self, message: BackendPanel.Chosen) -> None:
        self.tabs.backends.table.select(message.name)
        self.show_tab("backends")

    @on(Kpis.Chosen)
    def _reason_clicked(self) -> None:
        self._drill.show(term("reason", self.tabs.dashboard.kpis.reason))
        self.paint_soon()

    @on(CostTable.Turned)
    @on(SortableList.Sorted)
    def _sorted(self) -> None:
        self.paint_soon()

    @on(RowList.Opened)
    def _row_clicked(self) -> None:
        self.action_do("open")

    @on(FilterEntry.Typed)
    def _filter_typed(self, message: FilterEntry.Typed) -> None:
        self._filtering.apply(message.text)
        self.paint_soon()

    @on(FilterEntry.Done)
    def _filter_done(self, message: FilterEntry.Done) -> None:
        self._filtering.done(message.text)
        self.paint_soon()
