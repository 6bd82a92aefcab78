"""Switches of operators over all processes: carried out here first, then told to the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec

from nexus_core.state.base import Link
from nexus_core.types import JsonObject, is_list

log = logging.getLogger(__name__)


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator changed for the whole fleet."""

    key: str  # zone:open, backend:NAME, tier:NAME, priority:NAME, cooldowns:NAME
    value: bool | int | None
    version: int = 0  # 0 until the store numbered it
    closes: bool = False  # takes something out of use: it beats what opens
    opens: bool = False
    ends: bool = msgspec.field(default=False, name="end")  # running requests end, too
    by: JsonObject = msgspec.field(default_factory=dict[str, object])  # who, as an actor's fields
    replica: str = ""
    process: str = ""
    others: int = 0  # the newest version of this key that another process gave it
    at: float = 0.0  # seconds since the epoch, by the clock of that replica


class _Told(msgspec.Struct, frozen=True):
    number: int
    seen: int  # version of this key's switch that the operator saw
    switch: Switch


class Switches:
    """The switches in force, as known here; a part of every beat."""

    name = "switches"

    def __init__(self, link: Link, follow: Callable[[Switch, bool], None]) -> None:
        """
        Args:
            follow: carries out what was switched elsewhere; the second argument says whether it
                is news, and not what was in force when this process began.
        """
        self.version = 0  # of the newest that was carried out
        self._link = link
        self._follow = follow
        self._known: dict[str, Switch] = {}
        self._carried_out: dict[str, int] = {}  # versions
        self._here: dict[str, bool | int | None] = {}  # as it is in this process
        self._pending: list[_Told] = []
        self._number = 0
        self._has_begun = False
        self._heard = asyncio.Event()  # set anew at each answer

    @property
    def in_force(self) -> tuple[Switch, ...]:
        """Every switch of the fleet, oldest first."""
        return tuple(sorted(self._known.values(), key=lambda one: one.version))

    def tell(self, switch: Switch) -> int:
        """Tell the others of what was just switched here; gives its number, for `told`."""
        self._number += 1
        known = self._known.get(switch.key)
        seen = 0 if known is None else known.version
        self._here[switch.key] = switch.value
        self._pending.append(_Told(self._number, seen, switch))
        self._link.hurry()
        return self._number

    async def told(self, number: int, seconds: float) -> bool:
        """Wait until the store has this one; False where it has not in time."""
        try:
            async with asyncio.timeout(seconds):
                while any(one.number <= number for one in self._pending):
                    self._heard.clear()
                    await self._heard.wait()
        except TimeoutError:
            return False
        return True

    # --- the part of a beat --------------------------------------------------------------

    def report(self) -> JsonObject:
        said: JsonObject = {
            "version": self.version,
            "told": [
                {
                    "n": one.number,
                    "seen": one.seen,
                    **msgspec.to_builtins(one.switch),
                }
                for one in self._pending
            ],
        }
        if self._link.restores:
            said["version"] = 0
            said["known"] = [msgspec.json.encode(one).decode() for one in self._known.values()]
        return said

    def accept(self, answer: JsonObject, sent: float) -> None:
        done = int(answer.get("done") or 0)
        self._pending = [one for one in self._pending if one.number > done]
        entries = answer.get("entries")
        failures: list[Exception] = []
        for text in entries if is_list(entries) else ():
            try:
                switch = msgspec.json.decode(text, type=Switch)
            except msgspec.DecodeError as error:
                failures.append(error)
                continue
            known = self._known.get(switch.key)
            if known is None or switch.version > known.version:
                self._known[switch.key] = switch
        waiting = {one.switch.key for one in self._pending}
        for switch in self.in_force:
            if switch.key not in waiting:
                try:
                    self._carry_out(switch)
                except Exception as error:  # noqa: BLE001 - raised below
                    failures.append(error)
        self._heard.set()
        if failures:  # told again with the next beat; the others were carried out
            raise failures[0]
        self.version = int(answer.get("version") or 0)
        self._has_begun = True

    def _carry_out(self, switch: Switch) -> None:
        if self._carried_out.get(switch.key, 0) >= switch.version:
            return
        # What was switched here was carried out before it was told; but an older cut of this
        # process may have been written back by others over its own opening.
        is_own = switch.process == self._link.process
        if not (is_own and self._here.get(switch.key) == switch.value):
            self._follow(switch, self._has_begun)
            self._here[switch.key] = switch.value
        self._carried_out[switch.key] = switch.version

    def cut_off(self, since: float) -> None:
        pass
