"""Discovery results of the running gateway: local servers and cloud keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from nexus_core.config.loopback import endpoint
from nexus_core.config.schema import UnusableBackend
from nexus_core.control.actions import Actions, Deed
from nexus_core.control.commands import Outcome
from nexus_core.discovery.cloud import CloudKey
from nexus_core.discovery.local import DiscoveryResult, Place
from nexus_core.discovery.watch import Discovery
from nexus_core.errors import InvalidRequestError
from nexus_core.fleet.registry import Registry
from nexus_tui.sources.base import FoundKey, FoundServer
from nexus_tui.sources.local_actor import local_actor


class DiscoveringGateway(Protocol):
    """Interface of the gateway for discovery results."""

    @property
    def discovery(self) -> Discovery | None: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def actions(self) -> Actions: ...


class LocalDiscovery:
    """Discovery results of the running gateway, as a FoundSource."""

    def __init__(self, gateway: Callable[[], DiscoveringGateway]) -> None:
        self._gateway = gateway

    @property
    def _discovery(self) -> Discovery:
        discovery = self._gateway().discovery
        assert discovery is not None, "only with discovery"  # noqa: S101
        return discovery

    @property
    def servers(self) -> tuple[FoundServer, ...]:
        discovery = self._discovery
        seen = {result.place: result for result in discovery.results}
        used = {endpoint(backend.url) for backend in self._gateway().registry.snapshots()}
        return tuple(_server(place, seen.get(place), used) for place in discovery.places)

    @property
    def keys(self) -> tuple[FoundKey, ...]:
        used = {backend.type for backend in self._gateway().registry.snapshots()}
        return tuple(_key(key, is_used=key.type in used) for key in self._discovery.cloud_keys)

    async def search(self) -> None:
        """Search again now. Servers found on this machine are used at once."""
        await self._discovery.search()

    async def use_key(self, variable: str) -> Outcome:
        """Add a backend for a cloud key until restart.

        Raises:
            InvalidRequestError: the key is unknown or unusable.
        """
        actions, by = self._gateway().actions, local_actor()
        try:
            name = self._add(variable)
        except InvalidRequestError as error:
            deed = Deed("backend_added", None, f"added a backend with {variable}")
            actions.note(by, deed, error=error.message)
            raise
        actions.note(by, Deed("backend_added", name, f"added {name} with {variable}"))
        return Outcome(message=f"backend {name} added with {variable}, until restart")

    def _add(self, variable: str) -> str:
        """The new backend's name."""
        discovery = self._discovery
        kinds = [key.type for key in discovery.cloud_keys if key.variable == variable]
        if not kinds:
            raise InvalidRequestError(f"{variable} is not a cloud key variable")
        try:
            added = discovery.add_cloud(kinds[0])
        except ValueError as error:
            raise InvalidRequestError(str(error)) from error
        if isinstance(added, UnusableBackend):
            raise InvalidRequestError(added.why)
        return added.name


def _server(
    place: Place, result: DiscoveryResult | None, used: set[tuple[str, int]]
) -> FoundServer:
    kind = place.kind if result is None else result.kind
    return FoundServer(
        title=kind.spec.title,
        address=place.address,
        finding="searching …" if result is None else result.text,
        is_used=(place.host, place.port) in used,
    )


def _key(key: CloudKey, *, is_used: bool) -> FoundKey:
    return FoundKey(
        title=key.type.spec.title, variable=key.variable, is_set=key.is_set, is_used=is_used
    )
