"""What this process shares with the others of its fleet, wired together; made with [fleet] only."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from nexus_core import __version__
from nexus_core.config.schema import Config
from nexus_core.config.sections.fleet import host_name
from nexus_core.control.actions import is_echo
from nexus_core.control.commands import (
    ClearCooldown,
    Command,
    Outcome,
    ProbeBackend,
    ReloadConfig,
    SaveConfig,
    SwitchBackend,
    SwitchZone,
)
from nexus_core.control.live_config import LiveConfig
from nexus_core.control.shared.leasing import Leasing
from nexus_core.control.shared.switching import (
    actor_of,
    command_of,
    commands_of,
    switch_of,
)
from nexus_core.errors import (
    InvalidRequestError,
    NexusError,
    ReplicaNotFoundError,
    SharedLimitsError,
)
from nexus_core.keys.live import LiveKeys
from nexus_core.money.accounting import CostTracker
from nexus_core.proxy.forward import Forwarder
from nexus_core.proxy.queue import WaitingRoom
from nexus_core.proxy.wordless import Wordless
from nexus_core.state.base import Member, StoreUnavailableError
from nexus_core.state.leases.lease import table
from nexus_core.state.valkey.hints import Hints, Place
from nexus_core.state.valkey.link import ValkeyLink
from nexus_core.state.valkey.members import Myself, config_hash, process_id
from nexus_core.state.valkey.open_zone import OpenZone
from nexus_core.state.valkey.rests import Rests
from nexus_core.state.valkey.switches import Switch, Switches
from nexus_core.types import Actor, PrivacyZone
from nexus_core.worker import WorkerPlace

if TYPE_CHECKING:
    from nexus_core.control.execute import Operator

log = logging.getLogger(__name__)

_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound
_TELL_SECONDS = 0.25  # that an operator waits for the store
_FIRST_WORD_SECONDS = 0.25  # that the first requests after the start wait for it


class Shared:
    """This process as one of a fleet."""

    def __init__(
        self,
        live: LiveConfig,
        forwarder: Forwarder,
        operator: Callable[[], Operator],
        confirm: Callable[[str], None],
        stop_unsent: Callable[[], None],
        worker: int | None = None,
    ) -> None:
        """
        Args:
            operator: who carries out what was switched elsewhere; asked when something was.
            confirm: has a backend asked that another replica can't reach.
            stop_unsent: ends requests that may not be sent any more, where they have not left.
            worker: the number of this process among those of its replica.
        """
        fleet = live.config.fleet
        assert fleet is not None  # noqa: S101 - else it is not made, for the type checker
        registry = live.registry
        self.config = fleet
        self.replica = fleet.replica_name
        self.worker = worker
        self.address = fleet.advertise  # http://HOST:PORT; else set once it listens
        self._live = live
        self._forwarder = forwarder
        self.leasing: Leasing | None = None  # None: limits are this process' own
        self._operator = operator
        self._confirm, self._stop_unsent = confirm, stop_unsent
        self._hashed: tuple[Config, str] | None = None
        self._of_file = live.config  # as the file was when it was read or written last
        self._me = Myself(
            process=process_id(self.replica, worker),
            replica=self.replica,
            address=self.address,
            pid=os.getpid(),
            worker=worker,
            version=__version__,
            config_hash=self.config_hash,
            started=live.now(),
        )
        self.link = ValkeyLink(fleet, self._myself, live.now)
        self.switches = Switches(self.link, self._follow)
        self.rests = Rests(self.link, self._rest, registry.clock)
        self.open_zone: OpenZone | None = None  # None: it stays in use without word from the store
        self.link.confirmed = lambda: self.switches.version
        self.link.add(self.switches)
        self.link.add(self.rests)
        self.link.add(Hints(registry.cooldowns.open_circuits, self._heed))
        registry.cooldowns.on_rest = self.rests.asked
        if fleet.when_alone == "cut":
            self.open_zone = OpenZone(
                self.link, fleet.open_zone_lease_seconds, self._close_open_zone
            )
            registry.zones.permission = self.open_zone.permits
            self.link.add(self.open_zone)  # after the switches: what was cut is cut before it opens
        forwarder.wordless = Wordless(registry, fleet.dead_after_seconds)
        forwarder.first_word = lambda: self.link.first_beat(_FIRST_WORD_SECONDS)

    def lease(
        self,
        cost_tracker: CostTracker,
        queue: WaitingRoom | None,
        keys: LiveKeys,
        place: WorkerPlace | None,
    ) -> None:
        """Share the limits on money, slots and keys."""
        self.leasing = Leasing(self.link, self.config, cost_tracker, place)
        self.leasing.serve(self._forwarder, queue, keys)

    async def run(self) -> None:
        """Keep the link until cancelled; then leave the fleet."""
        async with asyncio.TaskGroup() as tasks:
            if self.leasing is not None:
                tasks.create_task(self.leasing.run(), name="fleet-leases")
            await self.link.run()

    def listens_at(self, host: str, port: int) -> None:
        """Where this process listens; others are told it where [fleet] names no address.

        At every address of the machine they find it by its name: 0.0.0.0 would be their own.
        """
        if self.config.advertise is None:
            host = host_name() if host in _EVERYWHERE else host
            name = f"[{host}]" if ":" in host else host
            self.address = f"http://{name}:{port}"

    async def forget(self, name: str) -> int:
        """A dead replica never returns: what it held of budgets counts as spent.

        Gives that of the whole fleet's budget, in nano-dollars.

        Raises:
            NexusError: there is none of this name, it lives, or the store can't be asked.
        """
        own = [one for one in self.link.members if one.replica == name]
        if not all(one.is_dead for one in own):
            raise InvalidRequestError(
                f"replica {name!r} lives; stop it, and it gives back what it holds", param="name"
            )
        try:
            forgotten = await self.link.forget(name)
        except (StoreUnavailableError, TimeoutError) as error:
            raise SharedLimitsError(
                f"{self.config.store_name} can't be reached; try again"
            ) from error
        told = table(forgotten.get("money"))
        if not (own or told.get("owners")):
            raise ReplicaNotFoundError(f"no replica {name!r} is known in this fleet", param="name")
        self.link.hurry()
        return int(told.get("presumed", "0"))

    # --- switches ------------------------------------------------------------------------

    async def spread(self, command: Command, by: Actor, outcome: Outcome) -> Outcome:
        """Tell the other replicas of a command that was carried out here; gives what came of it."""
        if isinstance(command, ProbeBackend) and outcome.effect is not None:
            command = ClearCooldown(backend=command.backend)  # that is what it did
        others = self._other_replicas()
        if isinstance(command, ReloadConfig | SaveConfig) and not command.only_plan:
            before, self._of_file = self._of_file, self._live.config
            if isinstance(command, ReloadConfig):
                return self._lift(before, by, outcome)
        if isinstance(command, SaveConfig) and others:
            whose = f"this is the file of {self.replica}; others have their own: {_named(others)}"
            return replace(outcome, message=f"{outcome.message}; {whose}")
        switch = switch_of(command, by, self._live.now())
        if switch is None or is_echo.get():
            return outcome
        self._forget_rests(command)
        number = self.switches.tell(replace(switch, replica=self.replica))
        if await self.switches.told(number, _TELL_SECONDS):
            effect = f"told to {_named(others)}" if others else None
        else:
            effect = self._untold(command)
        told = [one for one in (outcome.effect, effect) if one]
        message, data = outcome.message, {**outcome.data, "replicas": 1 + len(others)}
        if not self.config.is_private:
            message = message.replace(" until restart", " on every replica")
        if others and isinstance(command, SwitchZone | SwitchBackend) and command.ends:
            counted = message if outcome.data["ended"] else f"{message}; 0 running requests ended"
            message = f"{counted} on {self.replica}; other replicas end theirs"
        return replace(outcome, message=message, data=data, effect="; ".join(told) or None)

    def _untold(self, command: Command) -> str:
        """What follows from a switch of which the store could not be told."""
        others = "other workers" if self.config.is_private else "other replicas"
        told = f"{self.config.store_name} can't be reached: {others} are told when it can"
        match command:
            case SwitchZone(zone=PrivacyZone.OPEN, enabled=False):
                alone = (
                    "keep the open zone in use"
                    if self.open_zone is None
                    else "have closed the open zone themselves"
                )
                return f"{told}; without it they {alone}"
            case _:
                return told

    def _lift(self, before: Config, by: Actor, outcome: Outcome) -> Outcome:
        """What a file says anew counts more than a switch of before, as in a single process.

        Without this, the switch would be in force again after a restart.
        """
        if is_echo.get():
            return outcome
        in_force = {one.key: one.value for one in self.switches.in_force}
        lifted: list[str] = []
        for command in commands_of(before, self._live.config):
            switch = switch_of(command, by, self._live.now())
            if switch is None or in_force.get(switch.key, switch.value) == switch.value:
                continue
            self.switches.tell(replace(switch, replica=self.replica))
            lifted.append(switch.key.replace(":", " ", 1))
        if not lifted:
            return outcome
        told = f"switched on every replica, as the file says now: {', '.join(lifted)}"
        return replace(outcome, lines=(*outcome.lines, told))

    def _follow(self, switch: Switch, is_news: bool) -> None:
        """Carry out what an operator switched elsewhere."""
        command = command_of(switch)
        if command is None:
            return
        self._forget_rests(command)
        # One process of a replica keeps it on record, and none that which it did itself.
        is_kept = switch.replica != self.replica and self.worker in (None, 1)
        # What another worker of the same port did, that one has told all screens of.
        told = is_echo.set(self.worker is not None and switch.replica == self.replica)
        try:
            where = switch.replica if is_news else None
            self._operator().follow(command, actor_of(switch.by), where, is_kept=is_kept)
        except NexusError as error:
            log.warning("not switched as on %s: %s", switch.replica, error.message)
        finally:
            is_echo.reset(told)

    def _forget_rests(self, command: Command) -> None:
        if isinstance(command, ClearCooldown | SwitchBackend):
            self.rests.forget(command.backend)

    def _rest(self, name: str, model: str | None, seconds: float, why: str) -> None:
        self._live.registry.cooldowns.rest(name, model, seconds, why, is_asked_here=False)

    def _close_open_zone(self, is_closed: bool) -> None:
        """What is under way goes on, but for what has not left yet."""
        self._live.registry.set_cut_off(self.config.store_name if is_closed else None)
        if is_closed:
            self._stop_unsent()

    def _heed(self, hints: Mapping[Place, str]) -> None:
        """See for ourselves what others find failing; it may be their own network."""
        cooldowns = self._live.registry.cooldowns
        news = [place for place in hints if place not in cooldowns.hinted]
        cooldowns.hinted = hints
        for name, model in news:
            if model is None:
                self._confirm(name)
            told = (name, model or "-", hints[name, model])
            log.info("failing elsewhere backend=%s model=%s replica=%s", *told)

    # --- what others are told ------------------------------------------------------------

    def _myself(self) -> Myself:
        me, told = self._me, (self.address, self.config_hash)
        if (me.address, me.config_hash) != told:
            self._me = replace(me, address=told[0], config_hash=told[1])
        return self._me

    @property
    def config_hash(self) -> str:
        """The configuration in force, as replicas compare it."""
        config = self._live.config
        if self._hashed is None or self._hashed[0] is not config:
            self._hashed = (config, config_hash(config))
        return self._hashed[1]

    @property
    def members(self) -> tuple[Member, ...]:
        """The processes of the fleet, as of the last beat; before the first one this process."""
        return self.link.members or (self._only_myself(),)

    def _only_myself(self) -> Member:
        me = self._myself()
        return me.as_member(beat_seconds_ago=self._live.now() - me.started)

    @property
    def closed(self) -> tuple[str, ...]:
        """What is closed now for want of word from the store, for people."""
        is_open = self.open_zone is None or not self._live.registry.zones.is_cut_off
        return () if is_open else ("the open zone",)

    def _other_replicas(self) -> list[str]:
        live = {member.replica for member in self.members if not member.is_dead}
        return sorted(live - {self.replica})


def _named(replicas: list[str]) -> str:
    return ", ".join(replicas) if len(replicas) < 4 else f"{len(replicas)} other replicas"
