"""The dashboard app: wires keys, tabs, view model and pacer together; draws nothing itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.driver import Driver
from textual.filter import Monochrome, NoColor
from textual.screen import Screen
from textual.widgets import Input

from nexus_core.commands import Command, ProbeBackend, SwitchBackend
from nexus_core.errors import NexusError
from nexus_tui.keys import Key, bindings, hints
from nexus_tui.loop import settle_gc
from nexus_tui.pacer import Pacer
from nexus_tui.screens.help import HelpScreen
from nexus_tui.screens.tabs import BackendsTab, DashboardTab, RequestsTab, Tab
from nexus_tui.source import EventSource
from nexus_tui.theme import NEXUS_DARK
from nexus_tui.untrusted import visible
from nexus_tui.viewmodel import BACKENDS, GROUPS, KPI, LIST, ViewModel
from nexus_tui.widgets.frame import HintBar, StatusBar, TabBar
from nexus_tui.widgets.rowlist import RowList

_INTERRUPT_SECONDS = 2.0
_NOTICE_SECONDS = 3.0


class TerminalLostError(ConnectionError):
    """The terminal went away while the dashboard was on it."""


class BaseScreen(Screen[None], inherit_bindings=False):
    """The one screen under the dialogs; tells the pacer what the compositor costs."""

    AUTO_FOCUS = ""

    def _on_timer_update(self) -> None:
        started = time.perf_counter()
        super()._on_timer_update()
        if isinstance(self.app, NexusApp):
            self.app.pacer.add_cost(time.perf_counter() - started)


class NexusApp(App[None], inherit_bindings=False):
    """Shows one event source. Exits on `q`; what then happens to the server is not its business."""

    TITLE = "Nexus"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]
    CSS = """
    BaseScreen { layout: vertical; overflow: hidden; background: $background; }
    StatusBar, TabBar, HintBar, EnlargeHint { height: 1; width: 100%; }
    Tab { width: 100%; height: 1fr; overflow: hidden; }
    LineWidget { width: 100%; }
    Kpis { height: 5; }
    RequestList, RequestDetail, BackendTable, Welcome { height: 1fr; }
    BackendFacts { height: 6; }
    #filter { height: 1; width: 100%; border: none; padding: 0 1; background: $panel; }
    """

    def __init__(
        self,
        source: EventSource,
        *,
        now: Callable[[], float] = time.time,
        stop: asyncio.Event | None = None,
        driver_class: type[Driver] | None = None,
    ) -> None:
        super().__init__(driver_class=driver_class)
        self.animation_level = "none"
        # NO_COLOR means none: Textual's own filter would still send shades of grey.
        self._filters = [NoColor() if isinstance(one, Monochrome) else one for one in self._filters]
        self.register_theme(NEXUS_DARK)
        self.theme = NEXUS_DARK.name
        self.view = ViewModel()
        self.lost: TerminalLostError | None = None
        self._source = source
        self._epoch = source.epoch
        self._told: str | None = None  # of the source's notices the last one
        self._stop = stop
        self._interrupted_at = 0.0
        self._status = StatusBar(source, self.view, now)
        self._tab_bar = TabBar()
        self._hint_bar = HintBar(self._hints)
        self._tabs: dict[str, Tab] = {
            "dashboard": DashboardTab(source, self.view, now),
            "requests": RequestsTab(self.view),
            "backends": BackendsTab(source, self.view),
        }
        self.pacer = Pacer(
            wait=source.wait,
            collect=self._collect,
            dirty=self.view.take_dirty,
            paint={group: partial(self._paint, group) for group in GROUPS},
        )

    # --- life ----------------------------------------------------------------------------

    def get_default_screen(self) -> Screen[Any]:
        return BaseScreen(id="_default")

    def compose(self) -> ComposeResult:
        yield self._status
        yield self._tab_bar
        yield from self._tabs.values()
        entry = Input(placeholder="words  status:5xx  zone:open  !backend:vllm  live", id="filter")
        entry.cursor_blink = False
        yield entry
        yield self._hint_bar

    def on_mount(self) -> None:
        self._entry.display = False
        self._collect()
        self.action_tab("dashboard")
        self.run_worker(self.pacer.run(), name="pacer")
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

    @property
    def _entry(self) -> Input:
        return self.screen_stack[0].query_one("#filter", Input)

    def _collect(self) -> int:
        if self._epoch != self._source.epoch:
            self._epoch = self._source.epoch
            self.view.clear()
        events = self._source.drain()
        self.view.apply(events)
        self.view.rate.add(self._source.now(), self._source.unseen())
        if self._told != self._source.notice:
            self._told = self._source.notice
            self.notice(visible(self._told or ""))
        self.view.mark_dirty(KPI, BACKENDS)  # clock, rate and rests move by themselves
        return len(events)

    def _paint(self, group: str) -> None:
        if len(self.screen_stack) != 1:
            self.view.mark_dirty(group)  # painted when the dialog is closed
            return
        if group == KPI:
            self._status.redraw()
        for widget in self.tab.widgets_of(group):
            widget.redraw()

    def _redraw(self, _result: object = None) -> None:
        """Paint what a key changed, at once."""
        self._status.redraw()
        self._tab_bar.redraw()
        self._hint_bar.redraw()
        self.tab.redraw()

    def _hints(self) -> list[Key]:
        requests = self._tabs["requests"]
        is_detail = isinstance(requests, RequestsTab) and requests.mover is requests.detail
        place = self._tab_bar.tab
        return hints("detail" if place == "requests" and is_detail else place)

    def notice(self, text: str) -> None:
        """Say something short in the last line."""
        self._hint_bar.notice = text
        self._hint_bar.redraw()
        self.set_timer(_NOTICE_SECONDS, self._clear_notice)

    def _clear_notice(self) -> None:
        self._hint_bar.notice = ""
        self._hint_bar.redraw()

    # --- keys: tabs and movement ---------------------------------------------------------

    def action_tab(self, name: str) -> None:
        self._tab_bar.tab = name
        for tab_name, tab in self._tabs.items():
            tab.display = tab_name == name
        self._redraw()

    @on(TabBar.Chosen)
    def _tab_clicked(self, message: TabBar.Chosen) -> None:
        self.action_tab(message.tab)

    def action_move(self, rows: int) -> None:
        self.tab.mover.move(rows)
        self.tab.redraw()

    def action_page(self, pages: int) -> None:
        self.tab.mover.page(pages)
        self.tab.redraw()

    def action_edge(self, direction: int) -> None:
        self.tab.mover.edge(direction)
        self.tab.redraw()

    @on(RowList.Opened)
    def action_open(self) -> None:
        requests, tab = self._requests, self.tab
        if isinstance(tab, BackendsTab) or tab.mover is requests.detail:
            return
        shown = requests.list if tab is requests else self._dashboard.live
        row = shown.selected
        if row is None:
            return
        requests.open(row.seq)
        self.action_tab("requests")

    def action_close(self) -> None:
        if self._entry.display:
            self._close_entry()
            self.view.set_filter("")
        elif self.tab is self._requests and self._requests.mover is self._requests.detail:
            self._requests.close()
        else:
            self.view.set_filter("")
            self.view.set_errors_only(False)
        self._redraw()

    def action_step(self, rows: int) -> None:
        if self.tab is self._requests and self._requests.mover is self._requests.detail:
            self._requests.step(rows)

    @property
    def _requests(self) -> RequestsTab:
        tab = self._tabs["requests"]
        assert isinstance(tab, RequestsTab)  # noqa: S101  for the type checker
        return tab

    @property
    def _dashboard(self) -> DashboardTab:
        tab = self._tabs["dashboard"]
        assert isinstance(tab, DashboardTab)  # noqa: S101  for the type checker
        return tab

    # --- keys: what the list shows -------------------------------------------------------

    def action_pause(self) -> None:
        if self.view.paused:
            self.view.resume()
        else:
            self.view.pause()
        self._redraw()

    def action_follow(self) -> None:
        was_paused = self.view.paused
        self.view.resume()
        lists = (self._dashboard.live, self._requests.list)
        following = was_paused or not all(shown.following for shown in lists)
        for shown in lists:
            if following:
                shown.follow()
            else:
                shown.cursor_moved()
                shown.following = False
        self._redraw()

    def action_errors_only(self) -> None:
        self.view.set_errors_only(not self.view.errors_only)
        self._redraw()

    def action_filter(self) -> None:
        if self.tab is self._tabs["backends"]:
            self.action_tab("requests")
        if self._requests.mover is self._requests.detail:
            self._requests.close()
        self._entry.value = self.view.filter.text
        self._entry.display = True
        self._entry.focus()

    def _close_entry(self) -> None:
        self._entry.display = False
        self.screen.set_focus(None)

    @on(Input.Changed, "#filter")
    def _filter_typed(self, event: Input.Changed) -> None:
        if not self._entry.display:
            return
        self.view.set_filter(event.value)
        self._paint(LIST)

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self._close_entry()
        self._redraw()

    # --- keys: backends ------------------------------------------------------------------

    def action_toggle_backend(self) -> None:
        tab = self.tab
        if not isinstance(tab, BackendsTab):
            return
        backend = tab.table.selected
        if backend is None:
            self.notice("this backend can't be used; its note says why")
            return
        self.view.pending[backend.name] = not backend.enabled
        self._command(SwitchBackend(backend=backend.name, enabled=not backend.enabled))
        self._redraw()

    def action_probe(self) -> None:
        tab = self.tab
        if isinstance(tab, BackendsTab) and tab.table.selected is not None:
            self._command(ProbeBackend(backend=tab.table.selected.name))

    def _command(self, command: Command) -> None:
        self.run_worker(self._carry_out(command), name="command")

    async def _carry_out(self, command: Command) -> None:
        """Say what became of it; what it changed is drawn from the events that follow."""
        try:
            outcome = await self._source.command(command)
        except NexusError as error:
            if isinstance(command, SwitchBackend):
                self.view.pending.pop(command.backend, None)
            self.notice(visible(error.message))
        else:
            self.notice(visible(outcome.message))
        self._collect()
        self._redraw()

    # --- keys: the app -------------------------------------------------------------------

    def action_help(self) -> None:
        self.push_screen(HelpScreen(), self._redraw)

    def action_repaint(self) -> None:
        self.refresh()

    def action_interrupt(self) -> None:
        now = time.monotonic()
        if now - self._interrupted_at < _INTERRUPT_SECONDS:
            self.exit()
            return
        self._interrupted_at = now
        self.notice("ctrl+c again quits; so does q")

    async def action_quit(self) -> None:
        self.exit()
