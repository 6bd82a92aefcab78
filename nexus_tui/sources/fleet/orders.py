"""Which replicas carry out a command, and their outcomes as one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from nexus_core.control.commands import (
    CaptureBodies,
    Command,
    Outcome,
    ProbeBackend,
    ReloadConfig,
    SwitchZone,
)
from nexus_core.errors import ConfigError, NexusError
from nexus_tui.sources.base import EventSource
from nexus_tui.sources.fleet.replica import Replica, named

# What each replica has of its own, so that all of them are asked. The others are either carried on
# by the fleet's switches or of one replica by nature.
_OF_EACH = (CaptureBodies, ProbeBackend, ReloadConfig)
_Told: TypeAlias = Outcome | NexusError | ConfigError


def is_for_all(command: Command) -> bool:
    """Whether each replica carries it out by itself."""
    return isinstance(command, _OF_EACH) and not (
        isinstance(command, ReloadConfig) and command.only_plan
    )


def is_for(command: Command, replica: Replica) -> bool:
    """Whether a replica gets it beside the one that tells the others: no switch reaches it else."""
    return (
        isinstance(command, SwitchZone)
        and not command.enabled
        and (replica.alone_since is not None or replica.is_dead)
    )


async def ask_all(sources: Mapping[str, EventSource], command: Command) -> Outcome:
    """Have several replicas carry it out, each by itself.

    Raises:
        NexusError, ConfigError: none of them did; the first one's.
    """
    names = [*sources]
    told = await asyncio.gather(*(_ask(sources[name], command) for name in names))
    if len(told) == 1:
        return _raised(told[0])
    if not any(isinstance(one, Outcome) for one in told):
        return _raised(told[0])
    return _together(names, told)


async def _ask(source: EventSource, command: Command) -> _Told:
    try:
        return await source.command(command)
    except (NexusError, ConfigError) as error:
        return error


def _raised(told: _Told) -> Outcome:
    if isinstance(told, Outcome):
        return told
    raise told


def _together(names: Sequence[str], told: Sequence[_Told]) -> Outcome:
    by_text: dict[str, list[str]] = {}
    lines: dict[tuple[str, ...], list[str]] = {}
    for name, one in zip(names, told, strict=True):
        by_text.setdefault(_text(one), []).append(name)
        if isinstance(one, Outcome) and one.lines:
            lines.setdefault(one.lines, []).append(name)
    nothing: dict[str, Any] = {}
    data = next((one.data for one in told if isinstance(one, Outcome)), nothing)
    if len(by_text) == 1:
        message = f"{next(iter(by_text))} ({named(names)})"
    else:
        message = "; ".join(f"{named(of)}: {text}" for text, of in by_text.items())
    if len(lines) == 1 and len(next(iter(lines.values()))) == len(names):
        return Outcome(message=message, lines=next(iter(lines)), data=data)
    by_replica = [f"{named(of)}: {line}" for each, of in lines.items() for line in each]
    return Outcome(message=message, lines=tuple(by_replica), data=data)


def _text(told: _Told) -> str:
    if isinstance(told, Outcome):
        return told.message
    return f"FAILED, {str(told).partition(chr(10))[0]}"
