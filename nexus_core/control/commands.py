"""What an operator may ask of a running Nexus, as values: the dashboard's and the API's alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from nexus_core.dialects.inbound import CHAT_PATH
from nexus_core.types import PrivacyZone


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchBackend:
    """Switch a backend on or off until restart; running requests finish unless they are ended."""

    backend: str
    enabled: bool
    end_running: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchZone:
    """Switch a zone on or off until restart; running requests finish unless they are ended."""

    zone: PrivacyZone
    enabled: bool
    end_running: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeBackend:
    """Ask a backend now how it is; if it is well, its cooldowns end."""

    backend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearCooldown:
    """End every cooldown of a backend and of its models: requests may go there at once."""

    backend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SetTier:
    """Change a backend's tier until restart."""

    backend: str
    tier: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPriority:
    """Change a backend's priority until restart."""

    backend: str
    priority: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureBodies:
    """Begin or end keeping the bodies of requests, in memory only."""

    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """Send a captured request again, pinned to a backend; every rule holds for it as before."""

    request_id: str
    backend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """Send a request of the operator's own, as a client with these X-Nexus-* headers would."""

    body: bytes = field(repr=False)  # as a client would send it
    endpoint: str = CHAT_PATH  # the path, of any inbound API
    zone: PrivacyZone = PrivacyZone.OPEN  # restricted: only restricted backends may see it
    min_tier: int | None = None
    backend: str | None = None  # the pin
    flexible: bool = False
    priority: Literal["high", "normal"] = "normal"  # in the queue

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Names and values, as a client would send them; what is not asked for has none."""
        asked = {
            "X-Nexus-Privacy-Zone": "restricted" if self.zone is PrivacyZone.RESTRICTED else None,
            "X-Nexus-Min-Tier": None if self.min_tier is None else str(self.min_tier),
            "X-Nexus-Backend": self.backend,
            "X-Nexus-Flexible": "true" if self.flexible else None,
            "X-Nexus-Priority": "high" if self.priority == "high" else None,
        }
        return tuple((name, value) for name, value in asked.items() if value is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReloadConfig:
    """Read the file again and apply it, or say what that would change."""

    only_plan: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveConfig:
    """Write what was switched into the file, or show the difference."""

    only_plan: bool = False


Command: TypeAlias = (
    SwitchBackend
    | SwitchZone
    | ProbeBackend
    | ClearCooldown
    | SetTier
    | SetPriority
    | CaptureBodies
    | ReplayRequest
    | SendRequest
    | ReloadConfig
    | SaveConfig
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a command did; one that failed raises a NexusError instead."""

    message: str  # for people, one line
    lines: tuple[str, ...] = ()  # more of it: a plan, a difference
    data: dict[str, Any] = field(default_factory=dict)  # JSON values, as the control API answers
