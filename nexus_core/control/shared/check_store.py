"""Check the server that a fleet shares: whether it answers, may be written, and keeps its data."""

from __future__ import annotations

import re

from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.control.check import Finding, Level
from nexus_core.state.base import StoreUnavailableError
from nexus_core.state.valkey.link import eviction_problem
from nexus_core.state.valkey.wire import Facts, connected

_ABOUT = "fleet"
_OLDEST = {"Valkey": (7, 2), "Redis": (6, 2)}


async def check_store(fleet: FleetConfig) -> Finding:
    """Ask the server of [fleet], as the link of a process does; nothing is written."""
    try:
        async with connected(fleet) as wire:
            facts = wire.facts
            role = (await wire.ask("INFO", "replication")).decode()
            await wire.ask("EVAL", "return 1", 0)
    except StoreUnavailableError as error:
        text = f"the store at {fleet.place} can't be used: {error}"
        hint = f"start it, or correct {fleet.url_env}; without it the open zone is closed"
        return Finding(Level.ERROR, _ABOUT, text, hint)
    if "role:slave" in role:
        text = f"the store at {fleet.place} is a read-only replica"
        return Finding(Level.ERROR, _ABOUT, text, "name the primary, or its sentinels")
    if facts.eviction not in ("noeviction", None):
        text, _, hint = eviction_problem(fleet.place, facts.eviction).partition("; ")
        return Finding(Level.ERROR, _ABOUT, text, hint)
    return _by_version(fleet, facts)


def _by_version(fleet: FleetConfig, facts: Facts) -> Finding:
    kind = "Valkey" if facts.is_valkey else "Redis"
    text = f"replica {fleet.replica_name} shares {kind} {facts.version} at {fleet.place}"
    numbers = re.match(r"(\d+)\.(\d+)", facts.version)
    if numbers is not None and (int(numbers[1]), int(numbers[2])) < _OLDEST[kind]:
        oldest = ".".join(map(str, _OLDEST[kind]))
        return Finding(Level.ERROR, _ABOUT, text, f"{kind} {oldest} or newer is needed")
    return Finding(Level.OK, _ABOUT, text)
