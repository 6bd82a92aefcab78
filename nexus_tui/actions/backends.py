"""Backend actions: switch, drain, cut, probe, set tier and priority, save."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nexus_core.control.commands import (
    ClearCooldown,
    Outcome,
    ProbeBackend,
    SaveConfig,
    SetPriority,
    SetTier,
    SwitchBackend,
)
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.switch_impact import is_last_of_zone, lost
from nexus_core.types import is_list, is_object
from nexus_tui.actions.context import AppContext, Handlers
from nexus_tui.actions.found import add_found
from nexus_tui.screens.backends import BackendsTab
from nexus_tui.screens.dialog import AskLine, Choose, Option, confirm, notice
from nexus_tui.screens.save import SaveScreen
from nexus_tui.text.escape import escaped
from nexus_tui.widgets.base.lines import Line

_NO_TIER = -1  # stands for none: None means that the dialog was left


class BackendActions:
    """Actions on the selected backend."""

    def __init__(self, context: AppContext, tab: BackendsTab) -> None:
        self._context = context
        self._tab = tab

    def handlers(self) -> Handlers:
        return {
            "drain": self._drain,
            "cut": self._cut,
            "probe": self._probe,
            "cooldown": self._clear_cooldown,
            "tier": self._set_tier,
            "priority": self._set_priority,
            "add": self._add_found,
            "save": self.save,
        }

    def _selected(self, name: str | None = None) -> BackendSnapshot | None:
        """The backend of that name, else the selected one; without one a notice says so."""
        if not self._context.may_command:
            return None
        if name is None:
            shown = self._tab.table.selected
            if shown is None:
                self._context.notice("this backend is unusable; see its note for the reason")
                return None
            name = shown.snapshot.name
        # The one that is meant is the one that was drawn; what is decided goes by how it is now.
        backends = self._context.frames.renew().backends
        return next((one.snapshot for one in backends if one.snapshot.name == name), None)

    async def act(self, name: str, verb: str, value: str = "") -> None:
        """Do with a backend what a key would, and ask where that would."""
        match verb:
            case "on":
                await self._switch_on(name)
            case "off" | "drain":
                await self._drain(name)
            case "cut":
                await self._cut(name)
            case "probe":
                await self._probe(name)
            case "cooldown":
                await self._clear_cooldown(name)
            case "tier":
                await self._set_tier(name, value)
            case "priority":
                await self._set_priority(name, value)
            case _:
                raise AssertionError(verb)

    # --- on and off ----------------------------------------------------------------------

    async def toggle(self) -> None:
        """Switch on or off; asks first if models or a zone would lose their last backend."""
        backend = self._selected()
        if backend is None:
            return
        if backend.enabled:
            await self._switch_off(backend)
        else:
            await self._switch(backend.name, enabled=True)

    async def _switch_on(self, name: str) -> None:
        backend = self._selected(name)
        if backend is None:
            return
        if backend.enabled:
            self._context.notice(f"{escaped(name)} is on already")
        else:
            await self._switch(name, enabled=True)

    async def _drain(self, name: str | None = None) -> None:
        backend = self._selected(name)
        if backend is None:
            return
        if not backend.enabled:
            left = f", {backend.in_flight} left" if backend.in_flight else ""
            self._context.notice(f"{escaped(backend.name)} is already switched off{left}")
            return
        await self._switch_off(backend)

    async def _switch_off(self, backend: BackendSnapshot) -> None:
        if (text := self._loss(backend)) and not await self._context.ask(
            confirm(f"Switch {backend.name} off?", text, "Switch it off")
        ):
            return
        await self._switch(backend.name, enabled=False)

    def _loss(self, backend: BackendSnapshot) -> list[str]:
        """Losses if the backend is switched off, in sentences; empty if others take over."""
        frame = self._context.frames.current
        text: list[str] = []
        models = lost([backend.name], frame.usable, frame.config.routing)
        if models:
            text.append(f"No other backend serves {', '.join(models)}.")
            text.append("Requests for these models get a 503 while it is off.")
        if is_last_of_zone(backend.name, frame.usable, backend.zone):
            text.append(f"It is the last usable backend of the {backend.zone.value} zone.")
        return text

    async def _cut(self, name: str | None = None) -> None:
        backend = self._selected(name)
        if backend is None:
            return
        text = [
            f"The backend is switched off and its running requests ({backend.in_flight}) are "
            "ended: their clients get an error.",
            *self._loss(backend),
        ]
        if await self._context.ask(confirm(f"Cut {backend.name}?", text, "Cut it")):
            await self._switch(backend.name, enabled=False, end_running=True)

    async def _switch(self, name: str, *, enabled: bool, end_running: bool = False) -> None:
        """Switch, showing the requested state until the core has confirmed it."""
        self._context.view.pending[name] = enabled
        command = SwitchBackend(backend=name, enabled=enabled, end_running=end_running)
        if await self._context.command(command) is None:
            self._context.view.pending.pop(name, None)

    # --- the rest ------------------------------------------------------------------------

    async def _probe(self, name: str | None = None) -> None:
        backend = self._selected(name)
        if backend is not None:
            self._context.notice(f"probing {escaped(backend.name)} …")
            await self._context.command(ProbeBackend(backend=backend.name))

    async def _clear_cooldown(self, name: str | None = None) -> None:
        backend = self._selected(name)
        if backend is not None:
            await self._context.command(ClearCooldown(backend=backend.name))

    async def _set_tier(self, name: str | None = None, value: str = "") -> None:
        backend = self._selected(name)
        if backend is None:
            return
        if value:
            wanted = None if value == "none" else int(value)
            await self._context.command(SetTier(backend=backend.name, tier=wanted))
            return
        options = [Option(tier, f"tier {tier}", str(tier)) for tier in range(5)]
        options.append(Option(_NO_TIER, "no tier: never matches X-Nexus-Min-Tier", "n"))
        cursor = len(options) - 1 if backend.tier is None else backend.tier
        text = ["Capability tier. Lasts until restart; S saves it to the config file."]
        tier = await self._context.ask(
            Choose(f"Tier of {backend.name}", text, options, cursor=cursor)
        )
        if tier is not None:
            chosen = None if tier == _NO_TIER else tier
            await self._context.command(SetTier(backend=backend.name, tier=chosen))

    async def _set_priority(self, name: str | None = None, value: str = "") -> None:
        backend = self._selected(name)
        if backend is None:
            return
        if value:
            await self._context.command(SetPriority(backend=backend.name, priority=int(value)))
            return
        dialog = AskLine(
            f"Priority of {backend.name}",
            ["Higher is preferred. Lasts until restart; S saves it to the config file."],
            value=str(backend.priority),
            check=wrong_priority,
        )
        asked = await self._context.ask(dialog)
        if asked is not None:
            await self._context.command(SetPriority(backend=backend.name, priority=int(asked)))

    async def save(self) -> None:
        """Show the differences to the config file; write it after a confirmation."""
        context = self._context
        if not context.may_command:
            return
        plan = await context.command(SaveConfig(only_plan=True))
        if plan is None:
            return
        if not plan.lines:
            context.notice(escaped(plan.message))
            return
        changes = _changes(plan)
        if len(changes) < 2:
            question = confirm("Save this to the config file?", difference(plan.lines), "Save it")
            if await context.ask(question):
                await context.command(SaveConfig())
            return
        chosen = await context.ask(SaveScreen(changes, difference(plan.lines), self._planned))
        if chosen is not None:
            only = None if len(chosen) == len(changes) else chosen
            await context.command(SaveConfig(only=only))

    async def _planned(self, only: tuple[str, ...]) -> Sequence[Line]:
        """What the file would become, had it these changes alone.

        Raises:
            NexusError: nobody can say.
        """
        plan = await self._context.source.command(SaveConfig(only_plan=True, only=only))
        return difference(plan.lines) or [(("nothing is written", "dim"),)]

    async def _add_found(self) -> None:
        """Offer unused cloud keys found in the environment."""
        await add_found(self._context, uses_the_only_one=False)

    def open_from(self, name: str, origin: str) -> None:
        """Show a backend in full; leaving it leads back to the tab that it was opened from."""
        self._tab.table.select(name)
        if self._tab.table.selected_name == name:  # no filter hides it
            self._tab.open(origin)
        self._context.show_tab("backends")

    async def open(self) -> None:
        """Show the backend under the cursor in full; for an unusable one the reason."""
        table, config = self._tab.table, self._context.source.config
        if table.selected is not None:
            self._tab.open()
            return
        at = table.cursor - len(self._context.source.backends())
        if 0 <= at < len(config.unusable):
            backend = config.unusable[at]
            await self._context.ask(notice(backend.name, [backend.why]))


def _changes(plan: Outcome) -> tuple[tuple[str, str], ...]:
    """Id and text of each change that is planned; an older Nexus does not tell them."""
    told = plan.data.get("changes")
    found = [one for one in told if is_object(one)] if is_list(told) else []
    return tuple((str(one.get("id")), str(one.get("text"))) for one in found)


def difference(lines: Sequence[str]) -> list[Line]:
    """Lines of a unified diff, coloured and safe to draw; wrapped beside their sign."""
    styles = {"+": "good", "-": "bad", "@": "dim"}
    named = [(line, styles.get(line[:1], "text")) for line in lines]
    return [((escaped(line[:1]), name), (escaped(line[1:]), name)) for line, name in named]


def wrong_priority(text: str) -> str | None:
    """What is wrong with a priority as it is typed."""
    return None if re.fullmatch(r"-?[0-9]{1,6}", text) else "a whole number, such as 50"
