"""The sections of nexus.toml as frozen values: every key, its type, its default and its limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from nexus_core.types import BackendType, PrivacyZone

Seconds = Annotated[float, Field(gt=0)]
Tier = Annotated[int, Field(ge=0, le=4)]


class Section(BaseModel):
    """A table of the file: unknown keys and values of another type are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class ServerConfig(Section):
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000  # 0: any free port
    request_timeout_seconds: Seconds = 300  # the whole request
    connect_timeout_seconds: Seconds = 5
    first_byte_timeout_seconds: Seconds = 60  # streams only
    idle_timeout_seconds: Seconds = 120  # between two chunks of a stream
    max_body_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    max_response_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    shutdown_grace_seconds: Annotated[float, Field(ge=0)] = 10
    upstream: Literal["aiohttp", "httpx"] = "aiohttp"


class ClientKey(Section):
    """One key that clients may present."""

    name: str  # as written before the colon, else key-1, key-2, …
    value: bytes = Field(repr=False)


class AuthConfig(Section):
    api_keys_env: str = "NEXUS_API_KEYS"
    admin_key_env: str = "NEXUS_ADMIN_KEY"
    api_keys: tuple[ClientKey, ...] = Field(default=(), repr=False)  # read from the environment
    admin_key: bytes | None = Field(default=None, repr=False)  # the same


class HealthCheckConfig(Section):
    enabled: bool = True
    interval_seconds: Seconds = 30
    timeout_seconds: Seconds = 5
    failure_threshold: Annotated[int, Field(ge=1)] = 3
    recovery_threshold: Annotated[int, Field(ge=1)] = 1


class WeightsConfig(Section):
    priority: Annotated[float, Field(ge=0)] = 50
    load: Annotated[float, Field(ge=0)] = 30
    latency: Annotated[float, Field(ge=0)] = 20


class PolicyConfig(Section):
    model_pattern: str  # a glob, matched against the asked-for and every resolved name
    privacy: PrivacyZone = PrivacyZone.OPEN
    min_tier: Tier | None = None


class RoutingConfig(Section):
    strategy: Literal["smart", "round_robin", "priority_only", "random"] = "smart"
    max_retries: Annotated[int, Field(ge=0)] = 2
    unsupported_params: Literal["drop", "reject"] = "drop"
    weights: WeightsConfig = WeightsConfig()
    aliases: dict[str, str] = {}
    fallbacks: dict[str, tuple[str, ...]] = {}
    policies: tuple[PolicyConfig, ...] = ()


class QueueConfig(Section):
    enabled: bool = False
    max_size: Annotated[int, Field(ge=1)] = 100
    max_wait_seconds: Seconds = 30


class BudgetConfig(Section):
    monthly_limit_usd: Annotated[float, Field(ge=0)] | None = None
    soft_limit_percent: Annotated[float, Field(gt=0, le=100)] = 75
    hard_limit_action: Literal["warn", "block_cloud", "block_all"] = "block_cloud"


class StorageConfig(Section):
    path: str | None = None  # None: the user's data directory; ":memory:" keeps nothing


class PriceConfig(Section):
    input_per_1k: Annotated[float, Field(ge=0)]  # USD per 1,000 tokens
    output_per_1k: Annotated[float, Field(ge=0)]


class BackendConfig(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    url: str  # the provider's root, without a trailing slash, /v1 or /v1beta
    type: BackendType
    zone: PrivacyZone
    tier: Tier | None = None
    priority: int = 50
    max_concurrent: Annotated[int, Field(ge=1)] | None = None  # None: unlimited
    enabled: bool = True
    models: dict[str, str] | None = None  # served name -> upstream name; None: discovered
    api_key_env: str | None = None
    api_key: str | None = Field(default=None, repr=False)  # read from the environment


class UnusableBackend(Section):
    """A backend of the file that was not registered."""

    name: str
    type: BackendType
    zone: PrivacyZone
    why: str  # for people: names the variable or key, and the mend


class Config(Section):
    """The whole configuration, checked, with keys read from the environment."""

    server: ServerConfig = ServerConfig()
    auth: AuthConfig = AuthConfig()
    health_check: HealthCheckConfig = HealthCheckConfig()
    routing: RoutingConfig = RoutingConfig()
    queue: QueueConfig = QueueConfig()
    budget: BudgetConfig = BudgetConfig()
    storage: StorageConfig = StorageConfig()
    backends: tuple[BackendConfig, ...] = ()
    pricing: dict[str, dict[str, PriceConfig]] = {}
    path: Path | None = None  # the file it came from
    unusable: tuple[UnusableBackend, ...] = ()
    warnings: tuple[str, ...] = ()  # for people: keys that are accepted and have no effect yet
