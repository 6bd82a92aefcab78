"""Zone actions: cut a zone at once; reopen it after a question."""

from __future__ import annotations

from nexus_core.control.commands import SwitchZone
from nexus_core.routing.switch_impact import lost
from nexus_core.types import PrivacyZone
from nexus_tui.actions.context import AppContext, Handlers
from nexus_tui.screens.dialog import Choose, confirm
from nexus_tui.screens.fleet.reach import ReachDialog
from nexus_tui.screens.zones import ZonesTab


class ZoneActions:
    """The panic switch, and the switches of the zones' tab."""

    def __init__(self, context: AppContext, tab: ZonesTab) -> None:
        self._context = context
        self._tab = tab
        self._is_watching = False  # how a cut reaches the replicas
        self._is_asking = False  # whether a zone is to be opened again

    def handlers(self) -> Handlers:
        return {"panic": self._panic}

    async def _panic(self) -> None:
        """Panic switch: cut the open zone, or ask whether to open it again."""
        await self.switch(PrivacyZone.OPEN)

    async def toggle(self) -> None:
        """Switch the zone under the cursor."""
        await self.switch(self._tab.board.selected)

    async def switch(self, zone: PrivacyZone) -> None:
        """Switch a zone; cutting the open zone is safe and needs no confirmation."""
        context = self._context
        if not context.may_command:
            return
        if not context.source.is_zone_enabled(zone):
            await self._open_again(zone)
            return
        is_safe = zone is PrivacyZone.OPEN
        if not is_safe and not await context.ask(self._close_question(zone)):
            return
        ends = is_safe and context.source.config.tui.panic == "cut"
        outcome = await context.command(SwitchZone(zone=zone, enabled=False, end_running=ends))
        if is_safe and outcome is not None:
            await self._watch_it_reach()

    async def _watch_it_reach(self) -> None:
        """In a fleet show which replica has cut the open zone, and who may send without it."""
        source = self._context.source
        if source.fleet is None or self._is_watching:
            return
        self._is_watching = True
        leave = source.watch()
        try:
            await self._context.ask(ReachDialog(lambda: source.fleet, self._ended, source.now))
        finally:
            leave()
            self._is_watching = False

    def _ended(self) -> int:
        """How many running requests were ended with the cut, as every replica tells."""
        cut = self._context.view.zones.cuts.get(PrivacyZone.OPEN)
        return 0 if cut is None else cut.ended

    async def _open_again(self, zone: PrivacyZone) -> None:
        if self._is_asking:
            return  # `!` works over this question, too
        self._is_asking = True
        try:
            is_wanted = await self._context.ask(_reopen(zone))
        finally:
            self._is_asking = False
        if is_wanted:
            await self._context.command(SwitchZone(zone=zone, enabled=True))

    def _close_question(self, zone: PrivacyZone) -> Choose[bool]:
        frame = self._context.frames.renew()
        names = [one.snapshot.name for one in frame.of_zone(zone)]
        models = lost(names, frame.usable, frame.config.routing)
        text = [f"Requests will no longer go to {', '.join(names) or 'any backend'}."]
        if models:
            text.append(
                f"No other backend serves {', '.join(models)}: requests for these get a 503."
            )
        return confirm(f"Switch the {zone.value} zone off?", text, "Switch it off")


def _reopen(zone: PrivacyZone) -> Choose[bool]:
    text = ["Requests, prompts included, may go to its backends again at once."]
    return confirm(f"Open the {zone.value} zone again?", text, "Open it")
