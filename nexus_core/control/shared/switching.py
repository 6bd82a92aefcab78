"""Commands of operators as switches that other processes read, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nexus_core.config.schema import Config
from nexus_core.control.commands import (
    ClearCooldown,
    Command,
    SetPriority,
    SetTier,
    SwitchBackend,
    SwitchZone,
)
from nexus_core.state.valkey.switches import Switch
from nexus_core.types import Actor, PrivacyZone, Via


def switch_of(command: Command, by: Actor, at: float) -> Switch | None:
    """What the fleet is told of a command; None where it concerns this process alone."""
    who: dict[str, Any] = {"via": by.via.value, "name": by.name, "address": by.address}
    match command:
        case SwitchZone(zone=zone):
            return _on_or_off(f"zone:{zone.value}", command, who, at)
        case SwitchBackend(backend=name):
            return _on_or_off(f"backend:{name}", command, who, at)
        case SetTier(backend=name, tier=tier):
            return Switch(key=f"tier:{name}", value=tier, by=who, at=at)
        case SetPriority(backend=name, priority=priority):
            return Switch(key=f"priority:{name}", value=priority, by=who, at=at)
        case ClearCooldown(backend=name):
            return Switch(key=f"cooldowns:{name}", value=None, by=who, at=at)
        case _:
            return None


def commands_of(before: Config, after: Config) -> Iterator[Command]:
    """What a file says of backends that it did not say before, as commands."""
    known = {backend.name: backend for backend in before.backends}
    for backend in after.backends:
        was, name = known.get(backend.name), backend.name
        if was is None:
            continue
        if was.enabled != backend.enabled:
            yield SwitchBackend(backend=name, enabled=backend.enabled)
        if was.tier != backend.tier:
            yield SetTier(backend=name, tier=backend.tier)
        if was.priority != backend.priority:
            yield SetPriority(backend=name, priority=backend.priority)


def _on_or_off(
    key: str, command: SwitchZone | SwitchBackend, who: dict[str, Any], at: float
) -> Switch:
    return Switch(
        key=key,
        value=command.enabled,
        closes=not command.enabled,
        opens=command.enabled,
        ends=command.end_running,
        by=who,
        at=at,
    )


def command_of(switch: Switch) -> Command | None:
    """The command that a switch was; None for one that a newer version knows."""
    kind, _, name = switch.key.partition(":")
    value = switch.value
    match kind:
        case "zone" if name in {zone.value for zone in PrivacyZone}:
            zone = PrivacyZone(name)
            return SwitchZone(zone=zone, enabled=bool(value), end_running=switch.ends)
        case "backend":
            return SwitchBackend(backend=name, enabled=bool(value), end_running=switch.ends)
        case "tier":
            return SetTier(backend=name, tier=value)
        case "priority" if value is not None:
            return SetPriority(backend=name, priority=value)
        case "cooldowns":
            return ClearCooldown(backend=name)
        case _:
            return None


def actor_of(by: Mapping[str, Any]) -> Actor:
    via = by.get("via")
    return Actor(
        via=Via(via) if via in {one.value for one in Via} else Via.API,
        name=by.get("name"),
        address=by.get("address"),
    )
