"""Created keys in force: the file of them is read at the start and whenever it changes.

Light: what it takes to hold keys is imported where there are any.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_core.background import in_background
from nexus_core.config.schema import Config
from nexus_core.money.ledger import ledger_path

if TYPE_CHECKING:
    from nexus_core.keys.key import StoredKey
    from nexus_core.keys.store import KeyStore
    from nexus_core.keys.table import KeyTable

log = logging.getLogger(__name__)

FILE = "keys.db"
_LOOK_SECONDS = 1.0  # another process may change the file
_CHANGES = slice(24, 28)  # SQLite's count of changes: https://www.sqlite.org/fileformat.html
_Signature = tuple[int, int, bytes]


def keys_path(config: Config) -> Path | None:
    """Path of the file with created keys, beside the ledger; None where nothing is kept."""
    ledger = ledger_path(config)
    return None if ledger is None else ledger.with_name(FILE)


class LiveKeys:
    """Created keys of this process."""

    def __init__(
        self,
        path: Path | None,
        now: Callable[[], float],
        clock: Callable[[], int],
        budgets: Callable[[Mapping[str, float | None]], None],
        *,
        is_optional: bool = False,
    ) -> None:
        """Read the file, if there is one; never fails.

        Args:
            path: None keeps keys in memory only, for as long as the process lives.
            now: seconds since the epoch.
            clock: monotonic nanoseconds.
            budgets: is given each key's name, and its monthly budget in dollars.
            is_optional: who has no key comes in all the same; for a demo, whose traffic has none.
        """
        self.path = path
        # None: there is no created key, and there was none.
        self.table: KeyTable | None = None
        self._now, self._clock, self._budgets = now, clock, budgets
        self._is_optional = is_optional
        self._parts: tuple[KeyStore, KeyTable] | None = None
        self._seen: _Signature | None = None
        self._refreshing = asyncio.Lock()
        if path is not None and path.exists():
            self._seen = _signature(path)
            store, _ = self.parts()
            self._take(_read(store))

    def parts(self) -> tuple[KeyStore, KeyTable]:
        """The store and the table; made when first asked for."""
        if self._parts is None:
            from nexus_core.keys.store import KeyStore
            from nexus_core.keys.table import KeyTable

            table = KeyTable(self._now, self._clock, is_optional=self._is_optional)
            self._parts = KeyStore(self.path), table
        return self._parts

    async def refresh(self) -> None:
        """Go by what the store says now; never fails."""
        async with self._refreshing:
            path = self.path
            seen = None if path is None else _signature(path)
            store, _ = self.parts()
            self._take(await in_background(lambda: _read(store)))
            self._seen = seen

    async def run(self) -> None:
        """Watch the file until cancelled."""
        path = self.path
        try:
            if path is None:
                await asyncio.Event().wait()
            while path is not None:
                await asyncio.sleep(_LOOK_SECONDS)
                seen, table = _signature(path), self.table
                if seen is None:
                    if table is not None and table.problem is None:
                        table.fail(f"{path} is gone")
                        log.error("client keys: %s is gone; the known ones are used", path)
                elif seen != self._seen or (table is not None and table.problem is not None):
                    await self.refresh()
        finally:
            if self._parts is not None:
                self._parts[0].close()

    def _take(self, found: tuple[StoredKey, ...] | str) -> None:
        _, table = self.parts()
        if isinstance(found, str):
            if table.problem != found:
                log.error("%s; the known client keys are used", found)
            table.fail(found)
        else:
            table.replace(found)
            self._budgets({key.name: key.limits.budget_usd for key in found})
        if self.table is None and not table.is_open and not self._is_optional:
            log.info("client keys: there are created ones; requests need a key")
        self.table = None if table.is_open else table


def _read(store: KeyStore) -> tuple[StoredKey, ...] | str:
    """The keys, or why they can't be read."""
    from nexus_core.keys.store import KeyStoreError

    try:
        return store.read()
    except KeyStoreError as error:
        return str(error)


def _signature(path: Path) -> _Signature | None:
    """What tells one state of the file from another; None where it can't be read."""
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            return status.st_ino, status.st_mtime_ns, file.read(_CHANGES.stop)[_CHANGES]
    except OSError:
        return None
