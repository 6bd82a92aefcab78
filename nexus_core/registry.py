"""What is known of each backend now: switches, health, models, work in flight, latency."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from nexus_core.circuit import Circuit
from nexus_core.config import BackendConfig
from nexus_core.events import (
    BackendChanged,
    BackendHealthChanged,
    BackendProbed,
    BackendToggled,
    EventBus,
)
from nexus_core.types import BackendType, HealthCause, HealthStatus, PrivacyZone

_SMOOTHING = 0.2  # the newest value's share of a moving average


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendSnapshot:
    """A backend as it is at one moment; routing and the screen read nothing else."""

    name: str
    type: BackendType
    zone: PrivacyZone
    tier: int | None
    priority: int
    max_concurrent: int | None
    url: str
    models: Mapping[str, str]  # served name -> the backend's own name
    models_known: bool = True  # False until a backend without configured models listed its own
    enabled: bool = True
    zone_enabled: bool = True
    health: HealthStatus = HealthStatus.UNKNOWN
    cause: HealthCause = HealthCause.NONE
    detail: str | None = None  # for people: why it is unhealthy
    in_flight: int = 0
    latency_ms: float | None = None  # moving average to the first byte
    service_seconds: float | None = None  # moving average of how long a slot is held
    consecutive_failures: int = 0  # of probes
    health_since: float | None = None  # seconds since the epoch
    toggled_at: float | None = None  # when an operator last switched it
    probed_at: float | None = None
    probe_ms: float | None = None
    rests_until: float | None = None  # monotonic seconds: no request before then
    rests_why: str | None = None  # for people
    is_on_trial: bool = False  # it kept failing: after its rest, one request at a time

    @property
    def is_full(self) -> bool:
        return self.max_concurrent is not None and self.in_flight >= self.max_concurrent


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What a health check found."""

    elapsed_ms: float
    models: tuple[str, ...] | None = None  # what the backend lists; None when it did not answer
    cause: HealthCause = HealthCause.NONE
    detail: str | None = None

    @property
    def ok(self) -> bool:
        return self.models is not None


@dataclass(slots=True)
class _Entry:
    snapshot: BackendSnapshot
    configured_models: bool
    consecutive_successes: int = 0
    circuit: Circuit = field(default_factory=Circuit)
    taken: deque[float] = field(default_factory=deque)  # when each slot in use was taken


