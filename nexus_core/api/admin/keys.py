"""/nexus/keys: client keys made at run time, their limits and what is used of them."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from nexus_core.api.admin.actor import actor_of
from nexus_core.gateway import Gateway
from nexus_core.types import JsonObject

_Count = Annotated[int | str | None, Field(examples=[60, "100k"])]


class KeyLimits(BaseModel):
    """Body of POST /nexus/keys/{name}: null lifts a limit; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid", strict=True)

    budget: float | str | None = Field(default=None, description="USD a month (UTC)")
    rpm: _Count = Field(default=None, description="requests a minute")
    tpm: _Count = Field(default=None, description="tokens a minute, of prompts and answers")
    parallel: _Count = Field(default=None, description="requests under way at a time")
    models: list[str] | str | None = Field(default=None, description="globs", examples=[["llama*"]])
    zone: Literal["restricted", "open"] | None = None
    tier: int | str | None = Field(default=None, description="at least, 0 to 4")
    expires: str | None = Field(
        default=None, description="a duration or an RFC 3339 time", examples=["30d"]
    )


class NewKey(KeyLimits):
    """Body of POST /nexus/keys; a limit that is left out or null does not hold."""

    name: str = Field(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")


class Rotation(BaseModel):
    """Body of POST /nexus/keys/{name}/rotate."""

    model_config = ConfigDict(extra="forbid", strict=True)

    grace: str | None = Field(
        default=None, description="for how long the old secret is taken", examples=["24h"]
    )


class Block(BaseModel):
    """Body of POST /nexus/keys/{name}/block."""

    model_config = ConfigDict(extra="forbid", strict=True)

    blocked: bool = Field(default=True, description="false lets the key in again")


def create_router(gateway: Gateway) -> APIRouter:
    """Routes of client keys."""
    router = APIRouter(prefix="/nexus/keys", tags=["control"])
    keys = gateway.key_control

    @router.get("")
    async def client_keys() -> dict[str, Any]:
        """Client keys, their limits and what is used of them; no secret is among it.

        `keys` are the created ones, `environment` those that are set where Nexus is started.
        """
        return await keys.listed()

    @router.post("", response_model=dict[str, Any])
    async def create_key(wanted: NewKey, request: Request) -> Response:
        """Create a client key; the answer alone has its `secret`."""
        asked = wanted.model_dump(exclude_unset=True, exclude={"name"})
        return _secret(await keys.create(wanted.name, asked, actor_of(request)))

    @router.get("/{name}")
    async def client_key(name: str) -> dict[str, Any]:
        """One created client key."""
        return await keys.shown(name)

    @router.post("/{name}")
    async def limit_key(name: str, wanted: KeyLimits, request: Request) -> dict[str, Any]:
        """Change limits of a client key; in force for its next request."""
        asked = wanted.model_dump(exclude_unset=True)
        return await keys.limit(name, asked, actor_of(request))

    @router.post("/{name}/rotate", response_model=dict[str, Any])
    async def rotate_key(name: str, request: Request, wanted: Rotation | None = None) -> Response:
        """Give a client key another secret; the old one is taken for `grace`, else no more."""
        grace = None if wanted is None else wanted.grace
        return _secret(await keys.rotate(name, grace, actor_of(request)))

    @router.post("/{name}/block")
    async def block_key(name: str, wanted: Block, request: Request) -> dict[str, Any]:
        """Block a client key, or let it in again; it outlasts a restart."""
        return await keys.block(name, actor_of(request), blocked=wanted.blocked)

    @router.post("/{name}/revoke")
    async def revoke_key(name: str, request: Request) -> dict[str, Any]:
        """Revoke a client key for good; its requests under way finish."""
        return await keys.revoke(name, actor_of(request))

    return router


def _secret(told: JsonObject) -> Response:
    """An answer with a secret: no cache may keep it."""
    return Response(
        json.dumps(told), media_type="application/json", headers={"cache-control": "no-store"}
    )
