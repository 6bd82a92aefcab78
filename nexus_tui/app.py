"""The dashboard app: wires keys, tabs, view model and pacer together; draws nothing itself."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from textual import on, work
from textual.app import App, ComposeResult
from textual.binding import BindingsMap
from textual.driver import Driver
from textual.filter import Monochrome, NoColor
from textual.screen import Screen

from nexus_core.control.commands import Command, Outcome
from nexus_core.errors import ConfigError, NexusError
from nexus_core.observe.log_ring import LogRing
from nexus_core.types import PrivacyZone
from nexus_tui.actions.backends import BackendActions
from nexus_tui.actions.clip import ClipActions
from nexus_tui.actions.context import Handlers
from nexus_tui.actions.lists import ListActions
from nexus_tui.actions.program import ProgramActions, Server
from nexus_tui.actions.requests import RequestActions
from nexus_tui.actions.zones import ZoneActions
from nexus_tui.draw.intake import Intake
from nexus_tui.draw.pacer import Pacer
from nexus_tui.draw.theme import THEMES, themes
from nexus_tui.keymap.bindings import as_bindings
from nexus_tui.keymap.keys import Key, remapped
from nexus_tui.process.loop import settle_gc
from nexus_tui.screens.backends import BackendsTab
from nexus_tui.screens.base import BaseScreen
from nexus_tui.screens.costs import CostsTab
from nexus_tui.screens.dashboard import DashboardTab
from nexus_tui.screens.logs import LogsTab
from nexus_tui.screens.requests import RequestsTab
from nexus_tui.screens.tab import Tab
from nexus_tui.screens.zones import ZonesTab
from nexus_tui.sources.base import EventSource
from nexus_tui.text.escape import visible
from nexus_tui.view.banner import alarms
from nexus_tui.view.cost_poller import keep_costs
from nexus_tui.view.model import BACKENDS, GROUPS, KPI, LIST, ViewModel
from nexus_tui.view.notices import Notices
from nexus_tui.widgets.backend_list import BackendPanel, BackendView
from nexus_tui.widgets.base.lines import LineWidget
from nexus_tui.widgets.base.rowlist import RowList
from nexus_tui.widgets.filter_entry import FilterEntry
from nexus_tui.widgets.frame import Banner, HintBar, StatusBar, TabBar

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
        driver_class: type[Driver] | None = None,
    ) -> None:
        super().__init__(driver_class=driver_class)
        tui = source.config.tui
        self.animation_level = "none"
        # NO_COLOR means none: Textual's own filter would still send shades of grey.
        self._filters = [NoColor() if isinstance(one, Monochrome) else one for one in self._filters]
        for theme in themes():
            self.register_theme(theme)
        self.theme = tui.theme
        self.draws_ascii = tui.ascii
        self.source = source
        self.view = ViewModel(source.requests)
        self.keymap = remapped(tui.keys)
        self.lost: TerminalLostError | None = None
        self._now = now or source.now
        self._stop = stop
        self._logs = LogRing() if logs is None else logs
        self._epoch = source.epoch
        self._server = server
        self._bindings = BindingsMap(as_bindings(self.keymap.keys))
        self._make_frame(self._now)
        self._clip = ClipActions(self, self, self._log_tab)
        self._deeds = self._make_handlers()
        self._intake = Intake(source.wait, self._take)
        self.pacer = Pacer(
            wait=self._intake.wait,
            collect=self._collect,
            dirty=self.view.take_dirty,
            paint={group: partial(self._paint, group) for group in GROUPS},
            busy_interval=1 / tui.refresh_hz,
        )

    def _make_frame(self, now: Callable[[], float]) -> None:
        source, view = self.source, self.view
        look = BackendView(source, view, now)
        self._status = StatusBar(source, view, now)
        self._tab_bar = TabBar()
        self._banner = Banner(self.alarms)
        self._hint_bar = HintBar(self._hints)
        self._notices = Notices(self._all_hint_bars, self.set_timer, self._logs, now)
        self._entry = FilterEntry()
        self._dashboard = DashboardTab(source, view, look, now)
        self._requests = RequestsTab(source, view)
        self._backends = BackendsTab(look)
        self._zones = ZonesTab(source, view, now)
        self._log_tab = LogsTab(self._logs)
        tabs = (
            self._dashboard,
            self._requests,
            self._backends,
            self._zones,
            CostsTab(source),
            self._log_tab,
        )
        self._tabs: dict[str, Tab] = {str(tab.id): tab for tab in tabs}

    def _make_handlers(self) -> Handlers:
        requests = RequestActions(self, self._dashboard, self._requests)
        backends = BackendActions(self, self._backends)
        zones = ZoneActions(self, self._zones)
        lists = ListActions(self, self._dashboard, self._requests, self._log_tab)
        program = ProgramActions(self, self._dashboard, self._server, self.exit)

        async def toggle() -> None:
            await (zones.toggle() if self.tab is self._zones else backends.toggle())

        async def open_row() -> None:
            opens: dict[Tab, Callable[[], Awaitable[None]]] = {
                self._backends: backends.open,
                self._log_tab: lists.open_line,
            }
            if self.tab in (self._dashboard, self._requests, *opens):
                await opens.get(self.tab, requests.open)()

        async def palette() -> None:
            if (chosen := await program.choose_action()) is not None:
                if not self.check_action("do", (chosen,)):
                    self.show_tab(next(p for p in self.keymap[chosen].places if p in self._tabs))
                self.action_do(chosen)

        return {
            **program.handlers(),
            **lists.handlers(),
            **requests.handlers(),
            **backends.handlers(),
            **zones.handlers(),
            **self._clip.handlers(),
            "toggle": toggle,
            "open": open_row,
            "palette": palette,
            "back": self._back,
            "filter": self._open_entry,
            "theme": self._next_theme,
            "repaint": self.refresh_everything,
        }

    # --- life ----------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[Any]:
        return BaseScreen(id="_default", classes="-ascii" if self.draws_ascii else None)

    def compose(self) -> ComposeResult:
        yield self._status
        yield self._tab_bar
        yield self._banner
        yield from self._tabs.values()
        yield self._entry
        yield self._hint_bar

    def on_mount(self) -> None:
        self._collect()
        self._notices.forget()
        self.show_tab("dashboard")
        self.run_worker(self._intake.run(), name="intake")
        self.run_worker(self.pacer.run(), name="pacer")
        self.run_worker(keep_costs(self.source), name="costs")
        if self._stop is not None:
            self.run_worker(self._exit_after(self._stop), name="stop")
        if not self.is_headless:
            self.call_after_refresh(settle_gc)

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

    # --- painting ------------------------------------------------------------------------

    @property
    def tab(self) -> Tab:
        """The tab that is shown."""
        return self._tabs[self._tab_bar.tab]

    def _collect(self) -> int:
        self.view.mark_dirty(KPI, BACKENDS)  # clock, rate and rests move by themselves
        return self._intake.collect()

    def _take(self) -> int:
        if self.source.epoch != self._epoch:
            self._epoch = self.source.epoch
            self.view.follow(self.source.requests)
        events = self.source.drain()
        self.view.apply(events)
        self.view.rate.add(self.source.now(), self.source.unseen())
        self._notices.tell_of(events)
        return len(events)

    def _paint(self, group: str) -> None:
        if group == KPI:
            self._redraw_frame()
            self._notices.warn()
        if len(self.screen_stack) != 1:
            self.view.mark_dirty(group)  # painted when the dialog is closed
            return
        for widget in self.tab.widgets_of(group):
            widget.redraw()

    def _redraw_frame(self) -> None:
        screens = self.screen_stack
        if not screens:
            return  # the app is ending, and a round of painting was under way
        screens[0].set_class(self.source.status != "live", "-stale")
        self._banner.share_room()
        for widget in (self._status, self._tab_bar, self._banner, self._hint_bar):
            widget.redraw()
        if len(screens) > 1:
            for banner in screens[-1].query(Banner):  # of a screen that covers all of it
                banner.share_room()
                banner.redraw()

    def redraw(self) -> None:
        """Paint what a key changed, at once."""
        self._redraw_frame()
        self.tab.redraw()

    def refresh_everything(self) -> None:
        """Paint every line anew, whatever is on the screen."""
        for widget in self.screen.query(LineWidget):
            widget.redraw_all()
        self.refresh()

    def _hints(self) -> list[Key]:
        is_cut = not self.source.is_zone_enabled(PrivacyZone.OPEN)
        return self.keymap.hints(self.tab.place, is_cut=is_cut)

    def alarms(self, is_short: bool) -> list[str]:
        """What every screen has to say, one line each."""
        return alarms(self.source, self.view, self._server, is_short=is_short)

    def _all_hint_bars(self) -> Iterable[HintBar]:
        on_top = [bar for screen in self.screen_stack[-1:] for bar in screen.query(HintBar)]
        return {self._hint_bar, *on_top}

    def notice(self, text: str) -> None:
        """Say something short in the last line; it is drawn as text."""
        self._notices.say(text)

    # --- keys ----------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Whether a key means something on the tab that is shown."""
        if action != "do":
            return True
        places = self.keymap[str(parameters[0])].places
        return "everywhere" in places or not set(self.tab.places).isdisjoint(places)

    @on(HintBar.Chosen)
    def _hint_clicked(self, message: HintBar.Chosen) -> None:
        self.action_do(message.key_id)

    def action_do(self, key_id: str) -> None:
        """Do what a key is for; what has to ask or wait goes on beside the screen."""
        deed = self._deeds[key_id]
        if inspect.iscoroutinefunction(deed):
            self._finish(deed)
        else:
            deed()

    @work
    async def _finish(self, deed: Callable[[], Awaitable[None]]) -> None:
        try:
            await deed()
        except NexusError as error:
            self.notice(visible(error.message))

    async def ask(self, dialog: Screen[T]) -> T | None:
        """Show a dialog; its value, or None when it was left."""
        result = await self.push_screen_wait(dialog)
        self.redraw()
        return result

    @property
    def may_command(self) -> bool:
        """Whether commands are carried out; says why not."""
        if self.source.is_read_only:
            self.notice("this dashboard is read-only")
        elif self.source.status != "live":
            self.notice("the link is lost: nothing can be changed")
        else:
            return True
        return False

    async def command(self, command: Command) -> Outcome | None:
        """Say what became of it; what it changed is drawn from the events that follow."""
        try:
            outcome = await self.source.command(command)
        except (NexusError, ConfigError) as error:
            self.notice(visible(str(error).partition("\n")[0]))  # of a file's faults, the first
            return None
        self.notice(visible(outcome.message))
        self._collect()
        self.redraw()
        return outcome

    # --- keys: tabs and filter -----------------------------------------------------------

    def show_tab(self, name: str) -> None:
        """Open a tab."""
        self._entry.close()
        self._tab_bar.tab = name
        for tab_name, tab in self._tabs.items():
            tab.display = tab_name == name
        self.redraw()

    @on(TabBar.Chosen)
    def _tab_clicked(self, message: TabBar.Chosen) -> None:
        self.show_tab(message.tab)

    @on(BackendPanel.Chosen)
    def _backend_clicked(self, message: BackendPanel.Chosen) -> None:
        self._backends.table.select(message.name)
        self.show_tab("backends")

    @on(RowList.Opened)
    def _row_clicked(self) -> None:
        self.action_do("open")

    def _back(self) -> None:
        if self._entry.display:
            self._entry.close()
            self._filter("")
        elif self.tab.close():
            if self.tab is self._requests:
                self.show_tab(self._requests.origin)
        elif self.tab.filter_example:
            self._filter("")
            self.view.set_errors_only(False)
        self.redraw()

    def _filter(self, text: str) -> None:
        if self.tab is self._log_tab:
            self._log_tab.list.set_filter(text)
        else:
            self.view.set_filter(text)

    def _open_entry(self) -> None:
        if not self.tab.filter_example:
            self.show_tab("requests")
        self.tab.close()
        logs = self._log_tab
        text = logs.list.filter if self.tab is logs else self.view.filter.text
        self._entry.open(text, self.tab.filter_example)

    @on(FilterEntry.Typed)
    def _filter_typed(self, message: FilterEntry.Typed) -> None:
        self._filter(message.text)
        self._paint(LIST)

    @on(FilterEntry.Done)
    def _filter_done(self) -> None:
        self.redraw()

    # --- keys: the app -------------------------------------------------------------------

    def _next_theme(self) -> None:
        name = THEMES[(THEMES.index(self.theme) + 1) % len(THEMES)]
        self.theme = name
        self.refresh_everything()
        self.notice(f"theme {name}; theme in [tui] keeps it")

    def put_on_clipboard(self, title: str, text: str, *, may_keep: bool = True) -> None:
        """Copy by the terminal and the desktop; where neither is sure, show the text too."""
        self._clip.put(title, text, may_keep=may_keep)
