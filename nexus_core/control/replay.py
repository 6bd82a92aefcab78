"""What a replayed request is bound by: whatever the original was, or what is stricter."""

from __future__ import annotations

from msgspec.structs import replace

from nexus_core.control.commands import ReplayRequest, SendRequest
from nexus_core.errors import PermissionDeniedError
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.observe.record import as_bytes
from nexus_core.routing.requirements import Requirements, RoutingHints
from nexus_core.types import PrivacyZone


def as_strict_as(need: Requirements, command: ReplayRequest) -> RoutingHints:
    """What the original was bound by, whatever the configuration says now, or what is stricter."""
    hints = RoutingHints(
        zone=need.zone,
        min_tier=need.min_tier,
        backend=command.backend,
        priority="high" if need.is_high_priority else "normal",
        flexible=need.is_flexible,
    )
    edited = command.edited
    if edited is None:
        return hints
    is_restricted = PrivacyZone.RESTRICTED in (need.zone, edited.zone)
    tiers = [tier for tier in (need.min_tier, edited.min_tier) if tier is not None]
    return replace(
        hints,
        zone=PrivacyZone.RESTRICTED if is_restricted else PrivacyZone.OPEN,
        min_tier=max(tiers, default=None),
        priority=edited.priority,
        flexible=need.is_flexible and edited.flexible,
    )


def hint_headers(hints: RoutingHints) -> tuple[tuple[bytes, bytes], ...]:
    """The hints as a client would send them."""
    sent = SendRequest(
        body=b"",
        zone=hints.zone,
        min_tier=hints.min_tier,
        backend=hints.backend,
        flexible=hints.flexible,
        priority=hints.priority,
    )
    return as_bytes(sent.headers)


def check_zone(need: Requirements, backend: BackendSnapshot) -> None:
    """Say it at once; the router holds the same rule for whatever is sent."""
    if need.zone is PrivacyZone.RESTRICTED and backend.zone is not PrivacyZone.RESTRICTED:
        raise PermissionDeniedError(
            f'restricted request can\'t be replayed to backend "{backend.name}" in the '
            f"{backend.zone} zone; choose a restricted backend",
            param="backend",
        )
