"""The words that everything else shares: backend types, zones, health, route reasons."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BackendType(StrEnum):
    """Which kind of server a backend is; decides its agent and whether it is local."""

    OLLAMA = "ollama"
    VLLM = "vllm"
    LLAMACPP = "llamacpp"
    LMSTUDIO = "lmstudio"
    EXO = "exo"
    GENERIC = "generic"
    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GOOGLE = "google"

    @property
    def is_cloud(self) -> bool:
        return self in CLOUD_TYPES

    @property
    def location(self) -> str:
        """The value of X-Nexus-Backend-Type."""
        return "cloud" if self in CLOUD_TYPES else "local"


CLOUD_TYPES = frozenset({BackendType.OPENAI, BackendType.ANTHROPIC, BackendType.GOOGLE})


class PrivacyZone(StrEnum):
    """Where a prompt may go: `restricted` stays with backends of that zone."""

    RESTRICTED = "restricted"
    OPEN = "open"


class HealthStatus(StrEnum):
    """What probes say of a backend; `unknown` until the first one, and used like healthy."""

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"


class HealthCause(StrEnum):
    """Why a backend is unhealthy, where that changes what a person should do."""

    NONE = "none"
    UNREACHABLE = "unreachable"
    AUTH = "auth"  # 401 or 403: the key is refused


class RouteReason(StrEnum):
    """Why this backend answered; the values of X-Nexus-Route-Reason."""

    CAPABILITY_MATCH = "capability-match"
    CAPACITY_OVERFLOW = "capacity-overflow"
    PRIVACY_REQUIREMENT = "privacy-requirement"
    BACKEND_FAILOVER = "backend-failover"


class Endpoint(StrEnum):
    """The data-plane calls that are forwarded; the value is the path."""

    CHAT_COMPLETIONS = "/v1/chat/completions"
    COMPLETIONS = "/v1/completions"
    EMBEDDINGS = "/v1/embeddings"


class Capability(StrEnum):
    """What a request may need of a model and its server, beside the model's name."""

    CHAT = "chat"
    COMPLETIONS = "completions"  # the legacy API
    EMBEDDINGS = "embeddings"
    VISION = "vision"
    AUDIO = "audio"
    FILES = "files"
    TOOLS = "tools"
    JSON = "json"  # answers as a JSON object or by a schema


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueState:
    """How full the waiting room for requests is."""

    waiting: int
    max_size: int
