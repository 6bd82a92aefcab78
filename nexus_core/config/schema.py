"""Every key of nexus.toml: its type, default and limits; what is wrong with a value, in words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)
from pydantic_core import ErrorDetails
from typing_extensions import TypeIs

from nexus_core.config.outbound_proxy import OutboundProxy, check_written
from nexus_core.config.tui import TuiConfig
from nexus_core.near_names import near_names
from nexus_core.types import BackendType, JsonObject, PrivacyZone, is_object

KeyPath = tuple[str | int, ...]  # ("backends", 1, "zone")

# A vendor's prefix, or a long run of small letters and digits. It errs on the side of hiding:
# all it decides is whether a message repeats what the file says.
_KEY_LIKE = re.compile(
    r"(?:^|[^A-Za-z])(?:AIza|(?:sk|pk|rk|gsk|xai|hf|ghp|pat|Bearer)[-_ ])[A-Za-z0-9]"
    r"|(?=[A-Za-z-]*\d)(?=[A-Z0-9-]*[a-z])[A-Za-z0-9-]{24,}"
)


def may_be_a_key(text: str) -> bool:
    """Whether `text` looks like a secret, so that no message may repeat it."""
    return _KEY_LIKE.search(text) is not None


def _variable_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name) or may_be_a_key(name):
        raise ValueError(
            "is not the name of an environment variable (letters, digits and _); "
            "keys must not be in the file"
        )
    return name


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
    if "api-version=" in parts.query:
        raise ValueError(
            "must end with the host or path, without ? or #; "
            "Azure's https://NAME.openai.azure.com/openai/v1 needs no api-version"
        )
    if "?" in url or "#" in url:
        raise ValueError("must end with the host or path, without ? or #")
    return url


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


MAX_ALIAS_STEPS = 3
HOST_PATTERN = r"^\S+$"
NAME_PATTERN = r"^[A-Za-z0-9._-]{1,64}$"

Seconds = Annotated[float, Field(gt=0)]
Tier = Annotated[int, Field(ge=0, le=4)]
Priority = Annotated[int, Field(ge=-1000, le=1000)]
Name = Annotated[str, Field(min_length=1)]
Usd = Annotated[float, Field(ge=0)]
VariableName = Annotated[str, AfterValidator(_variable_name)]
BaseUrlText = Annotated[str, AfterValidator(_base_url)]
ProxyText = Annotated[str, AfterValidator(check_written)]
ModelTable = Annotated[dict[Name, Name], BeforeValidator(_model_table)]


class Section(BaseModel):
    """A table of the file: unknown keys and values of another type are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class ServerConfig(Section):
    host: Annotated[str, Field(pattern=HOST_PATTERN)] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000  # 0: any free port
    request_timeout_seconds: Seconds = 300  # the whole request
    connect_timeout_seconds: Seconds = 5
    first_byte_timeout_seconds: Seconds = 60  # streams only
    idle_timeout_seconds: Seconds = 120  # between two chunks of a stream
    max_connections: Annotated[int, Field(ge=1)] | None = None  # None: what the limits allow
    max_body_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    max_response_bytes: Annotated[int, Field(ge=1024)] = 32 * 1024 * 1024
    shutdown_grace_seconds: Annotated[float, Field(ge=0)] = 10
    upstream: Literal["aiohttp", "httpx"] = "aiohttp"


class ClientKey(Section):
    """One key that clients may present."""

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
    aliases: dict[Name, Name] = {}
    fallbacks: dict[Name, tuple[Name, ...]] = {}
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
    keys: dict[Name, KeyBudgetConfig] = {}  # by the name of the client key


class StorageConfig(Section):
    path: str | None = None  # None: the user's data directory; ":memory:" keeps nothing
    retention_days: Annotated[int, Field(ge=32)] | None = None  # more than a month; None: for ever


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
    enabled: bool = True
    models: ModelTable | None = None  # served name -> upstream name; None: discovered
    api_key_env: VariableName | None = None
    api_key: str | None = Field(default=None, repr=False)  # read from the environment
    proxy: ProxyText | None = None  # None: the environment's, for cloud types
    via: OutboundProxy | None = Field(default=None, repr=False)  # the proxy that is used


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
    tui: TuiConfig = TuiConfig()
    backends: tuple[BackendConfig, ...] = ()
    pricing: dict[str, dict[str, PriceConfig]] = {}
    path: Path | None = None  # the file it came from
    unusable: tuple[UnusableBackend, ...] = ()
    notes: tuple[str, ...] = ()  # for people: what was passed over in the environment


# Fields of the sections that are worked out and never written in the file; list indexes left out.
COMPUTED: frozenset[KeyPath] = frozenset(
    {
        ("path",),
        ("unusable",),
        ("notes",),
        ("auth", "api_keys"),
        ("auth", "admin_key"),
        ("backends", "api_key"),
        ("backends", "via"),
    }
)
A_DATE = [["a date or time"]]  # stands for one: of the wrong type wherever the file has it

_SECRET_NAME = re.compile(
    r"(?:api[-_]?keys?|token|secret|password|authorization|^key|admin_key)$", re.IGNORECASE
)
_EXPECTED = {
    "string_type": "a string",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "dict_type": "a table",
    "model_type": "a table",
    "tuple_type": "a list",
}

