"""What is known of a backend at one moment, and what a look at it found: plain frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from nexus_core.config import BackendConfig
from nexus_core.types import BackendType, Capability, HealthCause, HealthStatus, PrivacyZone


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelDetails:
    """What a backend tells of one of its models, as far as it does."""

    is_loaded: bool | None = None  # in memory: the first request need not wait for it
    context_tokens: int | None = None  # of the loaded window, not what the model could take
    lacks: frozenset[Capability] = frozenset()


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
    details: Mapping[str, ModelDetails] = field(default_factory=dict)  # by the backend's own names
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
    def is_on(self) -> bool:
        """Neither it nor its zone is switched off."""
        return self.enabled and self.zone_enabled

    @property
    def has_its_trial(self) -> bool:
        """On trial, and the one request it may have is there."""
        return self.is_on_trial and self.in_flight > 0

    @property
    def is_full(self) -> bool:
        return self.max_concurrent is not None and self.in_flight >= self.max_concurrent


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """What a health check found."""

    elapsed_ms: float
    models: tuple[str, ...] | None = None  # what the backend lists; None when it did not answer
    details: Mapping[str, ModelDetails] | None = None  # None: it tells none, or not this time
    cause: HealthCause = HealthCause.NONE
    detail: str | None = None
    is_inconclusive: bool = False  # it failed for want of something of our own: nobody was asked

    @property
    def ok(self) -> bool:
        return self.models is not None


def is_same_server(one: BackendSnapshot, other: BackendSnapshot) -> bool:
    """Whether what is known of one holds for the other."""
    return (one.url, one.type) == (other.url, other.type)


def first_snapshot(config: BackendConfig) -> BackendSnapshot:
    """A backend of which nothing is known but its configuration."""
    return BackendSnapshot(
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
