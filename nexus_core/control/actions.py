"""What operators did: who, what and what came of it; kept, logged, and told to every screen."""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from itertools import islice
from typing import NamedTuple, assert_never

from nexus_core import __version__
from nexus_core.control.commands import (
    CaptureBodies,
    ClearCooldown,
    Command,
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
from nexus_core.known_secrets import SECRETS
from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import OperatorActed
from nexus_core.types import Actor

log = logging.getLogger(__name__)

CAPACITY = 200  # kept in memory; the ledger keeps all of them
_DASHBOARD = re.compile(r"nexus-dashboard/\S+ \(session ([0-9a-f]{8,32})\)")
_LONGEST = 500  # characters of an effect or an error

# Of the running task: another worker of the same port has on record what is done here.
is_echo: ContextVar[bool] = ContextVar("is_echo", default=False)


class Deed(NamedTuple):
    """What a command asks for, as it is told once it was done."""

    action: str
    target: str | None
    text: str


class Actions:
    """The newest actions of operators. Names and numbers only: never a key, a prompt or a body."""

    def __init__(
        self, bus: EventBus, now: Callable[[], float], keep: Callable[[OperatorActed], None]
    ) -> None:
        """`keep` is given each one, to outlive the process; it must not fail."""
        self._bus = bus
        self._now = now
        self._keep = keep
        self._newest: deque[OperatorActed] = deque(maxlen=CAPACITY)

    def recall(self, past: Iterable[OperatorActed]) -> None:
        """Take in what was done before this gateway began, oldest first; each once."""
        known = {(acted.at, acted.text) for acted in self._newest}
        before = [acted for acted in past if (acted.at, acted.text) not in known]
        self._newest = deque([*before, *self._newest], maxlen=CAPACITY)

    def newest(self, limit: int = CAPACITY) -> list[OperatorActed]:
        """So many at most, the newest first."""
        return list(islice(reversed(self._newest), limit))

    def note(
        self,
        by: Actor,
        deed: Deed,
        *,
        effect: str | None = None,
        error: str | None = None,
        is_kept: bool = True,
    ) -> None:
        """Keep, log and tell what an operator did, or why it failed.

        Args:
            is_kept: whether it outlives this process; not where another one keeps it.
        """
        if is_echo.get():
            return
        acted = OperatorActed(
            at=self._now(),
            by=by,
            action=deed.action,
            target=None if deed.target is None else _in_one_line(deed.target),
            text=_in_one_line(deed.text),
            effect=None if effect is None else _in_one_line(effect),
            error=None if error is None else _in_one_line(error),
        )
        self._newest.append(acted)
        if is_kept:
            self._keep(acted)
        self._bus.publish(acted)
        fields = {
            "action": acted.action,
            "target": acted.target,
            "by": by.name,
            "via": by.via,
            "address": by.address,
        }
        level = logging.INFO if error is None else logging.WARNING
        log.log(level, "%s", acted.sentence, extra={"fields": fields})


def dashboard_agent(session: str) -> str:
    """The User-Agent of an attached dashboard; `session` is hexadecimal."""
    return f"nexus-dashboard/{__version__} (session {session})"


def dashboard_session(user_agent: str) -> str | None:
    """The session of the attached dashboard that has this User-Agent; None where it is none."""
    found = _DASHBOARD.fullmatch(user_agent)
    return None if found is None else found[1]


def deed_of(command: Command) -> Deed:
    """What a command does, in the past tense."""
    match command:
        case SwitchZone(zone=zone):
            if command.enabled:
                return Deed("zone_reopened", zone, f"reopened the {zone} zone")
            return Deed("zone_cut", zone, f"cut the {zone} zone")
        case SwitchBackend(backend=name):
            if command.enabled:
                return Deed("backend_on", name, f"switched {name} on")
            if command.end_running:
                return Deed("backend_cut", name, f"cut {name}")
            return Deed("backend_off", name, f"switched {name} off")
        case ProbeBackend(backend=name):
            return Deed("backend_probed", name, f"probed {name}")
        case ClearCooldown(backend=name):
            return Deed("cooldowns_cleared", name, f"cleared the cooldowns of {name}")
        case SetTier(backend=name, tier=tier):
            to = "none" if tier is None else tier
            return Deed("tier_set", name, f"set the tier of {name} to {to}")
        case SetPriority(backend=name, priority=priority):
            return Deed("priority_set", name, f"set the priority of {name} to {priority}")
        case CaptureBodies(enabled=enabled):
            what = "started" if enabled else "stopped"
            return Deed(f"capture_{what}", None, f"{what} body capture")
        case ReplayRequest(request_id=request, backend=name):
            how = "replayed" if command.edited is None else "edited and replayed"
            return Deed("request_replayed", request, f"{how} request {request} to {name}")
        case SendRequest():
            return Deed("request_sent", command.backend, "sent a request")
        case ReloadConfig():
            return Deed("config_reloaded", None, "reloaded the config")
        case SaveConfig():
            return Deed("config_saved", None, "saved runtime changes")
        case _:
            assert_never(command)


def _in_one_line(text: str) -> str:
    """Without secrets: an operator may have called a key by its own."""
    told = SECRETS.cut_text(text)
    line = "; ".join(part.strip() for part in told.splitlines() if part.strip())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"
