"""Switch impact: models affected by switching off a backend or zone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from nexus_core.aliases import resolve_aliases
from nexus_core.config.schema import RoutingConfig
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.types import PrivacyZone


@dataclass(frozen=True, slots=True)
class Hit:
    """A model affected by switching off backends, and its remaining backend."""

    model: str
    backend: str | None  # who still answers; None: nobody, which is a 503
    how: str = ""  # for people, such as `fallback qwen2:72b`


def hits(
    off: Collection[str], usable: Sequence[BackendSnapshot], routing: RoutingConfig
) -> list[Hit]:
    """Models and aliases affected by switching off these backends, unserved ones first."""
    going = [backend for backend in usable if backend.name in off]
    staying = [backend for backend in usable if backend.name not in off]
    served = {model for backend in going for model in backend.models}
    names = sorted(served | {a for a in routing.aliases if _target(a, routing) in served})
    found = [_hit(name, staying, routing) for name in names]
    return sorted(found, key=lambda hit: hit.backend is not None)


def lost(
    off: Collection[str], usable: Sequence[BackendSnapshot], routing: RoutingConfig
) -> list[str]:
    """Models without a backend after switching off these backends."""
    return [hit.model for hit in hits(off, usable, routing) if hit.backend is None]


def is_last_of_zone(name: str, usable: Sequence[BackendSnapshot], zone: PrivacyZone) -> bool:
    """Whether the backend is the last usable one of the zone."""
    return [backend.name for backend in usable if backend.zone is zone] == [name]


def _hit(name: str, staying: Sequence[BackendSnapshot], routing: RoutingConfig) -> Hit:
    target = _target(name, routing)
    if backend := _server_of(target, staying):
        return Hit(name, backend, "alias" if target != name else "")
    for asked in resolve_aliases(name, routing.aliases):
        for fallback in routing.fallbacks.get(asked, ()):
            if backend := _server_of(_target(fallback, routing), staying):
                return Hit(name, backend, f"fallback {fallback}")
    return Hit(name, None)


def _target(name: str, routing: RoutingConfig) -> str:
    return resolve_aliases(name, routing.aliases)[-1]


def _server_of(model: str, backends: Sequence[BackendSnapshot]) -> str | None:
    serving = [backend for backend in backends if model in backend.models]
    return max(serving, key=lambda backend: backend.priority).name if serving else None
