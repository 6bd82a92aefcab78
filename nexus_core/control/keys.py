"""Operators' commands on client keys: carried out, in force at once, and put on record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nexus_core.background import in_background
from nexus_core.control.actions import Actions, Deed
from nexus_core.errors import KeyNotFoundError, NexusError
from nexus_core.keys import changes
from nexus_core.keys.asked import read_duration
from nexus_core.keys.changes import Issued
from nexus_core.keys.held import HeldKey
from nexus_core.keys.key import StoredKey
from nexus_core.keys.live import LiveKeys
from nexus_core.keys.told import as_json, use_as_json
from nexus_core.money.budget import Budget
from nexus_core.types import Actor, JsonObject

_Done = TypeVar("_Done")


class KeyControl:
    """Executor of operators' commands on client keys."""

    def __init__(
        self,
        keys: LiveKeys,
        actions: Actions,
        budget: Callable[[], Budget],
        now: Callable[[], float],
        environment: Callable[[], tuple[str, ...]],
    ) -> None:
        """`environment` gives the names of the keys that it has."""
        self._keys = keys
        self._actions = actions
        self._budget = budget
        self._now = now
        self._environment = environment

    def listed(self) -> list[JsonObject]:
        """All created keys and what is used of their limits."""
        _, table = self._keys.parts()
        return [self._used(held, self._now()) for held in table.keys]

    def shown(self, name: str) -> JsonObject:
        """One of them.

        Raises:
            KeyNotFoundError: there is none of this name.
        """
        return self._told(name)

    async def create(self, name: str, asked: Mapping[str, Any], by: Actor) -> JsonObject:
        """A new key, with its secret."""
        deed = Deed("key_created", name, f"created client key {name}")
        taken = self._environment()
        store, _ = self._keys.parts()
        issued = await self._carry_out(
            deed, by, lambda: changes.create(store, name, asked, self._now(), taken)
        )
        return self._issued(issued)

    async def limit(self, name: str, asked: Mapping[str, Any], by: Actor) -> JsonObject:
        """Change a key's limits."""
        deed = Deed("key_limited", name, f"changed the limits of client key {name}")
        store, _ = self._keys.parts()
        await self._carry_out(deed, by, lambda: changes.limit(store, name, asked, self._now()))
        return self._told(name)

    async def rotate(self, name: str, grace: str | None, by: Actor) -> JsonObject:
        """Another secret for a key; the one before is taken for the grace, such as 24h."""
        deed = Deed("key_rotated", name, f"rotated client key {name}")
        store, _ = self._keys.parts()

        def renew() -> Issued:
            seconds = 0.0 if grace is None else read_duration("grace", grace)
            return changes.rotate(store, name, seconds, self._now())

        return self._issued(await self._carry_out(deed, by, renew))

    async def revoke(self, name: str, by: Actor) -> JsonObject:
        """Let a key open nothing any more."""
        deed = Deed("key_revoked", name, f"revoked client key {name}")
        store, _ = self._keys.parts()
        await self._carry_out(deed, by, lambda: changes.revoke(store, name, self._now()))
        return self._told(name)

    async def _carry_out(self, deed: Deed, by: Actor, change: Callable[[], _Done]) -> _Done:
        try:
            done = await in_background(change)
        except NexusError as error:
            self._actions.note(by, deed, error=error.message)
            raise
        await self._keys.refresh()
        self._actions.note(by, deed)
        return done

    def _issued(self, issued: Issued) -> JsonObject:
        return {**self._told(issued.key.name, issued.key), "secret": issued.secret}

    def _told(self, name: str, stored: StoredKey | None = None) -> JsonObject:
        _, table = self._keys.parts()
        held, at = table.named(name), self._now()
        if held is None:
            if stored is not None:  # and the file can't be read any more
                return as_json(stored, at)
            raise KeyNotFoundError(f"there is no created client key {name!r}", param="name")
        return self._used(held, at)

    def _used(self, held: HeldKey, at: float) -> JsonObject:
        spent = self._budget().account(held.name, at)
        return {
            **as_json(held.stored, at),
            "used": use_as_json(held.meter, held.clock(), spent),
        }
