"""Operator commands as values, shared by the dashboard and the control API."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import msgspec

from nexus_core.dialects.inbound import CHAT_PATH
from nexus_core.types import PrivacyZone

# Headers that an edited replay may set, by their names in lower case; the pin is its backend.
EDITABLE = {
    name.lower(): name
    for name in (
        "X-Nexus-Privacy-Zone",
        "X-Nexus-Min-Tier",
        "X-Nexus-Flexible",
        "X-Nexus-Priority",
    )
}


class SwitchBackend(msgspec.Struct, frozen=True, kw_only=True):
    """Switch a backend on or off until restart; running requests finish unless they are ended."""

    backend: str
    enabled: bool
    end_running: bool = False

    @property
    def ends(self) -> bool:
        """Whether running requests are ended with it."""
        return self.end_running and not self.enabled


class SwitchZone(msgspec.Struct, frozen=True, kw_only=True):
    """Switch a zone on or off until restart; running requests finish unless they are ended."""

    zone: PrivacyZone
    enabled: bool
    end_running: bool = False

    @property
    def ends(self) -> bool:
        """Whether running requests are ended with it."""
        return self.end_running and not self.enabled


class ProbeBackend(msgspec.Struct, frozen=True, kw_only=True):
    """Probe a backend now; a successful probe ends its cooldowns."""

    backend: str


class ClearCooldown(msgspec.Struct, frozen=True, kw_only=True):
    """End every cooldown of a backend and of its models: requests may go there at once."""

    backend: str


class SetTier(msgspec.Struct, frozen=True, kw_only=True):
    """Change a backend's tier until restart."""

    backend: str
    tier: int | None


class SetPriority(msgspec.Struct, frozen=True, kw_only=True):
    """Change a backend's priority until restart."""

    backend: str
    priority: int


class CaptureBodies(msgspec.Struct, frozen=True, kw_only=True):
    """Start or stop capturing bodies, in memory only."""

    enabled: bool


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


class ReplayRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Replay a captured request, pinned to a backend; all routing rules still apply."""

    request_id: str
    backend: str
    # What is sent in its stead: the body and hints of this one, to the endpoint of the original,
    # and bound by whatever the original was bound by.
    edited: SendRequest | None = None


class ReloadConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Reload the config file, or only plan it."""

    only_plan: bool = False


class SaveConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Save runtime changes to the config file, or only plan it."""

    only_plan: bool = False
    only: tuple[str, ...] | None = None  # the ids of `Unsaved` values; None: all of them


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


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of a successful command; a failed one raises a NexusError."""

    message: str  # for people, one line
    lines: tuple[str, ...] = ()  # more of it: a plan, a difference
    data: dict[str, Any] = msgspec.field(
        default_factory=dict
    )  # JSON values, as the control API answers
    effect: str | None = None  # what came of it, for the record of what operators did
