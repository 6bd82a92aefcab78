"""Switch, drain, cut, probe and adjust backends; write what was switched into the file."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nexus_core.control.commands import (
    ClearCooldown,
    ProbeBackend,
    SaveConfig,
    SetPriority,
    SetTier,
    SwitchBackend,
)
from nexus_core.fleet.registry import BackendSnapshot
from nexus_tui.actions.context import AppContext, Handlers
from nexus_tui.actions.found import add_found
from nexus_tui.screens.backends import BackendsTab
from nexus_tui.screens.dialog import AskLine, Choose, Option, confirm, notice
from nexus_tui.text.escape import visible
from nexus_tui.view.switch_impact import is_last_of_zone, lost
from nexus_tui.widgets.base.lines import Line

_NO_TIER = -1  # stands for none: None means that the dialog was left


class BackendActions:
    """Every action works on the backend under the cursor."""

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

    def _selected(self) -> BackendSnapshot | None:
        """What the action is for; says so when there is nothing that it could be for."""
        if not self._context.may_command:
            return None
        shown = self._tab.table.selected
        if shown is None:
            self._context.notice("this backend can't be used; its note says why")
            return None
        # The one that is meant is the one that was drawn; what is decided goes by how it is now.
        name, backends = shown.snapshot.name, self._context.frames.renew().backends
        return next((one.snapshot for one in backends if one.snapshot.name == name), None)

    # --- on and off ----------------------------------------------------------------------

    async def toggle(self) -> None:
        """Switch on, or off after a question where that would leave somebody unserved."""
        backend = self._selected()
        if backend is None:
            return
        if backend.enabled:
            await self._switch_off(backend)
        else:
            await self._switch(backend.name, enabled=True)

    async def _drain(self) -> None:
        backend = self._selected()
        if backend is None:
            return
        if not backend.enabled:
            left = f", {backend.in_flight} left" if backend.in_flight else ""
            self._context.notice(f"{visible(backend.name)} takes no requests already{left}")
            return
        await self._switch_off(backend)

    async def _switch_off(self, backend: BackendSnapshot) -> None:
        if (text := self._loss(backend)) and not await self._context.ask(
            confirm(f"Switch {backend.name} off?", text, "Switch it off")
        ):
            return
        await self._switch(backend.name, enabled=False)

    def _loss(self, backend: BackendSnapshot) -> list[str]:
        """What nobody would do any more, in sentences; empty when others take over."""
        frame = self._context.frames.current
        text: list[str] = []
        models = lost([backend.name], frame.usable, frame.config.routing)
        if models:
            text.append(f"It is the only one that serves {', '.join(models)}.")
            text.append("Requests for these will be answered 503 while it is off.")
        if is_last_of_zone(backend.name, frame.usable, backend.zone):
            text.append(f"It is the last usable backend of the {backend.zone.value} zone.")
        return text

    async def _cut(self) -> None:
        backend = self._selected()
        if backend is None:
            return
        text = [
            f"It is switched off, and what runs there ({backend.in_flight}) is stopped: "
            "its clients get an error.",
            *self._loss(backend),
        ]
        if await self._context.ask(confirm(f"Cut {backend.name}?", text, "Cut it")):
            await self._switch(backend.name, enabled=False, end_running=True)

    async def _switch(self, name: str, *, enabled: bool, end_running: bool = False) -> None:
        """Shown as asked for until the core has said that it is so."""
        self._context.view.pending[name] = enabled
        command = SwitchBackend(backend=name, enabled=enabled, end_running=end_running)
        if await self._context.command(command) is None:
            self._context.view.pending.pop(name, None)

    # --- the rest ------------------------------------------------------------------------

    async def _probe(self) -> None:
        backend = self._selected()
        if backend is not None:
            self._context.notice(f"asking {visible(backend.name)} …")
            await self._context.command(ProbeBackend(backend=backend.name))

    async def _clear_cooldown(self) -> None:
        backend = self._selected()
        if backend is not None:
            await self._context.command(ClearCooldown(backend=backend.name))

    async def _set_tier(self) -> None:
        backend = self._selected()
        if backend is None:
            return
        options = [Option(tier, f"tier {tier}", str(tier)) for tier in range(5)]
        options.append(Option(_NO_TIER, "no tier: fits no demanded one", "n"))
        cursor = len(options) - 1 if backend.tier is None else backend.tier
        text = ["How capable it is. Holds until restart; S writes it into the configuration."]
        tier = await self._context.ask(
            Choose(f"Tier of {backend.name}", text, options, cursor=cursor)
        )
        if tier is not None:
            chosen = None if tier == _NO_TIER else tier
            await self._context.command(SetTier(backend=backend.name, tier=chosen))

    async def _set_priority(self) -> None:
        backend = self._selected()
        if backend is None:
            return
        dialog = AskLine(
            f"Priority of {backend.name}",
            ["The higher one is asked first. Holds until restart; S writes it."],
            value=str(backend.priority),
            check=_wrong_number,
        )
        value = await self._context.ask(dialog)
        if value is not None:
            await self._context.command(SetPriority(backend=backend.name, priority=int(value)))

    async def save(self) -> None:
        """Show the difference to the file, and write it if that is wanted."""
        context = self._context
        if not context.may_command:
            return
        plan = await context.command(SaveConfig(only_plan=True))
        if plan is None:
            return
        if not plan.lines:
            context.notice(visible(plan.message))
            return
        question = confirm("Write this into the configuration?", difference(plan.lines), "Write it")
        if await context.ask(question):
            await context.command(SaveConfig())

    async def _add_found(self) -> None:
        """Offer what was found and is not used: cloud keys, which are never used unasked."""
        await add_found(self._context, uses_the_only_one=False)

    async def open(self) -> None:
        """Show the backend under the cursor in full; of one that can't be used, why."""
        table, config = self._tab.table, self._context.source.config
        if table.selected is not None:
            self._tab.open()
            return
        at = table.cursor - len(self._context.source.backends())
        if 0 <= at < len(config.unusable):
            backend = config.unusable[at]
            await self._context.ask(notice(backend.name, [backend.why]))


def difference(lines: Sequence[str]) -> list[Line]:
    """The lines of a unified diff in their colours, safe to draw; they wrap beside their sign."""
    styles = {"+": "good", "-": "bad", "@": "dim"}
    named = [(line, styles.get(line[:1], "text")) for line in lines]
    return [((visible(line[:1]), name), (visible(line[1:]), name)) for line, name in named]


def _wrong_number(text: str) -> str | None:
    return None if re.fullmatch(r"-?[0-9]{1,6}", text) else "a whole number, such as 50"