_PATTERNS = {
    HOST_PATTERN: "an address or a host name",
    NAME_PATTERN: "1 to 64 letters, digits, dots, underscores or hyphens",
}


class Fault(NamedTuple):
    """A problem, in words for the person who wrote the file."""

    path: KeyPath
    text: str
    is_key: bool  # it is about the key itself and not about its value


def explain(error: ValidationError) -> list[Fault]:
    """Each problem with its place."""
    return [
        Fault(*_in_words(one), one["type"] == "extra_forbidden" or "[key]" in one["loc"])
        for one in error.errors(include_url=False)
    ]


def shown(value: object) -> str:
    """A value of the file as a message may repeat it: one line, no control characters, no key."""
    if isinstance(value, str):
        if len(value) > 80 or may_be_a_key(value):
            return "this value"
        return f'"{written_out(value)}"'
    if isinstance(value, int | float):
        return str(value) if len(str(value)) < 30 else "this number"
    return "this value"


def shown_path(path: KeyPath) -> str:
    """backends[1].zone; a key that is not a bare one is quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z0-9_-]+", part) and not may_be_a_key(part):
            text += f".{part}"
        else:
            text += f".{shown(part)}"
    return text.removeprefix(".")


def unknown_key(path: KeyPath) -> str:
    """What is wrong with a key that the file must not have. Never repeats its value."""
    name = str(path[-1])
    if _SECRET_NAME.search(name):
        variable = "api_keys_env or admin_key_env" if path[0] == "auth" else "api_key_env"
        return (
            f"keys must not be in the file; set {variable} to the name of an environment variable"
        )
    parents = tuple(part for part in path[:-1] if isinstance(part, str))
    properties = _schema_at(path[:-1]).get("properties", {})
    allowed = [key for key in properties if (*parents, key) not in COMPUTED]
    if meant := did_you_mean(name, allowed):
        return f"unknown key{meant}"
    return f"unknown key; allowed here: {', '.join(allowed)}"


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A hint to append to a message; empty when nothing is near."""
    near = near_names(word, choices, limit=1)
    return f'; did you mean "{near[0]}"?' if near else ""


def written_out(text: str) -> str:
    """The text with control characters as escapes."""
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii")
        for char in text
    )


def _in_words(details: ErrorDetails) -> tuple[KeyPath, str]:
    path = tuple(part for part in details["loc"] if part != "[key]")
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "extra_forbidden":
        return path, unknown_key(path)
    if kind == "missing":
        return path, "is missing"
    if kind == "value_error":
        return path, str(context["error"])
    if kind in ("enum", "literal_error"):
        return path, _not_one_of(value, re.findall(r"'([^']*)'", context["expected"]))
    if kind in _EXPECTED:
        hint = ", so write [[backends]]" if path == ("backends",) else ""
        return path, f"must be {_EXPECTED[kind]}{hint}, not {_kind(value)}"
    if kind == "string_too_short":
        return path, "must not be empty"
    if kind == "string_too_long":
        return path, f"must have {context['max_length']} characters at most"
    if kind == "string_pattern_mismatch":
        return path, f"{shown(value)} is not {_PATTERNS[context['pattern']]}"
    if kind.startswith(("greater_than", "less_than")):
        return path, f"{shown(value)} is not {_bounds(_schema_at(path))}"
    return path, details["msg"]


def _not_one_of(value: object, choices: list[str]) -> str:
    meant = did_you_mean(value, choices) if isinstance(value, str) else ""
    return f"{shown(value)} is not one of {', '.join(choices)}{meant}"


def _kind(value: object) -> str:
    if value == A_DATE:
        return "a date or time"
    for kind, words in (
        (bool, "true or false"),
        (str, "a string"),
        (int, "a number"),
        (float, "a number with a fraction"),
        (list, "a list"),
        (dict, "a table"),
    ):
        if isinstance(value, kind):
            return words
    return "that"


def _bounds(schema: dict[str, Any]) -> str:
    low, high, above = (schema.get(key) for key in ("minimum", "maximum", "exclusiveMinimum"))
    if low is not None and high is not None:
        return f"between {low:g} and {high:g}"
    if above is not None and high is not None:
        return f"above {above:g} and at most {high:g}"
    if above is not None:
        return f"above {above:g}"
    return f"{low:g} or more" if high is None else f"{high:g} or less"


@cache
def _schema() -> dict[str, Any]:
    return Config.model_json_schema()


def _schema_at(path: KeyPath) -> dict[str, Any]:
    """The JSON schema of one place of the file; empty where there is none."""
    node = _resolved(_schema())
    for part in path:
        if isinstance(part, int):
            node = _resolved(node.get("items", {}))
        else:
            other: JsonObject = node.get("additionalProperties") or {}
            node = _resolved(node.get("properties", {}).get(part, other))
    return node


def _resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in node:  # X | None
        node = node["anyOf"][0]
    if "$ref" in node:
        found: dict[str, Any] = _schema()["$defs"][node["$ref"].rpartition("/")[2]]
        return found
    return node
