"""POST /nexus/*: operator commands. Each answer is the command's Outcome and the changed state."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.json_schema import SkipJsonSchema

from nexus_core.api.admin.actor import actor_of
from nexus_core.api.admin.state import write_backend, write_state
from nexus_core.config.schema import Priority, Tier
from nexus_core.control.actions import CAPACITY
from nexus_core.control.commands import (
    CaptureBodies,
    ClearCooldown,
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
from nexus_core.gateway import Gateway
from nexus_core.observe.event_json import as_json
from nexus_core.types import PrivacyZone

_LASTS = {"lasts": "until restart"}


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class BackendChange(_Wanted):
    """Body of POST /nexus/backends/{name}: exactly one of the first five fields."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [
                {"required": [name]}
                for name in ("enabled", "drain", "tier", "priority", "cooldown")
            ]
        }
    )

    enabled: bool | SkipJsonSchema[None] = None
    drain: Literal[True] | SkipJsonSchema[None] = None  # as enabled = false: what runs finishes
    tier: Tier | None = None
    priority: Priority | SkipJsonSchema[None] = None
    # End what keeps requests from it and its models.
    cooldown: Literal[False] | SkipJsonSchema[None] = None
    end_running: bool = False  # with enabled = false: end what is under way there, too

    @model_validator(mode="after")
    def _one_change(self) -> BackendChange:
        if len(self.model_fields_set - {"end_running"}) != 1:
            raise ValueError("one of enabled, drain, tier, priority and cooldown is required")
        values = (self.enabled, self.drain, self.priority, self.cooldown)
        if all(value is None for value in values) and "tier" not in self.model_fields_set:
            raise ValueError("null is not allowed here")
        if self.end_running and self.enabled is not False:
            raise ValueError("end_running is only allowed with enabled = false")
        return self

    def command(self, name: str) -> Command:
        """The command that it asks for."""
        if "tier" in self.model_fields_set:
            return SetTier(backend=name, tier=self.tier)
        if self.priority is not None:
            return SetPriority(backend=name, priority=self.priority)
        if self.cooldown is not None:
            return ClearCooldown(backend=name)
        return SwitchBackend(backend=name, enabled=bool(self.enabled), end_running=self.end_running)


class ZoneChange(_Wanted):
    """Body of POST /nexus/zones/{zone}."""

    enabled: bool
    end_running: bool = False  # end what is under way there, too


class CaptureChange(_Wanted):
    """Body of POST /nexus/capture."""

    enabled: bool


class FileChange(_Wanted):
    """Body of POST /nexus/reload."""

    only_plan: bool = False  # say what it would do, and do nothing


class SaveChange(FileChange):
    """Body of POST /nexus/save."""

    only: list[str] | None = None  # ids of changes, as a plan and the state list them


def create_router(gateway: Gateway) -> APIRouter:
    """Routes of the operator commands."""
    router = APIRouter(prefix="/nexus", tags=["control"])
    # Made now, with all it imports: commands are needed most when nothing more can be opened.
    operator = gateway.operator

    @router.get("/state")
    async def state() -> Response:
        """State of the gateway for dashboards: backends, zones and statistics."""
        return Response(await write_state(gateway), media_type="application/json")

    @router.get("/actions")
    async def actions(limit: Annotated[int, Query(ge=1, le=CAPACITY)] = 50) -> dict[str, Any]:
        """What operators did, newest first: who, what, the effect, and why it failed if it did."""
        return {"actions": [as_json(acted) for acted in gateway.actions.newest(limit)]}

    @router.post("/backends/{name}", response_model=dict[str, Any])
    async def change(name: str, wanted: BackendChange, request: Request) -> Response:
        """Switch a backend on or off, or set its tier or priority; lasts until restart.

        `{"cooldown": false}` ends every cooldown of the backend and of its models.
        """
        outcome = await operator.execute(wanted.command(name), actor_of(request))
        lasts = {} if wanted.cooldown is False else _LASTS
        return await _with_backend(gateway, name, {**answer(outcome), **lasts})

    @router.post("/zones/{zone}")
    async def change_zone(
        zone: PrivacyZone, wanted: ZoneChange, request: Request
    ) -> dict[str, Any]:
        """Switch a zone on or off; lasts until restart."""
        command = SwitchZone(zone=zone, enabled=wanted.enabled, end_running=wanted.end_running)
        outcome = await operator.execute(command, actor_of(request))
        enabled = gateway.registry.is_zone_enabled(zone)
        return {**answer(outcome), "zone": zone, "enabled": enabled, **outcome.data, **_LASTS}

    @router.post("/backends/{name}/probe", response_model=dict[str, Any])
    async def probe(name: str, request: Request) -> Response:
        """Probe a backend now, free of charge; a successful probe ends its cooldowns."""
        outcome = await operator.execute(ProbeBackend(backend=name), actor_of(request))
        return await _with_backend(gateway, name, {**answer(outcome), **outcome.data})

    @router.post("/capture")
    async def capture(wanted: CaptureChange, request: Request) -> dict[str, Any]:
        """Start or stop capturing bodies, in memory only; lasts until restart."""
        command = CaptureBodies(enabled=wanted.enabled)
        outcome = await operator.execute(command, actor_of(request))
        return {**answer(outcome), "enabled": gateway.captures.is_on, **_LASTS}

    @router.post("/reload")
    async def reload(wanted: FileChange, request: Request) -> dict[str, Any]:
        """Reload the config file; an invalid file changes nothing."""
        command = ReloadConfig(only_plan=wanted.only_plan)
        return answer(await operator.execute(command, actor_of(request)))

    @router.post("/save")
    async def save(wanted: SaveChange, request: Request) -> dict[str, Any]:
        """Save runtime changes to the config file; its comments are kept.

        A plan lists them as `data.changes`; `only` takes the ids of those to save.
        """
        only = None if wanted.only is None else tuple(wanted.only)
        command = SaveConfig(only_plan=wanted.only_plan, only=only)
        return answer(await operator.execute(command, actor_of(request)))

    return router


def answer(outcome: Outcome) -> dict[str, Any]:
    """The outcome of a command as JSON."""
    return {"message": outcome.message, "lines": list(outcome.lines), "data": outcome.data}


async def _with_backend(gateway: Gateway, name: str, values: dict[str, Any]) -> Response:
    """The values, and what the backend is now: with all its models, so it is written apart."""
    backend = await write_backend(gateway.registry.snapshot(name), gateway.registry.clock())
    return Response(
        f'{{"backend":{backend},{json.dumps(values)[1:]}', media_type="application/json"
    )
