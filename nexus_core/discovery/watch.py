"""Search for local servers repeatedly, and add the found ones to the gateway."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Protocol, assert_never

from nexus_core.catalog import BackendType
from nexus_core.config.loopback import endpoint
from nexus_core.config.schema import BackendConfig, Config, UnusableBackend
from nexus_core.discovery.cloud import CloudKey, cloud_backend, cloud_keys
from nexus_core.discovery.local import (
    USUAL_PLACES,
    DiscoveryResult,
    Place,
    Sight,
    found_backend,
    probe_all,
)
from nexus_core.discovery.mdns import (
    Announced,
    BrowseFailedError,
    Browser,
    Withdrawn,
    is_on_this_network,
    is_this_machine,
)
from nexus_core.fleet.registry import Registry
from nexus_core.types import PrivacyZone, ProbeResult
from nexus_core.upstream.base import UpstreamEngine

log = logging.getLogger(__name__)

NETWORK_PRIORITY = 40  # below what is on this machine
_MAX_ANNOUNCED = 64  # servers on the network that are kept in mind


@dataclass(frozen=True, slots=True)
class Pace:
    """Search intervals, in seconds."""

    empty: float = 5.0  # until the next look while there is no backend
    settled: float = 30.0
    at_least: float = 0.2  # between two looks, however loud the network is
    grace: float = 30.0  # between a server's leaving the network and its removal


class Discoverable(Protocol):
    """The interface of the gateway for discovery."""

    @property
    def config(self) -> Config: ...
    @property
    def registry(self) -> Registry: ...

    def add_backend(self, backend: BackendConfig, found: ProbeResult | None = None) -> None: ...
    def remove_backend(self, name: str) -> None: ...


_PACE = Pace()


class Discovery:
    """Discovery of servers on their usual ports, and by mDNS with a browser."""

    def __init__(
        self,
        core: Discoverable,
        engine: UpstreamEngine,
        environ: Mapping[str, str],
        *,
        places: Sequence[Place] = USUAL_PLACES,
        browser: Browser | None = None,
        pace: Pace = _PACE,
        is_own: Callable[[str], bool] = is_this_machine,
    ) -> None:
        self.results: tuple[DiscoveryResult, ...] = ()  # of the usual places, at the last look
        self.places = places
        self._core = core
        self._engine = engine
        self._environ = environ
        self._browser = browser
        self._pace = pace
        self._is_own = is_own
        self._announced: dict[str, Announced] = {}  # by the service's name
        self._backend_of: dict[str, str] = {}  # the service's name -> the backend's
        self._leaving: dict[str, asyncio.TimerHandle] = {}  # by the service's name
        self._wanted = asyncio.Event()
        self._looking = asyncio.Lock()

    @property
    def cloud_keys(self) -> tuple[CloudKey, ...]:
        """Which keys are set; they are not used unasked."""
        return cloud_keys(self._environ)

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                if self._browser is not None:
                    tasks.create_task(self._listen(self._browser), name="mdns")
                await self.search()
                if not self._core.registry.names:
                    log.info("no local server found; searching again every %g s", self._pace.empty)
                while True:
                    await asyncio.sleep(self._pace.at_least)
                    is_empty = not self._core.registry.names
                    seconds = self._pace.empty if is_empty else self._pace.settled
                    with suppress(TimeoutError):
                        async with asyncio.timeout(seconds):
                            await self._wanted.wait()
                    self._wanted.clear()
                    await self.search()
        finally:
            for timer in self._leaving.values():
                timer.cancel()

    async def search(self) -> tuple[DiscoveryResult, ...]:
        """Search everywhere once; gives the results of the usual places.

        What is new is used, unless a config file says what to use.
        """
        async with self._looking:
            around = {
                name: Place(announced.kind, announced.port, announced.host)
                for name, announced in self._announced.items()
                if name not in self._backend_of
            }
            seen = await probe_all(self._engine, [*self.places, *around.values()])
            self.results = seen[: len(self.places)]
            if self._core.config.path is not None:
                return self.results
            for result in self.results:
                self.use(result)
            for name, result in zip(around, seen[len(self.places) :], strict=True):
                # It may have been withdrawn, or have moved, meanwhile.
                if self._announced.get(name) == _announced(name, result.place):
                    self._use_announced(name, result)
            return self.results

    def use(self, result: DiscoveryResult) -> str | None:
        """Make a backend of what was found on this machine; its name.

        None if it is no server for models, or a backend at the same place is there already.
        """
        return self._use(result, is_own=True)

    def add_cloud(self, kind: BackendType) -> BackendConfig | UnusableBackend:
        """Use a provider's key: somebody asked for it.

        Raises:
            ValueError: there is a backend of its name already.
        """
        key = next(key for key in self.cloud_keys if key.type is kind)
        backend = cloud_backend(key, self._environ)
        if isinstance(backend, BackendConfig):
            self._core.add_backend(backend)
        return backend

    def _use(self, result: DiscoveryResult, *, is_own: bool) -> str | None:
        if result.sight is not Sight.FOUND:
            return None
        host = "127.0.0.1" if is_own else result.place.host
        urls = [backend.url for backend in self._core.registry.snapshots()]
        present = {_of_this_machine(endpoint(url), self._is_own) for url in urls}
        if (host, result.place.port) in present:
            return None
        taken = {*self._core.registry.names, *(u.name for u in self._core.config.unusable)}
        backend = found_backend(result, taken)
        if not is_own:
            # Anybody on the network can announce a server: nothing restricted goes there.
            update = {"zone": PrivacyZone.OPEN, "priority": NETWORK_PRIORITY}
            backend = backend.model_copy(update=update)
        # Of another kind than asked for, it may list its models in another way.
        as_asked = result.probe if result.kind is result.place.kind else None
        self._core.add_backend(backend, as_asked)
        log.info("found backend=%s url=%s: %s", backend.name, backend.url, result.text)
        return backend.name

    # On the network ----------------------------------------------------------------------------

    async def _listen(self, browser: Browser) -> None:
        try:
            async with aclosing(browser.changes()) as changes:
                async for change in changes:
                    match change:
                        case Announced():
                            self._note(change)
                        case Withdrawn():
                            self._start_grace(change.name)
                        case _:
                            assert_never(change)
        except BrowseFailedError as error:
            log.warning("not listening for servers on the network: %s", error)

    def _note(self, announced: Announced) -> None:
        name = announced.name
        if not is_on_this_network(announced.host):
            log.debug("ignored an announcement of %s", announced.host)
            return
        if name not in self._announced and len(self._announced) >= _MAX_ANNOUNCED:
            return
        if (timer := self._leaving.pop(name, None)) is not None:
            timer.cancel()
        if self._announced.get(name) == announced:
            return
        self._drop(name)  # it has moved
        self._announced[name] = announced
        self._wanted.set()

    def _start_grace(self, name: str) -> None:
        if name not in self._announced or name in self._leaving:
            return
        loop = asyncio.get_running_loop()
        self._leaving[name] = loop.call_later(self._pace.grace, self._drop, name)

    def _drop(self, name: str) -> None:
        self._leaving.pop(name, None)
        self._announced.pop(name, None)
        backend = self._backend_of.pop(name, None)
        if backend is None or any(known.name == backend for known in self._core.config.backends):
            return  # never used, or the configuration has taken the name over
        if backend in self._core.registry.names:
            self._core.remove_backend(backend)
            log.info("left the network backend=%s", backend)

    def _use_announced(self, name: str, result: DiscoveryResult) -> None:
        backend = self._use(result, is_own=self._is_own(result.place.host))
        if backend is not None:
            self._backend_of[name] = backend


def _announced(name: str, place: Place) -> Announced:
    return Announced(name, place.kind, place.host, place.port)


def _of_this_machine(place: tuple[str, int], is_own: Callable[[str], bool]) -> tuple[str, int]:
    host, port = place
    return ("127.0.0.1" if is_on_this_network(host) and is_own(host) else host), port
