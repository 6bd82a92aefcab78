"""POST /nexus/*: the operator's commands. Each answer is the command's Outcome, and some state."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, model_validator

from nexus_core.api.state import write_state
from nexus_core.commands import (
    CaptureBodies,
    Command,
    Outcome,
    ProbeBackend,
    ReloadConfig,
    SaveConfig,
    SetPriority,
    SetTier,
    SwitchBackend,
    SwitchZone,
)
from nexus_core.config import Priority, Tier
from nexus_core.errors import InvalidRequestError
from nexus_core.gateway import Gateway
from nexus_core.snapshot_json import snapshot_as_json
from nexus_core.types import PrivacyZone

_LASTS = {"lasts": "until restart"}


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class BackendChange(_Wanted):
    """What POST /nexus/backends/{name} takes: one of the first four."""

    enabled: bool | None = None
    drain: Literal[True] | None = None  # as enabled = false: what runs finishes
    tier: Tier | None = None
    priority: Priority | None = None
    end_running: bool = False  # with enabled = false: end what is under way there, too

    @model_validator(mode="after")
    def _one_change(self) -> BackendChange:
        if len(self.model_fields_set - {"end_running"}) != 1:
            raise ValueError("one of enabled, drain, tier and priority is required")
        if self.enabled is self.drain is self.priority is None and "tier" not in (
            self.model_fields_set
        ):
            raise ValueError("null is no value for it")
        if self.end_running and self.enabled is not False:
            raise ValueError("end_running goes with enabled = false only")
        return self

    def command(self, name: str) -> Command:
        """The command that it asks for."""
        if "tier" in self.model_fields_set:
            return SetTier(backend=name, tier=self.tier)
        if self.priority is not None:
            return SetPriority(backend=name, priority=self.priority)
        return SwitchBackend(backend=name, enabled=bool(self.enabled), end_running=self.end_running)


class ZoneChange(_Wanted):
    """What POST /nexus/zones/{zone} takes."""

    enabled: bool
    end_running: bool = False  # end what is under way there, too


class CaptureChange(_Wanted):
    """What POST /nexus/capture takes."""

    enabled: bool


class FileChange(_Wanted):
    """What POST /nexus/reload and /nexus/save take."""

    only_plan: bool = False  # say what it would do, and do nothing


def create_router(gateway: Gateway) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/nexus", tags=["control"])

    @router.get("/state")
    async def state() -> Response:
        """Backends, zones and numbers: what a dashboard draws."""
        return Response(await write_state(gateway), media_type="application/json")

    @router.post("/backends/{name}")
    async def change(name: str, wanted: BackendChange, request: Request) -> dict[str, Any]:
        """Switch a backend on or off, or give it another tier or priority; until restart."""
        require_json(request)
        outcome = await gateway.execute(wanted.command(name))
        return {**answer(outcome), "backend": _backend(gateway, name), **_LASTS}

    @router.post("/zones/{zone}")
    async def change_zone(
        zone: PrivacyZone, wanted: ZoneChange, request: Request
    ) -> dict[str, Any]:
        """Switch a zone on or off; lasts until restart."""
        require_json(request)
        outcome = await gateway.execute(
            SwitchZone(zone=zone, enabled=wanted.enabled, end_running=wanted.end_running)
        )
        enabled = gateway.registry.is_zone_enabled(zone)
        return {**answer(outcome), "zone": zone, "enabled": enabled, **outcome.data, **_LASTS}

    @router.post("/backends/{name}/probe")
    async def probe(name: str, request: Request) -> dict[str, Any]:
        """Ask a backend now how it is; never a call that costs money."""
        require_json(request)
        outcome = await gateway.execute(ProbeBackend(backend=name))
        return {**answer(outcome), **outcome.data, "backend": _backend(gateway, name)}

    @router.post("/capture")
    async def capture(wanted: CaptureChange, request: Request) -> dict[str, Any]:
        """Begin or end keeping bodies, in memory only; lasts until restart."""
        require_json(request)
        outcome = await gateway.execute(CaptureBodies(enabled=wanted.enabled))
        return {**answer(outcome), "enabled": gateway.is_capturing, **_LASTS}

    @router.post("/reload")
    async def reload(wanted: FileChange, request: Request) -> dict[str, Any]:
        """Read the configuration again; a refused file changes nothing."""
        require_json(request)
        return answer(await gateway.execute(ReloadConfig(only_plan=wanted.only_plan)))

    @router.post("/save")
    async def save(wanted: FileChange, request: Request) -> dict[str, Any]:
        """Write what was switched into the file, its comments kept."""
        require_json(request)
        return answer(await gateway.execute(SaveConfig(only_plan=wanted.only_plan)))

    return router


def answer(outcome: Outcome) -> dict[str, Any]:
    """What became of a command, as JSON."""
    return {"message": outcome.message, "lines": list(outcome.lines), "data": outcome.data}


def require_json(request: Request) -> None:
    """A web page can post a form without asking anybody, but not this content type."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise InvalidRequestError(
            "Content-Type: application/json is required here", param="Content-Type"
        )


def _backend(gateway: Gateway, name: str) -> dict[str, Any]:
    return snapshot_as_json(gateway.registry.snapshot(name), gateway.registry.clock())
