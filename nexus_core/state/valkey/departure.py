"""Tell the store that another process is gone, for one that had no time to say so itself."""

from __future__ import annotations

import msgspec

from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.state.valkey.wire import connected, key_prefix
from nexus_core.types import JsonObject


async def tell_departure(config: FleetConfig, process: str) -> None:
    """Give back at once what the process holds; else it counts as dead after a while only.

    Raises:
        StoreUnavailableError: the store can't be reached.
    """
    async with connected(config) as wire:
        said: JsonObject = {
            "process": f"of.{process}",
            "replica": config.replica_name,
            "run": wire.facts.run_id,
            "dead_ms": round(config.dead_after_seconds * 1000),
            "takes": [],
            "other": process,
        }
        await wire.run(f"{key_prefix(config.name)}run", "leave", msgspec.json.encode(said))
