"""Execute operator commands: switches, tiers, priorities, probes, replays, config files."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from secrets import token_hex
from typing import assert_never

from msgspec.structs import replace

from nexus_core.control.actions import Actions, deed_of
from nexus_core.control.commands import (
    CaptureBodies,
    ClearCooldown,
    Command,
    Outcome,
    ProbeBackend,
    ReloadConfig,
    ReplayRequest,
    SaveConfig,
    SendRequest,
    SetPriority,
    SetTier,
    SwitchBackend,
    SwitchZone,
)
from nexus_core.control.config_file import ConfigControl
from nexus_core.control.cuts import Cuts
from nexus_core.control.live_config import LiveConfig
from nexus_core.control.own_requests import OWN, OwnRequests
from nexus_core.control.replay import as_strict_as, check_zone, hint_headers
from nexus_core.dialects.inbound import inbound_of
from nexus_core.errors import (
    BackendNotFoundError,
    ConfigError,
    InvalidRequestError,
    NexusError,
    RequestNotFoundError,
)
from nexus_core.fleet.lifecycle import Fleet
from nexus_core.fleet.snapshot import BackendSnapshot, usable_ones
from nexus_core.observe.events import CaptureToggled, ZoneToggled
from nexus_core.observe.record import HeaderLines, as_bytes
from nexus_core.proxy.capture import Captures
from nexus_core.proxy.forward import Forwarder
from nexus_core.proxy.reply import ProxyRequest, SelectedRoute
from nexus_core.routing.requirements import RoutingHints, read_requirements
from nexus_core.routing.switch_impact import lost
from nexus_core.some_names import some_names
from nexus_core.types import Actor, CooldownEnd
from nexus_core.upstream.base import Headers

_MAX_NAMED = 5  # models in an effect


class Operator:
    """Executor of operator commands; each one that changes something is put on record."""

    def __init__(
        self,
        live: LiveConfig,
        forwarder: Forwarder,
        fleet: Fleet,
        captures: Captures,
        own: OwnRequests,
        files: ConfigControl | None,
        actions: Actions,
    ) -> None:
        self._live = live
        self._registry = live.registry
        self._forwarder = forwarder
        self._health = fleet.health
        self._captures = captures
        self._own = own
        self._configuration = files  # None: nobody said where it is from
        self._actions = actions
        self._cuts = Cuts(live.bus, live.now)
        # Tells other replicas what was done here, and gives what came of it; None: there are none.
        self.spread: Callable[[Command, Actor, Outcome], Awaitable[Outcome]] | None = None

    async def execute(self, command: Command, by: Actor) -> Outcome:
        """Carry out a command, and put it on record.

        Raises:
            NexusError: it can't be done; nothing was changed.
        """
        try:
            outcome = await self._carry_out(command)
        except NexusError as error:
            if _is_recorded(command):
                self._actions.note(by, deed_of(command), error=_why(error))
            raise
        if self.spread is not None:
            outcome = await self.spread(command, by, outcome)
        if _is_recorded(command, outcome):
            self._actions.note(by, deed_of(command), effect=outcome.effect)
        return outcome

    def follow(self, command: Command, by: Actor, where: str | None, *, is_kept: bool) -> None:
        """Switch as an operator did on another replica.

        Args:
            where: that replica, for the record; None: it was before this process began.
            is_kept: whether the record outlives this process.

        Raises:
            NexusError: it can't be done here.
        """
        match command:
            case SwitchZone():
                outcome = self._switch_zone(command)
            case SwitchBackend():
                outcome = self._switch_backend(command)
            case SetTier():
                outcome = self._set_tier(command)
            case SetPriority():
                outcome = self._set_priority(command)
            case ClearCooldown():
                outcome = self._clear_cooldown(command.backend)
            case _:
                return
        if where is not None:
            deed = deed_of(command)
            told = deed._replace(text=f"{deed.text}, on {where}")
            self._actions.note(by, told, effect=outcome.effect, is_kept=is_kept)

    async def _carry_out(self, command: Command) -> Outcome:
        match command:
            case SwitchZone():
                return self._switch_zone(command)
            case SwitchBackend():
                return self._switch_backend(command)
            case ProbeBackend():
                return await self._probe(command.backend)
            case ClearCooldown():
                return self._clear_cooldown(command.backend)
            case SetTier():
                return self._set_tier(command)
            case SetPriority():
                return self._set_priority(command)
            case CaptureBodies():
                return self._capture(command.enabled)
            case ReplayRequest():
                return self._replay(command)
            case SendRequest():
                return self._send_request(command)
            case ReloadConfig():
                return await self._files().reload(only_plan=command.only_plan)
            case SaveConfig():
                return await self._files().save(only_plan=command.only_plan, only=command.only)
            case _:
                assert_never(command)

    def _files(self) -> ConfigControl:
        if self._configuration is None:
            raise InvalidRequestError("no config file in use: nothing to reload or save")
        return self._configuration

    # --- switches ------------------------------------------------------------------------

    def _switch_backend(self, command: SwitchBackend) -> Outcome:
        before, enabled = self._find(command.backend), command.enabled
        name, usable = before.name, self._usable()
        self._registry.set_enabled(name, enabled)
        ended = self._forwarder.end_backend(name) if command.ends else 0
        if before.enabled == enabled:
            effects = [f"it was {_on_or_off(enabled)} already"] * (not ended)
        else:
            effects = [] if enabled else [*self._loss([name], usable)]
        if not enabled and not command.ends and before.in_flight:
            effects.insert(0, f"{_requests(before.in_flight)} finish")
        return Outcome(
            message=_switched(name, enabled, ended),
            data={"ended": ended},
            effect="; ".join([*_ended(ended), *effects]) or None,
        )

    def _switch_zone(self, command: SwitchZone) -> Outcome:
        zone, enabled = command.zone, command.enabled
        usable = self._usable()
        changed = self._registry.set_zone_enabled(zone, enabled)
        ended = self._forwarder.end_zone(zone) if command.ends else 0
        if changed or ended:
            self._live.bus.publish(
                ZoneToggled(at=self._live.now(), zone=zone, enabled=enabled, ended=ended)
            )
        return Outcome(
            message=_switched(f"the {zone} zone", enabled, ended),
            data={"ended": ended},
            effect=self._effect_of_zone(command, usable, ended, is_change=changed),
        )

    def _effect_of_zone(
        self, command: SwitchZone, usable: list[BackendSnapshot], ended: int, *, is_change: bool
    ) -> str | None:
        zone = command.zone
        if command.enabled:
            cut = self._cuts.end(zone)
            if not is_change:
                return "it was on already"
            return None if cut is None else cut.told(self._live.now())
        self._cuts.begin(zone, ended)
        if not is_change and not ended:
            return "it was cut already"
        names = [backend.name for backend in usable if backend.zone is zone]
        return "; ".join([*_ended(ended), *self._loss(names, usable)]) or None

    def _usable(self) -> list[BackendSnapshot]:
        return usable_ones(self._registry.snapshots(), self._registry.clock())

    def _loss(self, off: list[str], usable: list[BackendSnapshot]) -> list[str]:
        """Which models nobody serves without these backends, for people."""
        models = lost(off, usable, self._live.config.routing)
        return [f"no backend left for {some_names(models, _MAX_NAMED)}"] if models else []

    async def _probe(self, name: str) -> Outcome:
        result = await self._health.probe(self._find(name).name)
        found = result.detail if result.models is None else f"{len(result.models)} models"
        ended = self._registry.cooldowns.clear(name, CooldownEnd.CLEARED) if result.ok else 0
        also = f"; {_cooldowns(ended)} ended" if ended else ""
        return Outcome(
            message=f"{name}: {found} ({result.elapsed_ms:.0f} ms){also}",
            data={
                "ok": result.ok,
                "elapsed_ms": round(result.elapsed_ms, 2),
                "models": None if result.models is None else list(result.models),
                "detail": result.detail,
            },
            effect=f"{_cooldowns(ended)} ended" if ended else None,
        )

    def _clear_cooldown(self, name: str) -> Outcome:
        ended = self._registry.cooldowns.clear(self._find(name).name, CooldownEnd.CLEARED)
        done = f"{_cooldowns(ended)} ended" if ended else "no cooldown to end"
        return Outcome(message=f"{name}: {done}", data={"ended": ended}, effect=done)

    def _set_tier(self, command: SetTier) -> Outcome:
        before = self._find(command.backend)
        self._registry.set_rank(before.name, tier=command.tier, priority=before.priority)
        tier = "no tier" if command.tier is None else f"tier {command.tier}"
        was = "none" if before.tier is None else before.tier
        return Outcome(message=f"{before.name} has {tier} until restart", effect=f"it was {was}")

    def _set_priority(self, command: SetPriority) -> Outcome:
        before = self._find(command.backend)
        self._registry.set_rank(before.name, tier=before.tier, priority=command.priority)
        return Outcome(
            message=f"{before.name} has priority {command.priority} until restart",
            effect=f"it was {before.priority}",
        )

    def _find(self, name: str) -> BackendSnapshot:
        for backend in self._registry.snapshots():
            if backend.name == name:
                return backend
        raise BackendNotFoundError(f"there is no backend {name!r}", param="backend")

    # --- bodies --------------------------------------------------------------------------

    def _capture(self, enabled: bool) -> Outcome:
        if self._captures.is_on != enabled:
            self._captures.switch(enabled)
            self._live.bus.publish(CaptureToggled(at=self._live.now(), enabled=enabled))
        if enabled:
            return Outcome(message="body capture is on, in memory only, until restart")
        kept = len(self._captures)
        return Outcome(
            message=f"body capture is off; {kept} captured bodies stay in memory until restart",
            effect=f"{kept} bodies stay in memory until restart" if kept else None,
        )

    def _replay(self, command: ReplayRequest) -> Outcome:
        """Begin the request anew; what becomes of it is told by events, as of any other."""
        original = self._captures.get(command.request_id)
        if original is None:
            raise RequestNotFoundError(
                f"the body of request {command.request_id!r} was not captured; "
                "only requests received while body capture is on can be replayed",
                param="request_id",
            )
        hints = as_strict_as(self._captures.need(command.request_id), command)
        body = original.body if command.edited is None else command.edited.body
        request = self._prepare(original.endpoint, body, hints)
        check_zone(request.need, self._find(command.backend))
        request = replace(request, replay_of=original.request_id, headers=hint_headers(hints))
        how = "replayed" if command.edited is None else "edited and replayed"
        return self._begin(request, f"{how} to {command.backend}")

    def _send_request(self, command: SendRequest) -> Outcome:
        """Begin it as if a client had asked; its answer is kept, whatever the switch says."""
        if command.backend is not None:
            self._find(command.backend)
        hints = RoutingHints(
            zone=command.zone,
            min_tier=command.min_tier,
            backend=command.backend,
            flexible=command.flexible,
            priority=command.priority,
        )
        request = self._prepare(command.endpoint, command.body, hints)
        return self._begin(replace(request, headers=as_bytes(command.headers)), "sent")

    def _prepare(self, endpoint: str, body: bytes, hints: RoutingHints) -> ProxyRequest:
        """A request as the data plane would make it.

        Raises:
            NexusError: it would be refused before it is routed.
        """
        inbound = inbound_of(endpoint)
        if inbound is None:
            raise InvalidRequestError(f"{endpoint} takes no requests", param="endpoint")
        dialect, operation = inbound
        envelope = dialect.read_request(operation, body, token_hex(8))
        return ProxyRequest(
            envelope=envelope,
            dialect=dialect,
            need=read_requirements(envelope.model, hints, self._live.config.routing),
            client=None,
            headers=(),
            received=time.monotonic(),
            origin=OWN,
        )

    def _begin(self, request: ProxyRequest, done: str) -> Outcome:
        self._own.begin(request, _Unread())
        request_id = request.envelope.id
        return Outcome(
            message=f"{done} as {request_id}",
            data={"request_id": request_id},
            effect=f"as request {request_id}",
        )


def _why(error: NexusError) -> str:
    """Without the excerpts of a file, which may hold anything."""
    cause = error.__cause__
    return str(cause) if isinstance(cause, ConfigError) else error.message


def _is_recorded(command: Command, outcome: Outcome | None = None) -> bool:
    """Whether it changes something, or would have: no plan, and no probe without a consequence."""
    match command:
        case ReloadConfig() | SaveConfig():
            return not command.only_plan
        case ProbeBackend():
            return outcome is not None and outcome.effect is not None
        case _:
            return True


def _requests(count: int) -> str:
    return "1 running request" if count == 1 else f"{count} running requests"


def _ended(count: int) -> list[str]:
    return [f"{_requests(count)} ended"] if count else []


def _on_or_off(enabled: bool) -> str:
    return "on" if enabled else "off"


def _cooldowns(count: int) -> str:
    return "1 cooldown" if count == 1 else f"{count} cooldowns"


def _switched(what: str, enabled: bool, ended: int) -> str:
    also = f"; {_requests(ended)} ended" if ended else ""
    return f"{what} is {_on_or_off(enabled)} until restart{also}"


class _Unread:
    """The client's end of an operator's request: nobody reads the answer but who keeps it."""

    def start(
        self, status: int, upstream: Headers, selected: SelectedRoute, *, length: int | None
    ) -> HeaderLines:
        return b""

    def send(self, data: bytes) -> None: ...

    async def drain(self) -> None: ...

    def finish(self) -> None: ...

    is_early = False

    def ping(self, sign: bytes) -> bool:
        return True

    def send_error_event(self, error: NexusError) -> None: ...

    def refuse(self, error: NexusError, selected: SelectedRoute | None) -> HeaderLines:
        return b""