class Registry:
    """The one place that knows the state of the backends; every change is published."""

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
        self._entries = {config.name: _first_entry(config) for config in backends}
        self._view: tuple[BackendSnapshot, ...] | None = None
        self._zones_off: set[PrivacyZone] = set()
        self._listeners: list[Callable[[str | None], None]] = []

    def snapshots(self) -> tuple[BackendSnapshot, ...]:
        """Every backend as it is now, in the order of the configuration."""
        if self._view is None:
            self._view = tuple(entry.snapshot for entry in self._entries.values())
        return self._view

    def snapshot(self, name: str) -> BackendSnapshot:
        """One backend as it is now.

        Raises:
            KeyError: there is no backend of that name.
        """
        return self._entries[name].snapshot

    def on_change(self, listener: Callable[[str | None], None]) -> None:
        """Call `listener` whenever a request may find what it did not find before.

        It gets the name of the backend with a freed slot, or None after any other change.
        """
        self._listeners.append(listener)

    def acquire(self, name: str) -> None:
        """Take one of the backend's slots; whoever does gives it back with `release` or `held`."""
        entry = self._entries[name]
        entry.taken.append(self.clock())
        self._change(name, in_flight=entry.snapshot.in_flight + 1)

    def release(self, name: str) -> None:
        """Give a slot back."""
        entry = self._entries[name]
        # Which of the requests ended does not matter to the average over all of them.
        seconds = self.clock() - entry.taken.popleft()
        held = _smoothed(entry.snapshot.service_seconds, seconds)
        self._change(name, in_flight=entry.snapshot.in_flight - 1, service_seconds=held)
        self._tell(name)

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        """Give an acquired slot back however the block ends."""
        try:
            yield
        finally:
            self.release(name)

    def record_failure(self, name: str, why: str, *, is_unreachable: bool) -> None:
        """A request failed at the backend; enough of them rest it."""
        circuit = self._entries[name].circuit
        circuit.fail(self.clock(), why, is_unreachable=is_unreachable)
        self._show_circuit(name, circuit)

    def rest(self, name: str, seconds: float | None) -> None:
        """The backend answered 429; `seconds` is its Retry-After, None without one."""
        circuit = self._entries[name].circuit
        circuit.rest(self.clock(), seconds)
        self._show_circuit(name, circuit)

    def record_success(self, name: str, first_byte_ms: float) -> None:
        """A request was answered; its time to the first byte is counted."""
        circuit = self._entries[name].circuit
        if circuit.failures:
            circuit.succeed()
            self._show_circuit(name, circuit)
        latency_ms = _smoothed(self.snapshot(name).latency_ms, first_byte_ms)
        self._change(name, latency_ms=latency_ms)

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Switch a backend on or off until restart; running requests finish.

        Raises:
            KeyError: there is no backend of that name.
        """
        if self.snapshot(name).enabled == enabled:
            return
        at = self._now()
        self._change(name, enabled=enabled, toggled_at=at)
        self._bus.publish(BackendToggled(at=at, backend=name, enabled=enabled))
        self._tell(None)

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
        self._tell(None)

    def set_zone_enabled(self, zone: PrivacyZone, enabled: bool) -> bool:
        """Switch every backend of a zone on or off, whatever its own switch; False if it was so."""
        names = [name for name, entry in self._entries.items() if entry.snapshot.zone is zone]
        if (zone not in self._zones_off) == enabled:
            return False
        self._zones_off ^= {zone}
        for name in names:
            self._change(name, zone_enabled=enabled)
        self._tell(None)
        return True

    def is_zone_enabled(self, zone: PrivacyZone) -> bool:
        """Whether requests may go to the zone's backends."""
        return zone not in self._zones_off

    def record_probe(
        self, name: str, result: ProbeResult, *, failure_threshold: int, recovery_threshold: int
    ) -> None:
        """Take in a health check: thresholds decide; a refused key counts at once."""
        entry = self._entries[name]
        snapshot = entry.snapshot
        at = self._now()
        self._change(name, probed_at=at, probe_ms=result.elapsed_ms)
        if result.ok:
            entry.consecutive_successes += 1
            self._change(name, consecutive_failures=0)
            if not entry.configured_models and result.models is not None:
                sound = filter(_is_unicode, result.models)
                served = MappingProxyType({model: model for model in sound})
                self._change(name, models=served, models_known=True)
            is_new = snapshot.health is HealthStatus.UNKNOWN
            if is_new or entry.consecutive_successes >= recovery_threshold:
                self._set_health(name, HealthStatus.HEALTHY, HealthCause.NONE, None)
        else:
            entry.consecutive_successes = 0
            failures = snapshot.consecutive_failures + 1
            self._change(name, consecutive_failures=failures)
            if result.cause is HealthCause.AUTH or failures >= failure_threshold:
                self._set_health(name, HealthStatus.UNHEALTHY, result.cause, result.detail)
        listed = None if result.models is None else len(result.models)
        self._bus.publish(
            BackendProbed(
                at=at, backend=name, ok=result.ok, elapsed_ms=result.elapsed_ms, models=listed
            )
        )
        if result.ok:
            self._tell(None)

    def record_refused_key(self, name: str, detail: str) -> None:
        """A request's 401 or 403: unhealthy at once, until a probe says otherwise."""
        self._entries[name].consecutive_successes = 0
        self._set_health(name, HealthStatus.UNHEALTHY, HealthCause.AUTH, detail)

    def _tell(self, freed: str | None) -> None:
        for listener in self._listeners:
            listener(freed)

    def _show_circuit(self, name: str, circuit: Circuit) -> None:
        self._change(
            name,
            rests_until=circuit.until,
            rests_why=circuit.why,
            is_on_trial=circuit.is_open,
        )

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
        entry = self._entries[name]
        entry.snapshot = replace(entry.snapshot, **changes)  # type: ignore[arg-type]
        self._view = None


def _is_unicode(name: str) -> bool:
    """JSON may name half a character, which no answer of ours could repeat."""
    return not any("\ud800" <= char <= "\udfff" for char in name)


def _smoothed(average: float | None, newest: float) -> float:
    """The moving average after one more value."""
    return newest if average is None else average + _SMOOTHING * (newest - average)


def _first_entry(config: BackendConfig) -> _Entry:
    snapshot = BackendSnapshot(
        name=config.name,
        type=config.type,
        zone=config.zone,
        tier=config.tier,
        priority=config.priority,
        max_concurrent=config.max_concurrent,
        url=config.url,
        models=MappingProxyType(dict(config.models or {})),
        models_known=config.models is not None,
        enabled=config.enabled,
    )
    return _Entry(snapshot, configured_models=config.models is not None)
