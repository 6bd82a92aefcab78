"""Schema of nexus.toml: type, default and limits of every key; validation messages."""

# Annotations are values here: pydantic would compile each string again, 2 ms of every start.

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from typing_extensions import TypeIs

from nexus_core.catalog import BackendType
from nexus_core.config.outbound_proxy import OutboundProxy, check_written
from nexus_core.config.sections.base import (
    AT_START,
    HOST_PATTERN,
    NAME_PATTERN,
    Name,
    Seconds,
    Section,
    VariableName,
)
from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.config.sections.limits import LimitsConfig
from nexus_core.config.tui import TuiConfig
from nexus_core.types import API_NAMES, DialectName, PrivacyZone, is_object

KeyPath = tuple[str | int, ...]  # ("backends", 1, "zone")


def _base_url(url: str) -> str:
    """The URL as it is written: `base_url` reads it. Its problems never repeat it."""
    if any(char.isspace() or not char.isprintable() for char in url):
        raise ValueError("contains a space or control character")
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
        parts = urlsplit("")
    if not is_whole:
        raise ValueError("must be http:// or https:// and a host, such as http://127.0.0.1:11434")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user name or password; use api_key_env for a key")
    if ("?" in url and not has_api_version(url)) or "#" in url:
        raise ValueError("must end with the host or path, without ? or #")
    return url


def has_api_version(url: str) -> bool:
    """Whether the URL ends in the one query that a backend may have, and Azure's alone."""
    return re.search(r"\?api-version=[A-Za-z0-9-]{1,32}$", url) is not None


def _is_sequence(value: object) -> TypeIs[list[object] | tuple[object, ...]]:
    return isinstance(value, list | tuple)


def _model_table(models: object) -> object:
    """A list of names is a table from each name to itself."""
    if not (is_object(models) or _is_sequence(models)):
        raise ValueError("must be a list of names, or a table from served to upstream names")
    if not models:
        raise ValueError("is empty; remove it to discover the models of the backend")
    if is_object(models):
        return models
    names: dict[str, str] = {}
    for name in models:
        if not isinstance(name, str) or not name:
            raise ValueError("must contain names only")
        if name in names:
            raise ValueError("contains a duplicate model")
        names[name] = name
    return names


def _api_name(name: str) -> str:
    known = [known for dialect, known in API_NAMES.items() if dialect is not DialectName.GEMINI]
    if name not in known:
        raise ValueError(f"is not one of {', '.join(known)}")
    return name


Tier = Annotated[int, Field(ge=0, le=4)]
Priority = Annotated[int, Field(ge=-1000, le=1000)]
Usd = Annotated[float, Field(ge=0)]
BaseUrlText = Annotated[str, AfterValidator(_base_url)]
ProxyText = Annotated[str, AfterValidator(check_written)]
ApiName = Annotated[str, AfterValidator(_api_name)]
ModelTable = Annotated[dict[Name, Name], BeforeValidator(_model_table)]


class ServerConfig(Section):
    host: Annotated[str, Field(pattern=HOST_PATTERN), AT_START] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535), AT_START] = 8000  # 0: any free port
    workers: Annotated[int, Field(ge=1, le=64), AT_START] = 1  # processes that serve the port
    request_timeout_seconds: Seconds = 300  # the whole request
    connect_timeout_seconds: Seconds = 5
    # Of streams. None: as the backend's type has it; a backend's own counts before it.
    first_byte_timeout_seconds: Seconds | None = None
    idle_timeout_seconds: Seconds = 120  # between two chunks of a stream
    ping_seconds: Annotated[float, Field(ge=0)] = 15  # of silence in a stream; 0: never
    # None: what the limits allow
    max_connections: Annotated[Annotated[int, Field(ge=1)] | None, AT_START] = None
    max_body_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    max_response_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    drain_seconds: Annotated[float, Field(ge=0), AT_START] = 0  # /health is 503, all is served on
    shutdown_grace_seconds: Annotated[float, Field(ge=0), AT_START] = 10
    upstream: Annotated[Literal["http1", "httpx"], AT_START] = "http1"


class ClientKey(Section):
    """A client key."""

    name: str  # as written before the colon, else key-1, key-2, …
    value: bytes = Field(repr=False)


class AuthConfig(Section):
    api_keys_env: VariableName = "NEXUS_API_KEYS"
    admin_key_env: VariableName = "NEXUS_ADMIN_KEY"
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
    # A glob, matched against the asked-for and every resolved name.
    model_pattern: Annotated[str, Field(min_length=1, max_length=256)]
    privacy: PrivacyZone = PrivacyZone.OPEN
    min_tier: Tier | None = None


