"""Client keys of the gateway of this process: commands on them, by who sits at the screen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from nexus_core.types import Actor, JsonObject
from nexus_tui.sources.client_keys import KeyChange


class Keys(Protocol):
    """Who knows client keys and changes them."""

    async def listed(self) -> JsonObject: ...
    async def create(self, name: str, asked: Mapping[str, Any], by: Actor) -> JsonObject: ...
    async def limit(self, name: str, asked: Mapping[str, Any], by: Actor) -> JsonObject: ...
    async def rotate(self, name: str, grace: str | None, by: Actor) -> JsonObject: ...
    async def block(self, name: str, by: Actor, *, blocked: bool) -> JsonObject: ...
    async def revoke(self, name: str, by: Actor) -> JsonObject: ...


async def change_key(keys: Keys, change: KeyChange, by: Actor) -> JsonObject:
    """Carry a command out; the answer is that of the control API.

    Raises:
        NexusError: it can't be done.
    """
    name = change.name
    match change.verb:
        case "create":
            return await keys.create(name, change.asked, by)
        case "limit":
            return await keys.limit(name, change.asked, by)
        case "rotate":
            return await keys.rotate(name, change.grace, by)
        case "block" | "unblock":
            return await keys.block(name, by, blocked=change.verb == "block")
        case "revoke":
            return await keys.revoke(name, by)
