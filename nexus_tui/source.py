"""Where the dashboard's data comes from: the running core, behind one small protocol."""

from __future__ import annotations

from typing import Protocol

from nexus_core.config import Config
from nexus_core.events import EventBus, NexusEvent
from nexus_core.registry import BackendSnapshot, Registry
from nexus_core.stats import Stats


class Core(Protocol):
    """What the dashboard needs of the gateway."""

    @property
    def config(self) -> Config: ...
    @property
    def bus(self) -> EventBus: ...
    @property
    def stats(self) -> Stats: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def started_at(self) -> float: ...  # seconds since the epoch

    def set_backend_enabled(self, name: str, enabled: bool) -> None: ...
    async def probe(self, name: str) -> object: ...


class EventSource(Protocol):
    """One Nexus to watch. Events are taken in batches; state is asked for when it is drawn."""

    @property
    def address(self) -> str: ...  # host:port
    @property
    def started_at(self) -> float: ...  # seconds since the epoch
    @property
    def is_demo(self) -> bool: ...
    @property
    def config(self) -> Config: ...
    @property
    def stats(self) -> Stats: ...

    def backends(self) -> tuple[BackendSnapshot, ...]:
        """Every backend as it is now, in the order of the configuration."""
        ...

    def drain(self) -> list[NexusEvent]:
        """What happened since the last call, oldest first; never waits."""
        ...

    async def wait(self) -> None:
        """Return once there is something to drain."""
        ...

    def set_backend_enabled(self, name: str, enabled: bool) -> None:
        """Ask to switch a backend on or off; done when the snapshot says so."""
        ...

    async def probe(self, name: str) -> None:
        """Ask a backend how it is; the answer comes as an event."""
        ...

    def close(self) -> None:
        """Stop receiving."""
        ...


class LocalSource:
    """The gateway in this process: references are handed over, nothing is copied.

    Receives from the moment it is made, so events before the first drain are kept.
    """

    def __init__(
        self, gateway: Core, address: str = "127.0.0.1:8000", is_demo: bool = False
    ) -> None:
        self.address = address
        self.is_demo = is_demo
        self._core = gateway
        self._subscription = gateway.bus.subscribe()

    @property
    def started_at(self) -> float:
        return self._core.started_at

    @property
    def config(self) -> Config:
        return self._core.config

    @property
    def stats(self) -> Stats:
        return self._core.stats

    def backends(self) -> tuple[BackendSnapshot, ...]:
        return self._core.registry.snapshots()

    def drain(self) -> list[NexusEvent]:
        return self._subscription.drain()

    async def wait(self) -> None:
        await self._subscription.wait()

    def set_backend_enabled(self, name: str, enabled: bool) -> None:
        self._core.set_backend_enabled(name, enabled)

    async def probe(self, name: str) -> None:
        await self._core.probe(name)

    def close(self) -> None:
        self._subscription.close()
