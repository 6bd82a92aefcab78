"""/nexus/*: the state of the gateway, switches for backends, probes."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, model_validator

from nexus_core import __version__
from nexus_core.api.status import read_stats
from nexus_core.errors import BackendNotFoundError, InvalidRequestError
from nexus_core.gateway import Gateway
from nexus_core.registry import BackendSnapshot
from nexus_core.types import PrivacyZone


class BackendChange(BaseModel):
    """What POST /nexus/backends/{name} takes: one of the two."""

    model_config = ConfigDict(extra="forbid", strict=True)

    enabled: bool | None = None
    drain: Literal[True] | None = None  # as enabled = false: what runs finishes

    @model_validator(mode="after")
    def _one_of_two(self) -> BackendChange:
        if (self.enabled is None) == (self.drain is None):
            raise ValueError("either enabled or drain is required")
        return self


class ZoneChange(BaseModel):
    """What POST /nexus/zones/{zone} takes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    enabled: bool
    end_running: bool = False  # end what is under way there, too


def create_router(gateway: Gateway) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/nexus", tags=["control"])

    @router.get("/state")
    async def state() -> dict[str, Any]:
        """Backends and numbers as the dashboard shows them."""
        return {
            "version": __version__,
            "started_at": gateway.started_at,
            "backends": [_as_json(snapshot) for snapshot in gateway.registry.snapshots()],
            "unusable_backends": [
                {"name": u.name, "type": u.type, "zone": u.zone, "why": u.why}
                for u in gateway.config.unusable
            ],
            "zones": {zone: gateway.registry.is_zone_enabled(zone) for zone in PrivacyZone},
            "stats": read_stats(gateway),
        }

    @router.post("/backends/{name}")
    async def change(name: str, wanted: BackendChange, request: Request) -> dict[str, Any]:
        """Switch a backend on or off; lasts until restart."""
        require_json(request)
        snapshot = _find(gateway, name)
        gateway.set_backend_enabled(snapshot.name, bool(wanted.enabled))
        return {"backend": _as_json(_find(gateway, name)), "lasts": "until restart"}

    @router.post("/zones/{zone}")
    async def change_zone(
        zone: PrivacyZone, wanted: ZoneChange, request: Request
    ) -> dict[str, Any]:
        """Switch a zone on or off; lasts until restart."""
        require_json(request)
        ended = gateway.set_zone_enabled(zone, wanted.enabled, end_running=wanted.end_running)
        enabled = gateway.registry.is_zone_enabled(zone)
        return {"zone": zone, "enabled": enabled, "ended": ended, "lasts": "until restart"}

    @router.post("/backends/{name}/probe")
    async def probe(name: str, request: Request) -> dict[str, Any]:
        """Ask a backend now how it is; never a call that costs money."""
        require_json(request)
        result = await gateway.probe(_find(gateway, name).name)
        return {
            "ok": result.ok,
            "elapsed_ms": round(result.elapsed_ms, 2),
            "models": result.models,
            "detail": result.detail,
            "backend": _as_json(_find(gateway, name)),
        }

    return router


def _find(gateway: Gateway, name: str) -> BackendSnapshot:
    try:
        return gateway.registry.snapshot(name)
    except KeyError:
        raise BackendNotFoundError(f"there is no backend {name!r}", param="name") from None


def require_json(request: Request) -> None:
    """A web page can post a form without asking anybody, but not this content type."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidRequestError(
            "Content-Type: application/json is required here", param="Content-Type"
        )


def _as_json(snapshot: BackendSnapshot) -> dict[str, Any]:
    values = {f.name: getattr(snapshot, f.name) for f in fields(snapshot)}
    return {**values, "models": dict(snapshot.models), "details": dict(snapshot.details)}
