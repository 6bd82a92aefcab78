"""Registry of backends: switches, health, models, requests in flight, latency."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, KeysView, Mapping, Sized

from msgspec.structs import replace

from nexus_core.config.schema import BackendConfig
from nexus_core.fleet.circuit import Cooldown
from nexus_core.fleet.cooldowns import Cooldowns
from nexus_core.fleet.live import LiveBackend
from nexus_core.fleet.probed import judge
from nexus_core.fleet.snapshot import BackendSnapshot, is_same_server
from nexus_core.fleet.wakes import Wakes
from nexus_core.fleet.zones import Zones
from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import (
    BackendAdded,
    BackendChanged,
    BackendHealthChanged,
    BackendProbed,
    BackendRemoved,
    BackendToggled,
)
from nexus_core.types import (
    CooldownEnd,
    HealthCause,
    HealthStatus,
    PrivacyZone,
    ProbeResult,
)

__all__ = ["BackendSnapshot", "Registry"]


# What every probe changes; no decision goes by it.
_OF_EVERY_PROBE = frozenset({"probed_at", "probe_ms", "consecutive_failures"})


class Registry:
    """Registry of the state of all backends; every change is published."""

    def __init__(
        self,
        backends: Iterable[BackendConfig],
        bus: EventBus,
        now: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._now = now  # seconds since the epoch
        self.clock = clock  # monotonic seconds
        self._entries = {config.name: LiveBackend.of(config) for config in backends}
        self._leaving: dict[str, LiveBackend] = {}  # removed, with requests under way
        self._view: tuple[BackendSnapshot, ...] | None = None
        # Grows with every change but those of load, latency, service time and of a probe that
        # finds all as before: what was worked out from the snapshots of one version holds as long
        # as there is no other.
        self.version = 0
        self._has_cloud: bool | None = None  # None: not looked
        self.zones = Zones()  # changed by `set_zone_enabled` and `set_cut_off` only
        self.wakes = Wakes()
        self.cooldowns = Cooldowns(
            bus,
            now,
            clock,
            knows=lambda name: name in self._entries,
            show=self._show_cooldowns,
            wake=lambda: self.wakes.tell(None),
        )

    def snapshots(self) -> tuple[BackendSnapshot, ...]:
        """Every backend as it is now, in the order of the configuration."""
        if self._view is None:
            # One call for each backend that requests have used meanwhile, none for the others.
            self._view = tuple(
                [e.snapshot() if e.is_stale else e.frozen for e in self._entries.values()]
            )
        return self._view

    def live(self) -> tuple[LiveBackend, ...]:
        """Every backend with its live numbers, in the same order; the same until `version` grows.

        For those that decide once for many requests; everybody else reads `snapshots`.
        """
        return tuple(self._entries.values())

    def snapshot(self, name: str) -> BackendSnapshot:
        """One backend as it is now.

        Raises:
            KeyError: there is no backend of that name.
        """
        return self._entries[name].snapshot()

    @property
    def names(self) -> KeysView[str]:
        """The names of all backends; changes with them."""
        return self._entries.keys()

    def still_holds(self, seen: BackendSnapshot) -> bool:
        """Whether a request may go where a decision saw this backend.

        It is there and on, and its name means the same server in the same zone.
        """
        entry = self._entries.get(seen.name)
        if entry is None:
            return False
        now = entry.frozen  # nothing that requests change is compared
        if not (now.enabled and now.zone_enabled and now.zone is seen.zone):
            return False
        permission = self.zones.permission
        if permission is not None and now.zone is PrivacyZone.OPEN and not permission():
            return False
        return (now.url == seen.url and now.type is seen.type) or is_same_server(now, seen)

    def add(self, config: BackendConfig) -> None:
        """Take in a backend.

        Raises:
            ValueError: there is one of that name.
        """
        if config.name in self._entries:
            raise ValueError(f'there is a backend "{config.name}" already')
        entry = LiveBackend.of(config)
        if (leaving := self._leaving.pop(config.name, None)) is not None:
            # What still runs at one of this name that was removed keeps its slot until it is done.
            entry.taken = leaving.taken
        snapshot = replace(entry.frozen, in_flight=len(entry.taken))
        entry.frozen = self.zones.seen_in(snapshot)
        self._entries[config.name] = entry
        self._has_changed()
        self._bus.publish(
            BackendAdded(
                at=self._now(),
                backend=config.name,
                backend_type=config.type,
                zone=config.zone,
                url=config.url,
            )
        )
        self.wakes.tell(None)

    def remove(self, name: str) -> None:
        """Leave a backend out: no decision falls on it once this returns; what runs finishes.

        Raises:
            KeyError: there is no backend of that name.
        """
        entry = self._entries.pop(name)
        self._has_changed()
        self.cooldowns.forget(name)
        running = len(entry.taken)
        if running:
            self._leaving[name] = entry
        self._bus.publish(BackendRemoved(at=self._now(), backend=name, running=running))
        self.wakes.tell(None)

    def change(self, snapshot: BackendSnapshot, *, models_are_configured: bool) -> None:
        """Put another view of a backend in its place; requests under way keep their slots.

        What its probes showed stays if it is still the same server; no cooldown does.

        Raises:
            KeyError: there is no backend of that name.
        """
        before = self._entries[snapshot.name]
        snapshot = replace(snapshot, in_flight=len(before.taken))
        entry = LiveBackend(
            self.zones.seen_in(snapshot),
            configured_models=models_are_configured,
            taken=before.taken,
        )
        if is_same_server(before.frozen, snapshot):
            entry.consecutive_successes = before.consecutive_successes
        self._entries[snapshot.name] = entry
        self._has_changed()
        self.cooldowns.clear(snapshot.name, CooldownEnd.RELOADED)
        self.wakes.tell(None)

    def arrange(self, names: Iterable[str]) -> None:
        """Put the backends of these names first, in this order."""
        first = {name: self._entries[name] for name in names if name in self._entries}
        self._entries = first | self._entries
        self._has_changed()

    @property
    def has_cloud(self) -> bool:
        """Whether there is a cloud backend."""
        if self._has_cloud is None:
            self._has_cloud = any(one.frozen.type.is_cloud for one in self._entries.values())
        return self._has_cloud

    def knows(self, name: str) -> bool:
        """Whether there is such a backend, or one that was removed and still serves requests."""
        return name in self._entries or name in self._leaving

    def taken(self, name: str) -> Sized:
        """Slots in use of a backend that is there; the same object until `version` grows."""
        return self._entries[name].taken

    def limit_slots(self, name: str, slots: int | None) -> None:
        """How many of a backend's slots this process may use now; None: all."""
        entry = self._entries.get(name)
        if entry is not None and entry.frozen.slots != slots:
            was_full = entry.snapshot().is_full
            self._change(name, slots=slots)
            if was_full:
                self.wakes.tell(name)

    def acquire(self, name: str, half_open_model: str | None = None) -> None:
        """Take one of the backend's slots; whoever does gives it back with `release`.

        Args:
            half_open_model: the model, by the backend's own name, if it is half-open for it.
        """
        self._entries[name].take(self.clock())
        self._view = None
        if half_open_model is not None:
            self.cooldowns.begin_half_open_request(name, half_open_model)

    def release(self, name: str, half_open_model: str | None = None) -> None:
        """Give a slot back, with what it was taken with."""
        entry = self._entries.get(name) or self._leaving[name]
        if half_open_model is not None:
            self.cooldowns.end_half_open_request(name, half_open_model)
        entry.give_back(self.clock())
        self._view = None
        if name in self._entries:
            if self.wakes.listeners:
                self.wakes.tell(name)
        elif not entry.taken:
            del self._leaving[name]

    def record_success(self, name: str, first_byte_ms: float) -> None:
        """An answer begins; its time to the first byte is counted."""
        entry = self._entries.get(name) or self._leaving[name]
        entry.answered(first_byte_ms)
        self._view = None

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Switch a backend on or off until restart; running requests finish.

        Raises:
            KeyError: there is no backend of that name.
        """
        if self.snapshot(name).enabled == enabled:
            return
        at = self._now()
        self._change(name, enabled=enabled, toggled_at=at)
        self.cooldowns.clear(name, CooldownEnd.SWITCHED)
        self._bus.publish(BackendToggled(at=at, backend=name, enabled=enabled))
        self.wakes.tell(None)

    def set_rank(self, name: str, *, tier: int | None, priority: int) -> None:
        """Give a backend another tier and priority until restart.

        Raises:
            KeyError: there is no backend of that name.
        """
        before = self.snapshot(name)
        if (before.tier, before.priority) == (tier, priority):
            return
        self._change(name, tier=tier, priority=priority)
        self._bus.publish(
            BackendChanged(at=self._now(), backend=name, tier=tier, priority=priority)
        )
        self.wakes.tell(None)

    def set_zone_enabled(self, zone: PrivacyZone, enabled: bool) -> bool:
        """Switch every backend of a zone on or off, whatever its own switch; False if it was so."""
        names = [name for name, entry in self._entries.items() if entry.frozen.zone is zone]
        if (zone not in self.zones.off) == enabled:
            return False
        self.zones.off ^= {zone}
        for name in names:
            self._change(name, zone_enabled=enabled)
            self.cooldowns.clear(name, CooldownEnd.SWITCHED)
        self.wakes.tell(None)
        return True

    def set_cut_off(self, silent_store: str | None) -> None:
        """Close the open zone for want of word from a store, or open it again."""
        if self.zones.silent_store == silent_store:
            return
        self.zones.silent_store = silent_store
        for name, entry in self._entries.items():
            if entry.frozen.zone is PrivacyZone.OPEN:
                self._change(name, silent_store=silent_store)
        self.wakes.tell(None)

    def is_zone_enabled(self, zone: PrivacyZone) -> bool:
        """Whether requests may go to the zone's backends."""
        return zone not in self.zones.off

    def record_probe(
        self, name: str, result: ProbeResult, *, failure_threshold: int, recovery_threshold: int
    ) -> None:
        """Take in a health check: thresholds decide; a refused key counts at once.

        A backend that can be reached again is used again at once.
        """
        entry = self._entries[name]
        came_back = entry.snapshot().consecutive_failures > 0
        at = self._now()
        verdict = judge(
            entry,
            result,
            failure_threshold=failure_threshold,
            recovery_threshold=recovery_threshold,
        )
        self._change(name, probed_at=at, **verdict.changes)
        if result.ok:
            self.cooldowns.reached(name, entry.snapshot().models, came_back=came_back)
        if verdict.health is not None:
            self._set_health(name, *verdict.health, result.detail)
        listed = None if result.models is None else len(result.models)
        self._bus.publish(
            BackendProbed(
                at=at, backend=name, ok=result.ok, elapsed_ms=result.elapsed_ms, models=listed
            )
        )
        if result.ok:
            self.wakes.tell(None)

    def record_apis(self, name: str, apis: tuple[str, ...]) -> None:
        """The APIs that a backend speaks itself, as it was found."""
        if self._entries[name].frozen.apis != apis:
            self._change(name, apis=apis)

    def record_refused_key(self, name: str, detail: str) -> None:
        """A request's 401: unhealthy at once, until a probe says otherwise."""
        entry = self._entries.get(name)
        if entry is None:
            return  # removed: nothing is sent to it any more
        entry.consecutive_successes = 0
        self._set_health(name, HealthStatus.UNHEALTHY, HealthCause.AUTH, detail)

    def _show_cooldowns(
        self, name: str, whole: Cooldown | None, models: Mapping[str, Cooldown]
    ) -> None:
        self._change(name, cooldown=whole, cooldowns=models)

    def _set_health(
        self, name: str, health: HealthStatus, cause: HealthCause, detail: str | None
    ) -> None:
        before = self.snapshot(name)
        if (before.health, before.cause, before.detail) == (health, cause, detail):
            return
        at = self._now()
        self._change(name, health=health, cause=cause, detail=detail, health_since=at)
        self._bus.publish(
            BackendHealthChanged(at=at, backend=name, health=health, cause=cause, detail=detail)
        )

    def _change(self, name: str, **changes: object) -> None:
        # It may have been removed since a request went there.
        entry = self._entries.get(name) or self._leaving[name]
        before = entry.snapshot()
        entry.frozen = replace(before, **changes)
        self._view = None
        if any(
            name not in _OF_EVERY_PROBE and getattr(before, name) != value
            for name, value in changes.items()
        ):
            self._has_changed()

    def _has_changed(self) -> None:
        self._view = self._has_cloud = None
        self.version += 1
