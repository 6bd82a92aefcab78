"""Operator commands as values, shared by the dashboard and the control API."""

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
    """Probe a backend now; a successful probe ends its cooldowns."""

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
    """Start or stop capturing bodies, in memory only."""

    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayRequest:
    """Replay a captured request, pinned to a backend; all routing rules still apply."""

    request_id: str
    backend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SendRequest:
    """Send a request as the operator, with the given X-Nexus-* hints."""

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
    """Reload the config file, or only plan it."""

    only_plan: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveConfig:
    """Save runtime changes to the config file, or only plan it."""

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
    """Outcome of a successful command; a failed one raises a NexusError."""

    message: str  # for people, one line
    lines: tuple[str, ...] = ()  # more of it: a plan, a difference
    data: dict[str, Any] = field(default_factory=dict)  # JSON values, as the control API answers
    effect: str | None = None  # what came of it, for the record of what operators did
