"""Shared types: backend types, zones, health, route reasons, money."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

import msgspec
from typing_extensions import TypeIs

JsonObject: TypeAlias = dict[str, Any]  # a parsed body: the line where JSON comes in
# Parsed JSON of any kind: `isinstance` narrows it, where `is_object` would cost too much.
JsonValue: TypeAlias = "JsonObject | list[JsonValue] | str | float | bool | None"


def is_object(value: object) -> TypeIs[JsonObject]:
    """Whether parsed JSON is an object; its keys are text by JSON's own rule."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeIs[list[Any]]:
    """Whether parsed JSON is a list."""
    return isinstance(value, list)


class PrivacyZone(StrEnum):
    """Privacy zone: `restricted` prompts stay with backends of that zone."""

    RESTRICTED = "restricted"
    OPEN = "open"


class HealthStatus(StrEnum):
    """Health of a backend by probes; `unknown` until the first one, treated as healthy."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class BackendState(StrEnum):
    """What a backend is like now, in one word: the same on every screen, in plain text and JSON."""

    OFF = "off"  # its switch, or its zone's
    DRAINING = "drain"  # switched off, and requests are still under way there
    UNKNOWN = "unknown"  # not probed yet, and used
    HEALTHY = "healthy"
    FULL = "full"  # as many requests as it takes at a time
    COOLDOWN = "cooldown"  # all of it is left alone for a while
    HALF_OPEN = "half-open"  # it gets one request at a time, after its cooldown
    AUTH = "auth"  # it refuses the key
    DOWN = "down"


class HealthCause(StrEnum):
    """Cause of an unhealthy backend, where it changes the remedy."""

    NONE = "none"
    UNREACHABLE = "unreachable"
    AUTH = "auth"  # 401 or 403: the key is refused


class CooldownEnd(StrEnum):
    """Reason for an early end of a cooldown, or for a closed circuit."""

    ANSWERED = "answered"  # by the backend, to a request
    PROBED = "probed"  # it can be reached again
    CLEARED = "cleared"  # by an operator: by key, API or a probe of their own
    SWITCHED = "switched"  # it, or its zone, was switched off and on
    RELOADED = "reloaded"  # the configuration was read again


class RouteReason(StrEnum):
    """Route reason; the values of X-Nexus-Route-Reason."""

    CAPABILITY_MATCH = "capability-match"
    CAPACITY_OVERFLOW = "capacity-overflow"
    PRIVACY_REQUIREMENT = "privacy-requirement"
    BACKEND_FAILOVER = "backend-failover"


class Operation(StrEnum):
    """Operation of a request, in any wire format."""

    CHAT = "chat"
    COMPLETIONS = "completions"  # the legacy API
    EMBEDDINGS = "embeddings"


class DialectName(StrEnum):
    """The wire formats that backends speak."""

    OPENAI_CHAT = "openai_chat"
    ANTHROPIC = "anthropic"
    GEMINI = "gemini"
    RESPONSES = "responses"
    OLLAMA = "ollama"


# Wire formats by the names of their APIs: in the configuration, on screens and in JSON.
API_NAMES: Mapping[DialectName, str] = MappingProxyType(
    {
        DialectName.OPENAI_CHAT: "chat",
        DialectName.ANTHROPIC: "messages",
        DialectName.GEMINI: "gemini",
        DialectName.RESPONSES: "responses",
        DialectName.OLLAMA: "ollama",
    }
)


def apis_named(names: Iterable[str]) -> frozenset[DialectName]:
    """Wire formats beside chat completions, by the names of their APIs."""
    named = set(names)
    return frozenset(
        dialect
        for dialect, name in API_NAMES.items()
        if name in named and dialect is not DialectName.OPENAI_CHAT
    )


class Capability(StrEnum):
    """A capability that a request may require of a model and its server."""

    CHAT = "chat"
    COMPLETIONS = "completions"  # the legacy API
    EMBEDDINGS = "embeddings"
    VISION = "vision"
    AUDIO = "audio"
    FILES = "files"
    TOOLS = "tools"
    JSON = "json"  # answers as a JSON object or by a schema
    PROVIDER_TOOLS = "provider_tools"  # tools that Anthropic defines, such as its web search
    # What only Google's API has: tools that run there, files and caches kept there, drawn answers.
    GOOGLE_FEATURES = "google_features"
    STORED_RESPONSES = "stored_responses"  # what OpenAI keeps of earlier answers
    OLLAMA_FIELDS = "ollama_fields"  # that no other server takes: a template, a context as tokens


class CountMethod(StrEnum):
    """Source of a token count, the most accurate first."""

    REPORTED = "reported"  # by the backend itself
    EXACT = "exact"  # counted as the provider counts
    ESTIMATED = "estimated"


class TokenCount(msgspec.Struct, frozen=True):
    """A token count and its source."""

    tokens: int
    method: CountMethod

    @property
    def is_exact(self) -> bool:
        return self.method is not CountMethod.ESTIMATED


class PromptImage(NamedTuple):
    """An image in a prompt."""

    url: str  # https: or data:
    is_low: bool = False  # a low resolution will do


class PromptAudio(NamedTuple):
    """A recording in a prompt."""

    format: str
    base64_chars: int


class ToolProperty(NamedTuple):
    """One argument of a tool that a model may call."""

    text: str  # its name, type and description, in one
    choices: tuple[str, ...] | None = None  # None: no closed set of values
    rest: str | None = None  # of its schema, as JSON: nested and limited properties


class PromptTool(NamedTuple):
    """A tool that a model may call."""

    text: str  # its name and description, in one
    properties: tuple[ToolProperty, ...] = ()


class PromptParts:
    """What the tokens of a prompt are counted by: its pieces, without the format they came in.

    Written by a dialect, for a request that is counted: so it is made by hand, and fast.
    """

    __slots__ = (
        *("audio", "calls", "file_chars", "has_others", "images", "is_chat", "messages", "names"),
        *("schema", "texts", "token_numbers", "tools"),
    )

    def __init__(self, *, is_chat: bool) -> None:
        self.is_chat = is_chat
        self.texts: list[str] = []  # each is counted by itself
        self.messages = 0
        self.names = 0  # of those who speak
        self.calls = 0  # of tools, made before; their words are among the texts
        self.token_numbers = 0  # where a prompt is given as tokens
        self.tools: list[PromptTool] = []
        self.images: list[PromptImage] = []
        self.audio: list[PromptAudio] = []
        self.file_chars: list[int] = []  # of each file's base64
        self.schema: str | None = None  # of the answer, as JSON
        self.has_others = False  # pieces of which nobody knows what they count


NANO = 1_000_000_000  # nano-dollars in a dollar


class Cost(msgspec.Struct, frozen=True):
    """Cost of an exchange in nano-dollars (an integer: sums never drift), and its price source."""

    nano_usd: int
    source: str  # "config", "reported", or the price list and the day its data were checked

    @property
    def usd(self) -> Decimal:
        return Decimal(self.nano_usd) / NANO


def nano_usd(cost: Cost | None) -> int | None:
    """The bare number, where there is one."""
    return None if cost is None else cost.nano_usd


class BudgetStatus(StrEnum):
    """Budget status of a month; the values of X-Nexus-Budget-Status."""

    NORMAL = "normal"  # the header is absent
    SOFT_LIMIT = "soft_limit"  # local backends are preferred
    HARD_LIMIT = "hard_limit"


class QueueState(msgspec.Struct, frozen=True, kw_only=True):
    """State of the request queue."""

    waiting: int
    max_size: int


class ModelDetails(msgspec.Struct, frozen=True, kw_only=True):
    """Details of a model, as far as its backend reports them."""

    is_loaded: bool | None = None  # in memory: the first request need not wait for it
    context_tokens: int | None = None  # of the loaded window, not what the model could take
    lacks: frozenset[Capability] = frozenset()


class ProbeResult(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a health probe."""

    elapsed_ms: float
    models: tuple[str, ...] | None = None  # what the backend lists; None when it did not
    never_lists: bool = False  # it has no list: more than the configured models is never known
    details: Mapping[str, ModelDetails] | None = None  # None: it tells none, or not this time
    cause: HealthCause = HealthCause.NONE
    detail: str | None = None  # for people
    is_inconclusive: bool = False  # it failed for want of something of our own: nobody was asked

    @property
    def ok(self) -> bool:
        """It can be reached and does not refuse the key."""
        return self.cause is HealthCause.NONE


class Via(StrEnum):
    """How an operator acts."""

    SCREEN = "screen"  # the dashboard of the process itself
    ATTACHED = "attached"  # a dashboard elsewhere, over the control API
    API = "api"  # any other client of the control API
    SIGNAL = "signal"


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who acted as an operator; `str` gives it for people."""

    via: Via
    name: str | None = None  # the local user, the name of the key, or of the signal
    address: str | None = None  # of the client, as the server sees it
    session: str | None = None  # a screen's own word, by which it knows what it did itself

    def __str__(self) -> str:
        where = f" from {self.address}" if self.address else ""
        match self.via:
            case Via.SCREEN:
                return f"{self.name} at the screen" if self.name else "somebody at the screen"
            case Via.ATTACHED:
                return f"{self.name or 'somebody'} attached{where}"
            case Via.API:
                return f"{self.name or 'somebody'} over the API{where}"
            case Via.SIGNAL:
                return self.name or "a signal"
