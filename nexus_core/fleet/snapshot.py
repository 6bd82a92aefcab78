"""Backend snapshots: the state of a backend at one moment, as frozen values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import msgspec

from nexus_core.catalog import BackendType
from nexus_core.config.base_url import is_same_base
from nexus_core.config.schema import BackendConfig, ServerConfig
from nexus_core.fleet.circuit import NO_COOLDOWNS, Cooldown
from nexus_core.types import (
    API_NAMES,
    BackendState,
    HealthCause,
    HealthStatus,
    ModelDetails,
    PrivacyZone,
    apis_named,
)


class BackendSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """State of a backend at one moment; the input of routing and the screen."""

    name: str
    type: BackendType
    zone: PrivacyZone
    tier: int | None
    priority: int
    max_concurrent: int | None  # of all replicas together
    url: str
    models: Mapping[str, str]  # served name -> the backend's own name
    first_byte_timeout_seconds: float | None = None  # its own; see first_byte_seconds
    apis: tuple[str, ...] = ("chat",)  # whose requests pass to it as they come; see API_NAMES
    # By the backend's own names.
    details: Mapping[str, ModelDetails] = msgspec.field(default_factory=dict[str, ModelDetails])
    models_known: bool = True  # False until a backend without configured models listed its own
    enabled: bool = True
    zone_enabled: bool = True
    silent_store: str | None = None  # its zone is closed: no word from "the fleet's store"
    health: HealthStatus = HealthStatus.UNKNOWN
    cause: HealthCause = HealthCause.NONE
    detail: str | None = None  # for people: why it is unhealthy, or lists nothing
    in_flight: int = 0
    latency_ms: float | None = None  # moving average to the first byte
    service_seconds: float | None = None  # moving average of how long a slot is held
    consecutive_failures: int = 0  # of probes
    health_since: float | None = None  # seconds since the epoch
    toggled_at: float | None = None  # when an operator last switched it
    probed_at: float | None = None
    probe_ms: float | None = None
    # How many of `max_concurrent` this process may use now, others use the rest; None: all.
    slots: int | None = None
    cooldown: Cooldown | None = None  # of the whole backend, which may be over by now
    # Of single models, by the backend's own names.
    cooldowns: Mapping[str, Cooldown] = msgspec.field(default_factory=lambda: NO_COOLDOWNS)

    @property
    def is_on(self) -> bool:
        """Neither it nor its zone is switched off."""
        return self.enabled and self.zone_enabled

    def cooldowns_of(self, model: str) -> tuple[Cooldown, ...]:
        """What a request for the model, by the backend's own name, has to wait for."""
        one = self.cooldowns.get(model)
        both = (self.cooldown, one)
        return tuple(cooldown for cooldown in both if cooldown is not None)

    def cooldown_seconds(self, model: str, at: float) -> float:
        """How long requests for the model still keep away; 0 when they do not."""
        return max((cooldown.seconds(at) for cooldown in self.cooldowns_of(model)), default=0.0)

    def has_half_open_request(self, model: str) -> bool:
        """Half-open for the model, and the one request that it may have is under way."""
        return any(cooldown.is_tried for cooldown in self.cooldowns_of(model))

    def is_half_open(self, model: str) -> bool:
        """A request for the model that is sent now is a trial."""
        if self.cooldown is None and not self.cooldowns:
            return False
        return any(cooldown.is_circuit_open for cooldown in self.cooldowns_of(model))

    @property
    def most(self) -> int | None:
        """How many requests it may have at a time from this process; None: no limit."""
        return self.max_concurrent if self.slots is None else self.slots

    @property
    def is_full(self) -> bool:
        most = self.most
        return most is not None and self.in_flight >= most

    def has_cooldown(self, at: float) -> bool:
        """Whether all of it is left alone for a while; `at` is the cooldowns' clock."""
        return self.cooldown is not None and at < self.cooldown.until

    def is_usable(self, at: float) -> bool:
        """Whether requests are routed to the backend, if not for each of its models."""
        if self.health is HealthStatus.UNHEALTHY or not self.is_on or self.silent_store:
            return False
        return self.cooldown is None or at >= self.cooldown.until

    def state(self, at: float) -> BackendState:
        """What it is like in one word; the switch comes before the health."""
        if not self.is_on:
            return BackendState.DRAINING if self.in_flight else BackendState.OFF
        if self.health is HealthStatus.UNHEALTHY:
            is_refused = self.cause is HealthCause.AUTH
            return BackendState.AUTH if is_refused else BackendState.DOWN
        if self.has_cooldown(at):
            return BackendState.COOLDOWN
        if self.cooldown is not None and self.cooldown.is_circuit_open:
            return BackendState.HALF_OPEN
        if self.health is HealthStatus.UNKNOWN:
            return BackendState.UNKNOWN
        return BackendState.FULL if self.is_full else BackendState.HEALTHY


def usable_ones(backends: Iterable[BackendSnapshot], at: float) -> list[BackendSnapshot]:
    """Those that requests are routed to, in the same order; `at` is the cooldowns' clock."""
    return [backend for backend in backends if backend.is_usable(at)]


def is_same_server(one: BackendSnapshot, other: BackendSnapshot) -> bool:
    """Whether two configurations mean the same server, so that its learnt state stays valid."""
    return one.type is other.type and is_same_base(one.url, other.url, one.type)


def first_byte_seconds(backend: BackendSnapshot, server: ServerConfig) -> float:
    """How long a stream's first content may take: the backend's, the server's or its type's."""
    own = backend.first_byte_timeout_seconds
    return own or server.first_byte_timeout_seconds or backend.type.spec.first_byte_timeout_seconds


def first_snapshot(config: BackendConfig) -> BackendSnapshot:
    """Snapshot of a new backend, from its configuration."""
    return BackendSnapshot(
        name=config.name,
        type=config.type,
        zone=config.zone,
        tier=config.tier,
        priority=config.priority,
        max_concurrent=config.max_concurrent,
        first_byte_timeout_seconds=config.first_byte_timeout_seconds,
        url=config.url,
        models=MappingProxyType(dict(config.models or {})),
        models_known=config.models is not None,
        enabled=config.enabled,
        apis=api_names(config),
    )


def api_names(config: BackendConfig) -> tuple[str, ...]:
    """The APIs whose requests pass as they come, as far as no probe has to find out."""
    spec = config.type.spec
    own = spec.apis if config.apis is None else apis_named(config.apis)
    return tuple(API_NAMES[dialect] for dialect in API_NAMES if dialect in {spec.dialect, *own})
