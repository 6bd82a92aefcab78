"""Probe the usual ports of local inference servers."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig
from nexus_core.dialects.parsing import parse_json
from nexus_core.providers.http import AgentSettings, Listing
from nexus_core.providers.local import LocalAgent
from nexus_core.providers.model_list import Entry, ListPage
from nexus_core.types import PrivacyZone, ProbeResult, is_object
from nexus_core.upstream.base import (
    UpstreamConnectError,
    UpstreamEngine,
    UpstreamError,
    UpstreamRequest,
    UpstreamShortageError,
)

LOOK_SECONDS = 1.0  # for each question; what listens here answers in milliseconds
FOUND_PRIORITY = 50
_MAX_HEALTH_BYTES = 64 * 1024  # a stranger may answer without end

# What each kind of server writes as the owner of its models: it tells one that listens where
# another usually does. Any other owner tells nothing.
_OWNERS = {kind.spec.owned_by: kind for kind in BackendType if kind.spec.owned_by}


@dataclass(frozen=True, slots=True)
class Place:
    """An address to probe, and the expected kind of server."""

    kind: BackendType
    port: int
    host: str = "127.0.0.1"

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"


USUAL_PLACES = tuple(Place(kind, port) for kind in BackendType for port in kind.spec.ports)


class Sight(StrEnum):
    """Kind of a probe's result."""

    FOUND = "found"
    REFUSED = "refused"  # nothing listens
    NEXUS = "nexus"  # this one, or another
    OTHER = "other"  # something answers, and it lists no models


@dataclass(frozen=True, slots=True)
class DiscoveryResult:
    """Result of probing one address."""

    place: Place
    sight: Sight
    kind: BackendType  # what it says it is, else what usually listens there
    probe: ProbeResult | None = None  # of what was found
    detail: str | None = None  # for people: what else answers

    @property
    def models(self) -> tuple[str, ...]:
        return (self.probe.models or ()) if self.probe else ()

    @property
    def text(self) -> str:
        """For people: `2 models`, `refused`, `this is Nexus`, or what else answers."""
        match self.sight:
            case Sight.FOUND:
                count = len(self.models)
                return f"{count} model{'' if count == 1 else 's'}"
            case Sight.REFUSED:
                return "refused"
            case Sight.NEXUS:
                return "this is Nexus"
            case Sight.OTHER:
                return f"not a known server: {self.detail}"
            case _:
                assert_never(self.sight)


async def probe_all(engine: UpstreamEngine, places: Iterable[Place]) -> tuple[DiscoveryResult, ...]:
    """Probe all addresses at once; free of charge, and no key is sent."""
    async with asyncio.TaskGroup() as tasks:
        looks = [tasks.create_task(probe_place(place, engine)) for place in places]
    return tuple(look.result() for look in looks)


async def probe_place(place: Place, engine: UpstreamEngine) -> DiscoveryResult:
    """Probe one address: /health of a Nexus, else the model list of a server."""
    try:
        if await _is_nexus(place, engine):
            return DiscoveryResult(place, Sight.NEXUS, place.kind)
    except (UpstreamConnectError, UpstreamShortageError):  # the latter: nobody could look
        return DiscoveryResult(place, Sight.REFUSED, place.kind)
    except (UpstreamError, TimeoutError):
        pass  # not every server has a /health
    agent = _Looker(place, engine)
    probe = await agent.probe(timeout_seconds=LOOK_SECONDS)
    if probe.models is None:
        detail = (probe.detail or "").partition("; ")[0]  # without what its owner would have to do
        return DiscoveryResult(place, Sight.OTHER, place.kind, detail=detail)
    return DiscoveryResult(place, Sight.FOUND, agent.kind, probe)


def found_backend(result: DiscoveryResult, taken: Collection[str]) -> BackendConfig:
    """Backend for a discovered server, with a unique name."""
    return BackendConfig(
        name=unique_name(result.kind, taken),
        url=f"http://{result.place.address}",
        type=result.kind,
        zone=PrivacyZone.RESTRICTED,
        priority=FOUND_PRIORITY,
    )


def unique_name(kind: BackendType, taken: Collection[str]) -> str:
    """A unique backend name: `ollama`, else `ollama-2`, …"""
    name, number = kind.value, 1
    while name in taken:
        number += 1
        name = f"{kind.value}-{number}"
    return name


async def _is_nexus(place: Place, engine: UpstreamEngine) -> bool:
    """
    Raises:
        UpstreamError: nothing answers, or not in HTTP.
        TimeoutError: nothing came in time.
    """
    request = UpstreamRequest(
        "GET",
        f"http://{place.address}/health",
        (("accept", "application/json"), ("accept-encoding", "identity")),
    )
    async with asyncio.timeout(LOOK_SECONDS):
        response = await engine.send(request, connect_timeout_seconds=LOOK_SECONDS)
        try:
            body = bytearray()
            while piece := await response.read():
                body += piece
                if len(body) > _MAX_HEALTH_BYTES:
                    return False
        finally:
            await response.close()
    try:
        health = parse_json(bytes(body))
    except ValueError:
        return False
    return is_object(health) and health.get("service") == "nexus"


class _Looker(LocalAgent):
    """Asks a place for its models, and notes who is said to own them."""

    def __init__(self, place: Place, engine: UpstreamEngine) -> None:
        backend = BackendConfig(
            name=place.kind.value,
            url=f"http://{place.address}",
            type=place.kind,
            zone=PrivacyZone.RESTRICTED,
        )
        super().__init__(backend, engine, AgentSettings(connect_timeout_seconds=LOOK_SECONDS))
        self.kind = place.kind

    async def ask_details(self, listing: Listing) -> None:
        """Nothing: a look is for the names only."""

    def read_page(self, body: bytes) -> ListPage:
        """The models in one answer.

        Raises:
            ValueError: it is no list of models.
        """
        page = super().read_page(body)
        kinds = {kind for owner, kind in _OWNERS.items() if _owns(owner, page.entries)}
        if len(kinds) == 1:
            (self.kind,) = kinds
        return page


def _owns(owner: str, entries: Sequence[Entry]) -> bool:
    return any(entry.get("owned_by") == owner for entry in entries)
