"""Operators' commands on client keys: carried out, in force at once, and put on record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from nexus_core.background import in_background
from nexus_core.control.actions import Actions, Deed
from nexus_core.control.key_use import KeyUse
from nexus_core.errors import KeyNotFoundError, KeysUnavailableError, NexusError
from nexus_core.keys import changes
from nexus_core.keys.as_json import (
    Use,
    as_json,
    environment_as_json,
    unlimited_as_json,
    use_as_json,
)
from nexus_core.keys.asked import read_duration
from nexus_core.keys.changes import Issued
from nexus_core.keys.held import HeldKey
from nexus_core.keys.key import StoredKey
from nexus_core.keys.live import LiveKeys
from nexus_core.money.budget import Budget
from nexus_core.types import Actor, JsonObject

_Done = TypeVar("_Done")


class KeyControl:
    """Executor of operators' commands on client keys."""

    def __init__(
        self,
        keys: LiveKeys,
        actions: Actions,
        use: KeyUse,
        budget: Callable[[], Budget],
        now: Callable[[], float],
        environment: Callable[[], tuple[str, ...]],
    ) -> None:
        """`environment` gives the names of the keys that it has."""
        self._use = use
        self._keys = keys
        self._actions = actions
        self._budget = budget
        self._now = now
        self._environment = environment

    async def listed(self) -> JsonObject:
        """All keys, created ones and those of the environment, and what is used of their limits."""
        await self._use.look()
        _, table = self._keys.parts()
        use, at, budget = self._use.by_client(), self._now(), self._budget()
        return {
            "keys": [self._used(held, at, use) for held in table.keys],
            "environment": [
                environment_as_json(
                    name, budget.limit_usd(name), self._used_of_environment(name, at, use(name))
                )
                for name in self._environment()
            ],
            "problem": table.problem,
        }

    def _used_of_environment(self, name: str, at: float, use: Use) -> JsonObject:
        spent, limited = self._budget().account(name, at), self._keys.limited.get(name)
        if limited is None:
            return unlimited_as_json(use, spent)
        return use_as_json(limited.meter, limited.clock(), spent, use.last)

    async def shown(self, name: str) -> JsonObject:
        """One of the created ones.

        Raises:
            KeyNotFoundError: there is none of this name.
        """
        await self._use.look()
        return self._told(name)

    async def create(self, name: str, asked: Mapping[str, Any], by: Actor) -> JsonObject:
        """A new key, with its secret."""
        deed = Deed("key_created", name, f"created client key {name}")
        taken = self._environment()
        store, _ = self._keys.parts()

        def make() -> Issued:
            if self._keys.refuses_new is not None:
                raise KeysUnavailableError(self._keys.refuses_new)
            return changes.create(store, name, asked, self._now(), taken)

        return self._issued(await self._carry_out(deed, by, make))

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

    async def block(self, name: str, by: Actor, *, blocked: bool) -> JsonObject:
        """Let a key open nothing until it is let in again, or let it in again."""
        done = ("key_blocked", "blocked") if blocked else ("key_unblocked", "unblocked")
        deed = Deed(done[0], name, f"{done[1]} client key {name}")
        store, _ = self._keys.parts()
        await self._carry_out(
            deed, by, lambda: changes.block(store, name, self._now() if blocked else None)
        )
        return self._told(name)

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
        return self._used(held, at, self._use.by_client())

    def _used(self, held: HeldKey, at: float, use: Callable[[str], Use]) -> JsonObject:
        spent = self._budget().account(held.name, at)
        return {
            **as_json(held.stored, at),
            "used": use_as_json(held.meter, held.clock(), spent, use(held.name).last),
        }
