"""Created keys in force that several Nexuses share: PostgreSQL is looked at once a second.

In a fleet a change is heard of with the next beat, which brings the version of the keys' table.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_core.background import in_background
from nexus_core.config.schema import StorageConfig
from nexus_core.database.connection import START_SECONDS
from nexus_core.keys.database import DatabaseKeys
from nexus_core.keys.live import KnownKeys, LiveKeys
from nexus_core.keys.store import KeyStoreError
from nexus_core.keys.watched_file import is_there
from nexus_core.types import JsonObject

if TYPE_CHECKING:
    from nexus_core.keys.store import KeyStorage
    from nexus_core.state.base import Link

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
TRUSTED_SECONDS = 60.0  # that keys are taken while nobody can tell whether they still hold
_UNTIL_KNOWN = "client keys: not read yet"


class SharedKeys(LiveKeys):
    """Created keys of PostgreSQL, and the part of each beat that tells of their changes."""

    name = "keys"

    def __init__(
        self,
        storage: StorageConfig,
        now: Callable[[], float],
        clock: Callable[[], int],
        budgets: Callable[[Mapping[str, float | None]], None],
        environment: Collection[str] = (),
        mark: Path | None = None,
    ) -> None:
        """Read the keys; a server that does not answer is waited for a second. Never fails.

        Args:
            storage, now, clock, budgets, environment: as of `LiveKeys`.
            mark: a file that is there once a key was seen: then nobody comes in without one, also
                after a start without PostgreSQL.
        """
        self._mark = mark
        self._shared = DatabaseKeys(storage, START_SECONDS)
        super().__init__(None, now, clock, budgets, environment=environment)
        self._link: Link | None = None
        self._monotonic = time.monotonic
        self.version = 0  # of the keys that are known
        self._newest = 0  # that was heard of
        self._heard = asyncio.Event()
        self._doubted_since: float | None = None  # monotonic; None: what is known holds
        _, table = self.parts()
        table.is_unused = mark is None or not is_there(mark)
        self._go_by(self._read())
        self._shared.close()  # `run` keeps one

    def join(self, link: Link) -> None:
        """Hear of changes by the beats of a fleet."""
        self._link = link
        link.add(self)

    def _storage(self) -> KeyStorage:
        return self._shared

    def known(self) -> KnownKeys | None:
        _, table = self.parts()
        if not self.version or table.is_withdrawn or self._doubted_since is not None:
            return None
        return self.version, tuple(held.stored for held in table.keys)

    def adopt(self, known: KnownKeys) -> None:
        _, table = self.parts()
        if (problem := table.problem) is not None and not self.version:
            self._go_by(known)
            self._go_by(problem)

    async def refresh(self) -> None:
        async with self._refreshing:
            before = self.version
            self._go_by(await in_background(self._read))
        if self._link is not None and self.version != before:
            self._link.hurry()  # so that others hear of it

    async def run(self) -> None:
        """Look for changes until cancelled."""
        try:
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._heard.wait(), LOOK_SECONDS)
                self._heard.clear()
                await self._look()
        finally:
            self._shared.hang_up()
            await in_background(self._shared.close)

    async def _look(self) -> None:
        table = self._parts[1] if self._parts else None
        if table is not None and table.problem is None:
            version = await in_background(lambda: _version(self._shared))
            if version == self.version:
                self._doubted_since = None
                return
        await self.refresh()

    def _read(self) -> KnownKeys | str:
        """The keys and their version, or why they can't be read. Blocks."""
        try:
            found = self._shared.read_at()
        except KeyStoreError as error:
            return str(error)
        if found[1] and self._mark is not None and not is_there(self._mark):
            with suppress(OSError):  # then it is as if they had not been seen
                self._mark.touch(mode=0o600)
        return found

    def _go_by(self, found: KnownKeys | str) -> None:
        if isinstance(found, str):
            self._take(found)
            self._doubt(found)
        else:
            self.version, keys = found
            self._newest = max(self._newest, self.version)
            self._doubted_since = None
            self._take(keys)

    def _doubt(self, why: str) -> None:
        """Nobody can tell whether keys were revoked: that is borne for a minute.

        While PostgreSQL is down for all, no key can be changed, and those that are known hold.
        """
        link = self._link
        is_alone = link is not None and link.alone_since is not None
        if not is_alone and self._newest <= self.version:
            self._doubted_since = None
            return
        at = self._monotonic()
        if self._doubted_since is None:
            self._doubted_since = at
        elif at - self._doubted_since >= TRUSTED_SECONDS:
            _, table = self.parts()
            if not table.is_withdrawn:
                log.error("%s; no created key is taken until they can be read", why)
            table.withdraw(why)

    # --- the part of each beat -----------------------------------------------------------

    def report(self) -> JsonObject:
        return {"version": self.version}

    def accept(self, answer: JsonObject, sent: float) -> None:
        version = answer.get("version")
        if isinstance(version, int) and version > self._newest:
            self._newest = version
            self._heard.set()

    def cut_off(self, since: float) -> None:
        self._heard.set()


def warn_of_file(path: Path | None) -> None:
    """Say that keys in a file of before are not those of PostgreSQL."""
    if path is not None and is_there(path):
        log.warning(
            "client keys: those in %s are not used: keys are in PostgreSQL now; "
            "make them anew, and remove the file",
            path,
        )


def _version(store: DatabaseKeys) -> int | None:
    try:
        return store.version()
    except KeyStoreError:
        return None
