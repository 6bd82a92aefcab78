"""Describe problem events in one sentence for the user; other events have none. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import assert_never

from nexus_core.observe.events import (
    AttemptFailed,
    BackendAdded,
    BackendChanged,
    BackendHealthChanged,
    BackendProbed,
    BackendRemoved,
    BackendToggled,
    BudgetStatusChanged,
    CaptureToggled,
    ConfigReloaded,
    Considered,
    CooldownBegan,
    CooldownEnded,
    FirstByteReceived,
    NexusEvent,
    OperatorActed,
    RequestFinished,
    RequestReceived,
    RequestRefused,
    RouteDecided,
    ZoneToggled,
)
from nexus_core.routing.stages import Stage
from nexus_core.types import BudgetStatus, HealthCause, HealthStatus
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import clip, short_id

_MAX_NAME = 32  # cells of a name, so that what happened is seen beside it
_REFUSED = {
    401: "missing or invalid client key",
    403: "its Origin, Host or key is not allowed",
    413: "body larger than max_body_bytes",
}


def sentence(event: NexusEvent) -> str | None:
    """Sentence about a problem event, safe to draw; None for other events.

    A failed attempt has none of its own: the request may yet be answered, and its end tells.
    """
    match event:
        case RequestFinished():
            return _finished(event) if event.failed else None
        case RequestRefused():
            why = _REFUSED.get(event.status, escaped(event.code).replace("_", " "))
            return f"a request was refused ({event.status}): {why}"
        case BackendHealthChanged():
            return _health(event)
        case BudgetStatusChanged():
            return _budget(event)
        case OperatorActed():
            return escaped(event.sentence)
        case CooldownBegan():
            return _cooldown(event) if event.is_circuit_open else None
        case (
            RequestReceived()
            | RouteDecided()
            | AttemptFailed()
            | FirstByteReceived()
            | BackendProbed()
            | BackendToggled()
            | ZoneToggled()
            | BackendAdded()
            | BackendRemoved()
            | ConfigReloaded()
            | BackendChanged()
            | CaptureToggled()
            | CooldownEnded()
        ):
            return None
        case _:
            assert_never(event)


def _finished(event: RequestFinished) -> str:
    """What is wrong, and in brackets of which request."""
    model, request = _name(event.model), short_id(escaped(event.request_id))
    last = event.attempts[-1] if event.attempts else None
    if last is not None and event.backend in (None, last.backend):
        before = len(event.attempts) - 1
        return f"{_name(last.backend)}: {escaped(last.error)}{_after(before)} ({model}, {request})"
    error = escaped(event.error or f"answered {event.status}")
    if event.backend is not None:
        error = error.removeprefix(f'backend "{escaped(event.backend)}": ')  # it is named here
        others = _after(len(event.attempts))
        return f"{_name(event.backend)}: {error}{others} ({model}, {request})"
    why = _why_nobody(event.considered)
    what = f"failed: {error}" if why is None else f"refused: {why}"
    return f"{model} {what} ({request})"


def _after(failed: int) -> str:
    return f", after {failed} other{'s' if failed > 1 else ''}" if failed else ""


def _why_nobody(considered: Iterable[Considered]) -> str | None:
    """Why none of the backends that serve the model could be asked; None if one could."""
    # With fallbacks a backend is considered for several models; the first is the asked one.
    drops: dict[str, Considered] = {}
    for one in considered:
        if one.dropped_by is None:
            return None
        if one.dropped_by not in (Stage.MODEL, Stage.PIN):
            drops.setdefault(one.backend, one)
    if not drops:
        return None
    stages = {drop.dropped_by for drop in drops.values()}
    whys = {drop.why for drop in drops.values()}
    if stages == {Stage.ENABLED} and _SWITCHED_OFF not in whys:
        zones = {drop.zone for drop in drops.values()}
        return " and ".join(f"the {zone} zone is cut" for zone in sorted(zones))
    if stages == {Stage.ZONE}:
        return f"restricted request, and only open backends serve the model ({_names(drops)})"
    if stages == {Stage.BUDGET} and len(whys) == 1:
        return escaped(whys.pop() or "the monthly budget is spent")
    return "; ".join(f"{_name(one.backend)} is {_short(one)}" for one in drops.values())


_SWITCHED_OFF = "switched off"  # itself; else its zone is

_SHORT: dict[str, Callable[[str], str]] = {
    Stage.ENABLED: lambda why: why if why == _SWITCHED_OFF else "in a zone that is off",
    Stage.ZONE: lambda _: "in the open zone",
    Stage.TIER: lambda why: f"below the minimum tier ({why})",
    Stage.CAPABLE: lambda why: f"not capable ({why})",
    Stage.BUDGET: lambda why: f"over budget ({why})",
    Stage.COOLDOWN: lambda why: f"in {why}",
    Stage.TRIED: lambda why: f"failing ({why})",
}


def _short(drop: Considered) -> str:
    """What is in the way, to go on from `NAME is`."""
    why = escaped(drop.why or "not capable")
    if (words := _SHORT.get(drop.dropped_by or "")) is not None:
        return words(why)
    what, _, more = why.partition(": ")
    return f"{what} ({more})" if more else what


def _health(event: BackendHealthChanged) -> str | None:
    if event.health is not HealthStatus.UNHEALTHY:
        return None
    name, detail = _name(event.backend), escaped(event.detail or "")
    if event.cause is HealthCause.AUTH:
        return f"{name}: {detail}"
    return f"{name} is unhealthy: {detail}" if detail else f"{name} is unhealthy"


def _cooldown(event: CooldownBegan) -> str:
    what = f" for {_name(event.model)}" if event.model else ""
    return f"{_name(event.backend)} keeps failing{what}, tried again in {event.seconds:.0f} s: " + (
        escaped(event.why)
    )


def _budget(event: BudgetStatusChanged) -> str | None:
    whose = f"the monthly limit of {_name(event.client)}" if event.client else "the monthly budget"
    match event.after:
        case BudgetStatus.HARD_LIMIT:
            return f"{whose} is spent"
        case BudgetStatus.SOFT_LIMIT if event.before is BudgetStatus.NORMAL:
            return f"{whose} has reached its soft limit: local backends are preferred"
        case BudgetStatus.SOFT_LIMIT | BudgetStatus.NORMAL:
            return None
        case _:
            assert_never(event.after)


def _name(name: str) -> str:
    return clip(escaped(name), _MAX_NAME)


def _names(drops: Iterable[str]) -> str:
    return ", ".join(map(_name, drops))
