"""Check the server that a fleet shares: whether it answers, may be written, and keeps its data."""

from __future__ import annotations

import re

from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.control.check import Finding, Level
from nexus_core.state.base import StoreUnavailableError
from nexus_core.state.valkey.link import eviction_problem
from nexus_core.state.valkey.wire import Facts, Wire, connected

_ABOUT = "fleet"
_OLDEST = {"Valkey": (7, 2), "Redis": (6, 2)}


async def check_store(fleet: FleetConfig, *, has_database: bool) -> Finding:
    """Ask the server of [fleet], as the link of a process does; nothing is written.

    Args:
        has_database: PostgreSQL has what was spent, also where the server loses its data.
    """
    try:
        async with connected(fleet) as wire:
            facts = wire.facts
            role = (await wire.ask("INFO", "replication")).decode()
            await wire.ask("EVAL", "return 1", 0)
            keeps = has_database or await _keeps_its_data(wire)
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
    found = _by_version(fleet, facts)
    if found.level is not Level.OK or keeps:
        return found
    text = (
        f"{found.text}; it has appendonly no: its restart forgets what no running replica knows: "
        "switches, where all were stopped, and what those had spent whose disk is gone"
    )
    hint = "set appendonly yes there, or name PostgreSQL in [storage] url_env"
    return Finding(Level.WARNING, _ABOUT, text, hint)


async def _keeps_its_data(wire: Wire) -> bool:
    """Whether its restart forgets nothing; True where it does not say."""
    try:
        told: bytes = await wire.ask("INFO", "persistence")
    except StoreUnavailableError:
        return True
    return b"aof_enabled:0" not in told


def _by_version(fleet: FleetConfig, facts: Facts) -> Finding:
    kind = "Valkey" if facts.is_valkey else "Redis"
    text = f"replica {fleet.replica_name} shares {kind} {facts.version} at {fleet.place}"
    numbers = re.match(r"(\d+)\.(\d+)", facts.version)
    if numbers is not None and (int(numbers[1]), int(numbers[2])) < _OLDEST[kind]:
        oldest = ".".join(map(str, _OLDEST[kind]))
        return Finding(Level.ERROR, _ABOUT, text, f"{kind} {oldest} or newer is needed")
    return Finding(Level.OK, _ABOUT, text)
