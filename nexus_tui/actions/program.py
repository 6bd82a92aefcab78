"""App actions: tabs, help, palette, theme, reload, quit."""

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
from nexus_tui.text.escape import escaped
from nexus_tui.widgets.chrome import TABS

# The places of tabs, whose actions the palette offers from everywhere.
_TAB_PLACES: tuple[Place, ...] = ("requests", "backends", "zones", "costs", "logs")


class Server(Protocol):
    """The server of this process, as far as actions control it."""

    @property
    def problem(self) -> str | None: ...  # what it died of; None while it runs

    def restart(self) -> None:
        """Serve again, on the same address."""
        ...

    def end_running(self) -> None:
        """Cancel running actions, so that quitting does not wait for them."""
        ...


class ProgramActions:
    """Actions on the app as a whole."""

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
        """Show the palette: every action, this tab's first; another tab's action opens that tab."""
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
        """Show the file's changes and apply them after a confirmation; faults change nothing."""
        context = self._context
        if not context.may_command:
            return
        try:
            plan = await context.source.command(ReloadConfig(only_plan=True))
        except ConfigError as error:
            await context.ask(notice("Config file rejected; nothing changed", error.lines))
            return
        except NexusError as error:
            lines = error.message.split("\n")
            if len(lines) == 1:
                context.notice(escaped(error.message))
            else:
                await context.ask(notice("Nothing changed", lines))
            return
        if not plan.lines:
            await self._end_cooldowns()
            context.notice(escaped(plan.message))
            return
        if await context.ask(confirm("Apply these changes?", plan.lines, "Apply them")):
            await context.command(ReloadConfig())

    async def _end_cooldowns(self) -> None:
        """End all cooldowns, as every reload does."""
        for backend in self._context.source.backends():
            if backend.cooldown is not None or backend.cooldowns:
                await self._context.command(ClearCooldown(backend=backend.name))

    # --- starting out, and starting again ------------------------------------------------

    async def _again(self) -> None:
        context = self._context
        discovery = context.source.discovery
        if self._server is not None and self._server.problem is not None:
            context.notice("restarting the server …")
            self._server.restart()
        elif discovery is not None:
            context.notice("searching for local servers …")
            await discovery.look()
            context.notice("search for local servers finished")
        else:
            why = " because a config file is in use" if context.source.config.path else ""
            context.notice(f"server is running; discovery is off{why}")

    async def _use_key(self) -> None:
        await add_found(self._context, uses_the_only_one=True)

    def _copy_example(self) -> None:
        self._clip.put("the example request", self._welcome.example)

    # --- the end -------------------------------------------------------------------------

    async def quit(self) -> None:
        """Quit; asks first whether to wait for requests in progress on this process's server."""
        running = self._context.source.stats.in_flight
        if self._server is None or not running:
            self._quit_app()
            return
        options = [
            Option("wait", "Quit after they finish", "enter", "ctrl+c then stops them"),
            Option("cut", "Quit now and stop them", "k"),
            Option("stay", "Stay", "esc"),
        ]
        text = [f"{running:,} requests are running. New requests will be refused."]
        chosen = await self._context.ask(Choose("Quit?", text, options))
        if chosen == "cut":
            self._server.end_running()
        if chosen in ("wait", "cut"):
            self._quit_app()
