"""Ask the backends that are an Ollama themselves for what only they know; never for long."""

from __future__ import annotations

import asyncio
import json

from nexus_core.api.ollama.entries import Place, entries_by_name
from nexus_core.background import read_long
from nexus_core.dialects.parsing import parse_json
from nexus_core.gateway import Gateway
from nexus_core.providers.local import LocalAgent
from nexus_core.types import DialectName, HealthStatus, JsonObject
from nexus_core.upstream.base import UpstreamError

_WAIT_SECONDS = 2.0


def ollama_agents(gateway: Gateway) -> dict[str, LocalAgent]:
    """The agents of backends that speak this API, may be used and are not down; by name."""
    found: dict[str, LocalAgent] = {}
    for backend in gateway.registry.snapshots():
        agent = gateway.fleet.agents.get(backend.name)
        is_open = backend.is_on and backend.silent_store is None
        is_up = is_open and backend.health is not HealthStatus.UNHEALTHY
        if is_up and isinstance(agent, LocalAgent) and DialectName.OLLAMA in agent.passes:
            found[backend.name] = agent
    return found


async def ask_lists(gateway: Gateway, path: str) -> dict[str, dict[str, JsonObject]]:
    """The models that each of them lists at a path, by backend and name; none where it fails."""
    agents = ollama_agents(gateway)
    told = await asyncio.gather(*(_ask(agent, path) for agent in agents.values()))
    return {name: entries_by_name(one) for name, one in zip(agents, told, strict=True)}


async def ask_show(
    gateway: Gateway, places: list[Place], *, verbose: bool = False
) -> tuple[Place, object] | None:
    """Details of a model, as the first Ollama that serves it tells them; None if none does."""
    agents = ollama_agents(gateway)
    for place in places:
        if (agent := agents.get(place.backend.name)) is not None:
            body = json.dumps({"model": place.upstream, "verbose": verbose}).encode()
            told = await _ask(agent, "/api/show", body)
            if told is not None:
                return place, told
    return None


async def _ask(agent: LocalAgent, path: str, body: bytes | None = None) -> object:
    try:
        async with asyncio.timeout(_WAIT_SECONDS):
            status, told = await (
                agent.get_small(path) if body is None else agent.post_small(path, body)
            )
            return await read_long(parse_json, agent.keys.cut(told)) if status == 200 else None
    except (TimeoutError, UpstreamError, ValueError):
        return None
