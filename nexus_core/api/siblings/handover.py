"""What a new worker takes over from one that serves: the configuration in force, and all switches.

It holds keys, and goes only through sockets that are their owner's alone.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field

from nexus_core.config.changes import AddBackend
from nexus_core.config.schema import BackendConfig, Config
from nexus_core.gateway import Gateway
from nexus_core.keys.live import KnownKeys
from nexus_core.types import PrivacyZone

PATH = "/handover"


@dataclass(frozen=True, slots=True)
class Handover:
    """What lasts until restart, and is to outlive a single worker."""

    config: Config = field(repr=False)
    zones: dict[PrivacyZone, bool]
    added: tuple[BackendConfig, ...] = field(repr=False)
    enabled: dict[str, bool]  # by the name of the backend
    ranks: dict[str, tuple[int | None, int]]  # tier and priority
    is_capturing: bool
    keys: KnownKeys | None = field(default=None, repr=False)  # that were created


def handover_of(gateway: Gateway) -> Handover:
    """What holds in this worker now."""
    backends = gateway.registry.snapshots()
    changes = gateway.live.unsaved_changes()
    return Handover(
        config=gateway.config,
        zones={zone: gateway.registry.is_zone_enabled(zone) for zone in PrivacyZone},
        added=tuple(change.backend for change in changes if isinstance(change, AddBackend)),
        enabled={backend.name: backend.enabled for backend in backends},
        ranks={backend.name: (backend.tier, backend.priority) for backend in backends},
        is_capturing=gateway.captures.is_on,
        keys=gateway.keys.known(),
    )


def take_over(gateway: Gateway, handover: Handover) -> None:
    """Have it hold in this worker as well, which was made with the same configuration."""
    registry = gateway.registry
    for zone, enabled in handover.zones.items():
        registry.set_zone_enabled(zone, enabled)
    for backend in handover.added:
        gateway.live.add_backend(backend)
    for name in registry.names:
        if name in handover.enabled:
            registry.set_enabled(name, handover.enabled[name])
            tier, priority = handover.ranks[name]
            registry.set_rank(name, tier=tier, priority=priority)
    gateway.captures.switch(handover.is_capturing)
    if handover.keys is not None:
        gateway.keys.adopt(handover.keys)


def written(handover: Handover) -> bytes:
    """It as bytes, for the supervisor."""
    return pickle.dumps(handover, pickle.HIGHEST_PROTOCOL)


def read(data: bytes) -> Handover:
    """The same again; only of bytes that a worker of ours wrote."""
    handover: Handover = pickle.loads(data)  # noqa: S301 - over a socket of our own
    return handover
