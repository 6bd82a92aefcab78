"""The app itself: tabs, help, palette, theme, configuration, and the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nexus_core.control.commands import ClearCooldown, ReloadConfig
from nexus_core.errors import ConfigError, NexusError
from nexus_tui.actions.clip import ClipActions
from nexus_tui.actions.context import AppContext, Handlers, Tabs
from nexus_tui.actions.found import add_found
from nexus_tui.keymap.keys import Keymap, Place
from nexus_tui.screens.dialog import Choose, Option, confirm, notice
from nexus_tui.screens.help import HelpScreen
from nexus_tui.screens.palette import Palette
from nexus_tui.text.escape import visible
from nexus_tui.widgets.chrome import TABS

# The places of tabs, whose actions the palette offers from everywhere.
_TAB_PLACES: tuple[Place, ...] = ("requests", "backends", "zones", "costs", "logs")


class Server(Protocol):
    """The server in this process, whose life is tied to the screen's."""

    @property
    def problem(self) -> str | None: ...  # what it died of; None while it runs

    def restart(self) -> None:
        """Serve again, on the same address."""
        ...

    def end_running(self) -> None:
        """Stop what runs, so that quitting does not wait for it."""
        ...


class ProgramActions:
    """What is not about one list or backend."""

    def __init__(
        self,
        context: AppContext,
        tabs: Tabs,
        keymap: Keymap,
        clip: ClipActions,
        server: Server | None,
        quit_app: Callable[[], None],
    ) -> None:
        self._context = context
        self._welcome = tabs.dashboard.welcome
        self._keymap = keymap
        self._clip = clip
        self._server = server  # None: it goes on without this screen
        self._quit_app = quit_app

    def handlers(self) -> Handlers:
        tabs = {f"tab.{tab.id}": self._opens(tab.id) for tab in TABS}
        return {
            **tabs,
            "help": self._help,
            "reload": self._reload,
            "again": self._again,
            "use_key": self._use_key,
            "copy_example": self._copy_example,
            "quit": self.quit,
        }

    def _opens(self, name: str) -> Callable[[], None]:
        return lambda: self._context.show_tab(name)

    async def _help(self) -> None:
        await self._context.ask(HelpScreen(self._keymap))

    async def choose_action(self) -> str | None:
        """The palette: every action, this tab's first; for one of another tab that one opens."""
        here = set(self._context.tab.places)
        keys = self._keymap.active("everywhere", *here, *_TAB_PLACES)
        # How to move comes after what can be done here, and what is done elsewhere last.
        keys.sort(
            key=lambda key: (
                here.isdisjoint(key.places) and "everywhere" not in key.places,
                "lists" in key.places,
                here.isdisjoint(key.places),
            )
        )
        return await self._context.ask(Palette([key for key in keys if key.id != "interrupt"]))

    # --- configuration -------------------------------------------------------------------

    async def _reload(self) -> None:
        """Show what the file would change; a file with faults changes nothing."""
        context = self._context
        if not context.may_command:
            return
        try:
            plan = await context.source.command(ReloadConfig(only_plan=True))
        except ConfigError as error:
            await context.ask(
                notice("The file is refused; the configuration is as it was", error.lines)
            )
            return
        except NexusError as error:
            lines = error.message.split("\n")
            if len(lines) == 1:
                context.notice(visible(error.message))
            else:
                await context.ask(notice("The configuration is as it was", lines))
            return
        if not plan.lines:
            await self._end_cooldowns()
            context.notice(visible(plan.message))
            return
        if await context.ask(confirm("Put this in force?", plan.lines, "Put it in force")):
            await context.command(ReloadConfig())

    async def _end_cooldowns(self) -> None:
        """What a reload does beside putting the file in force."""
        for backend in self._context.source.backends():
            if backend.cooldown is not None or backend.cooldowns:
                await self._context.command(ClearCooldown(backend=backend.name))

    # --- starting out, and starting again ------------------------------------------------

    async def _again(self) -> None:
        context = self._context
        discovery = context.source.discovery
        if self._server is not None and self._server.problem is not None:
            context.notice("starting the server again …")
            self._server.restart()
        elif discovery is not None:
            context.notice("looking for servers …")
            await discovery.look()
            context.notice("looked for servers")
        else:
            context.notice("the server runs, and nothing is looked for")

    async def _use_key(self) -> None:
        await add_found(self._context, uses_the_only_one=True)

    def _copy_example(self) -> None:
        self._clip.put("the request to try", self._welcome.example)

    # --- the end -------------------------------------------------------------------------

    async def quit(self) -> None:
        """End the app; with requests under way, whose server ends with it, ask what of them."""
        running = self._context.source.stats.in_flight
        if self._server is None or not running:
            self._quit_app()
            return
        options = [
            Option("wait", "Quit, and let them finish", "enter", "ctrl+c stops them then"),
            Option("cut", "Quit, and stop them now", "k"),
            Option("stay", "Stay", "esc"),
        ]
        text = [f"{running:,} requests are under way. New ones are refused from now on."]
        chosen = await self._context.ask(Choose("Quit?", text, options))
        if chosen == "cut":
            self._server.end_running()
        if chosen in ("wait", "cut"):
            self._quit_app()