class RoutingConfig(Section):
    strategy: Literal["smart", "round_robin", "priority_only", "random"] = "smart"
    max_retries: Annotated[int, Field(ge=0)] = 2
    unsupported_params: Literal["drop", "reject"] = "drop"
    weights: WeightsConfig = WeightsConfig()
    aliases: dict[Name, Name] = Field(default={})  # see nexus_core/aliases.py
    fallbacks: dict[Name, tuple[Name, ...]] = Field(default={})
    policies: tuple[PolicyConfig, ...] = ()


class QueueConfig(Section):
    enabled: bool = False
    max_size: Annotated[int, Field(ge=1)] = 100
    max_wait_seconds: Seconds = 30


class KeyBudgetConfig(Section):
    monthly_limit_usd: Usd


class BudgetConfig(Section):
    monthly_limit_usd: Usd | None = None
    soft_limit_percent: Annotated[float, Field(gt=0, le=100)] = 75
    hard_limit_action: Literal["warn", "block_cloud", "block_all"] = "block_cloud"
    unpriced: Literal["allow", "block"] = "allow"  # cloud models whose cost no limit can hold
    keys: dict[Name, KeyBudgetConfig] = Field(default={})  # by the name of the client key


class StorageConfig(Section):
    path: str | None = None  # None: the user's data directory; ":memory:" keeps nothing
    retention_days: Annotated[int, Field(ge=32)] | None = None  # more than a month; None: for ever
    url_env: VariableName | None = None  # PostgreSQL, for the ledger and created keys of a fleet
    url: str | None = Field(default=None, repr=False)  # read from the environment


class PriceConfig(Section):
    input_per_1k: Usd  # per 1,000 tokens, as all of these
    output_per_1k: Usd
    cached_input_per_1k: Usd | None = None  # None: as input_per_1k
    cache_write_per_1k: Usd | None = None  # the same


class BackendConfig(Section):
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    url: BaseUrlText  # as it is written; what it means: base_url
    type: BackendType
    zone: PrivacyZone
    tier: Tier | None = None
    priority: Priority = 50
    max_concurrent: Annotated[int, Field(ge=1)] | None = None  # None: unlimited
    first_byte_timeout_seconds: Seconds | None = None  # None: the server's, or its type's
    enabled: bool = True
    models: ModelTable | None = None  # served name -> upstream name; None: discovered
    apis: tuple[ApiName, ...] | None = None  # that it speaks itself; None: found out, or its type's
    api_key_env: VariableName | None = None
    api_key: str | None = Field(default=None, repr=False)  # read from the environment
    proxy: ProxyText | None = None  # None: the environment's, for cloud types
    via: OutboundProxy | None = Field(default=None, repr=False)  # the proxy that is used


class UnusableBackend(Section):
    """A configured backend that can't be used."""

    name: str
    type: BackendType
    zone: PrivacyZone
    why: str  # for people: names the variable or key, and the mend


class Config(Section):
    """The checked configuration, with keys from the environment."""

    server: ServerConfig = ServerConfig()
    auth: Annotated[AuthConfig, AT_START] = AuthConfig()
    health_check: HealthCheckConfig = HealthCheckConfig()
    routing: RoutingConfig = RoutingConfig()
    queue: Annotated[QueueConfig, AT_START] = QueueConfig()
    budget: BudgetConfig = BudgetConfig()
    limits: LimitsConfig = LimitsConfig()
    storage: Annotated[StorageConfig, AT_START] = StorageConfig()
    fleet: Annotated[FleetConfig | None, AT_START] = None  # None: one process, nothing shared
    tui: TuiConfig = TuiConfig()
    backends: tuple[BackendConfig, ...] = ()
    pricing: dict[str, dict[str, PriceConfig]] = Field(default={})
    path: Path | None = None  # the file it came from
    unusable: tuple[UnusableBackend, ...] = ()
    notes: tuple[str, ...] = ()  # for people: what was passed over in the environment
    outdated: tuple[str, ...] = ()  # for people: values that have another name now


# Fields of the sections that are worked out and never written in the file; list indexes left out.
COMPUTED: frozenset[KeyPath] = frozenset(
    {
        ("path",),
        ("unusable",),
        ("notes",),
        ("outdated",),
        ("auth", "api_keys"),
        ("auth", "admin_key"),
        ("storage", "url"),
        ("backends", "api_key"),
        ("backends", "via"),
        ("fleet", "url"),
    }
)
