"""App actions: tabs, help, palette, theme, reload, quit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from nexus_core.control.commands import ClearCooldown, ReloadConfig
from nexus_core.errors import ConfigError, InvalidRequestError
from nexus_tui.actions.clip import ClipActions
from nexus_tui.actions.context import AppContext, Handlers, Tabs
from nexus_tui.actions.found import add_found
from nexus_tui.keymap.keys import Keymap
from nexus_tui.screens.dialog import Choose, Option, confirm, notice
from nexus_tui.screens.help import HelpScreen
from nexus_tui.text.escape import escaped
from nexus_tui.widgets.chrome import TABS

_REJECTED = "Config file rejected; nothing changed"

# What becomes of the server: it serves on, stops once its requests have finished, or ends them.
How: TypeAlias = Literal["leave", "quit", "cut"]


class Server(Protocol):
    """The server of this process, as far as actions control it."""

    @property
    def problem(self) -> str | None: ...  # what it died of; None while it runs

    def restart(self) -> None:
        """Serve again, on the same address."""
        ...

    def leave(self) -> None:
        """Serve on once the screen is closed."""
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
        self._is_asking = False  # how to quit

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
        tab = self._context.tab
        kind = tab.filtered.kind if tab.filtered is not None else None
        await self._context.ask(HelpScreen(self._keymap, tab.places, kind))

    # --- configuration -------------------------------------------------------------------

    async def _reload(self) -> None:
        """Show the file's changes and apply them after a confirmation; faults change nothing."""
        context = self._context
        if not context.may_command:
            return
        try:
            plan = await context.source.command(ReloadConfig(only_plan=True))
        except ConfigError as error:
            await context.ask(notice(_REJECTED, error.lines))
            return
        except InvalidRequestError as error:
            lines = error.message.split("\n")
            if len(lines) == 1 and context.source.config.path is None:
                context.notice(escaped(error.message))  # there is no file
            else:
                await context.ask(notice(_REJECTED, lines))
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
            with context.giving_way():
                await discovery.search()
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
        """Close the screen; asks first what becomes of this process's server while it serves."""
        server = self._server
        if server is None or server.problem is not None:
            self._quit_app()
            return
        source = self._context.source
        how = source.config.tui.quit
        if how != "ask":
            chosen: How | None = how
        elif source.is_demo:  # it serves nobody
            chosen = "quit"
        else:
            chosen = await self._ask_how(source.stats.in_flight)
        if chosen == "leave":
            server.leave()
        elif chosen == "cut":
            server.end_running()
        if chosen is not None:
            self._quit_app()

    async def _ask_how(self, running: int) -> How | None:
        if self._is_asking:
            return None  # ctrl+c over the question itself
        self._is_asking = True
        try:
            return await self._context.ask(_how_to_quit(self._context.source.address, running))
        finally:
            self._is_asking = False


def _how_to_quit(address: str, running: int) -> Choose[How | None]:
    """The question of `q`; the default keeps serving."""
    requests = "1 request" if running == 1 else f"{running:,} requests"
    under_way = f", {requests} under way" if running else ""
    text = [f"Nexus serves at {address}{under_way}.", "New requests will be refused after a stop."]
    leave: Option[How | None] = Option("leave", "Leave the screen and serve on", "enter")
    stop: Option[How | None] = Option("quit", "Stop serving and quit", "d")
    stay: Option[How | None] = Option(None, "Stay", "esc")
    if not running:
        return Choose("Quit?", text, [leave, stop, stay])
    drain: Option[How | None] = Option(
        "quit", f"Stop; {requests} may finish", "d", "ctrl+c ends them"
    )
    cut: Option[How | None] = Option("cut", f"Stop and end {requests} now", "x")
    return Choose("Quit?", text, [leave, drain, cut, stay])
