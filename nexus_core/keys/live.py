"""Created keys in force: the file of them is read at the start and whenever it changes.

Light: what it takes to hold keys is imported where there are any.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_core.background import in_background
from nexus_core.config.schema import Config
from nexus_core.config.sections.limits import LimitsConfig
from nexus_core.keys.watched_file import Signature, Watched, is_there
from nexus_core.money.ledger import ledger_path

if TYPE_CHECKING:
    from nexus_core.keys.bounds import Bounds
    from nexus_core.keys.held import HeldKey
    from nexus_core.keys.key import StoredKey
    from nexus_core.keys.meter import KeyMeter
    from nexus_core.keys.store import KeyStorage
    from nexus_core.keys.table import KeyTable
    from nexus_core.state.base import Link

log = logging.getLogger(__name__)

FILE = "keys.db"
_LOOK_SECONDS = 1.0  # another process may change the file


def keys_path(config: Config) -> Path | None:
    """Path of the file with created keys, beside the ledger; None where nothing is kept."""
    ledger = ledger_path(config)
    return None if ledger is None else ledger.with_name(FILE)


KnownKeys = tuple[int, "tuple[StoredKey, ...]"]  # the version of their table, and keys


class LiveKeys:
    """Created keys of this process."""

    def __init__(
        self,
        path: Path | None,
        now: Callable[[], float],
        clock: Callable[[], int],
        budgets: Callable[[Mapping[str, float | None]], None],
        *,
        environment: Collection[str] = (),
        is_optional: bool = False,
    ) -> None:
        """Read the file, if there is one; never fails.

        Args:
            path: None keeps keys in memory only, for as long as the process lives.
            now: seconds since the epoch.
            clock: monotonic nanoseconds.
            budgets: is given each key's name, and its monthly budget in dollars.
            environment: names of the keys that it has.
            is_optional: who has no key comes in all the same; for a demo, whose traffic has none.
        """
        self.path = path
        # None: there is no created key, and there was none.
        self.table: KeyTable | None = None
        # Keys of the environment that are limited, by name.
        self.limited: Mapping[str, HeldKey] = {}
        self.refuses_new: str | None = None  # for people: why none can be made; None: they can
        self._limits = LimitsConfig()
        self._share: Callable[[str, KeyMeter], None] | None = None
        self._now, self._clock, self._budgets = now, clock, budgets
        self._named = tuple(environment)
        self._environment = frozenset(environment)  # of which nobody was warned
        self._is_optional = is_optional
        self._parts: tuple[KeyStorage, KeyTable] | None = None
        self._seen: Signature | None = None
        self._watched = None if path is None else Watched(path)
        self._refreshing = asyncio.Lock()
        if self._watched is not None and path is not None and is_there(path):
            self._seen = self._watched.signature()
            store, _ = self.parts()
            self._take(read_keys(store))

    def limit(self, config: LimitsConfig) -> None:
        """Go by these limits from now on; what is used stays used."""
        self._limits = config
        if self._parts is not None:
            self._parts[1].limit(self._bounds())
        if config.is_set or self.limited:
            from nexus_core.keys.bounds import limited_ones

            self.limited = limited_ones(self._bounds(), self._named, self.limited, self._clock)

    def share(self, share: Callable[[str, KeyMeter], None]) -> None:
        """Have keys' meters share their limits with other processes, by name, from now on."""
        self._share = share
        self.limit(self._limits)

    def _bounds(self) -> Bounds:
        from nexus_core.keys.bounds import Bounds

        return Bounds(self._limits, self._share)

    @property
    def metered(self) -> tuple[HeldKey, ...]:
        """Keys that may have limits: created ones, and limited ones of the environment."""
        created = () if self.table is None else self.table.keys
        return (*created, *self.limited.values())

    def parts(self) -> tuple[KeyStorage, KeyTable]:
        """The store and the table; made when first asked for."""
        if self._parts is None:
            from nexus_core.keys.table import KeyTable

            table = KeyTable(self._now, self._clock, is_optional=self._is_optional)
            table.limit(self._bounds())
            self._parts = self._storage(), table
        return self._parts

    def _storage(self) -> KeyStorage:
        from nexus_core.keys.store import KeyStore

        return KeyStore(self.path)

    def named(self, name: str) -> HeldKey | None:
        """The created key of this name."""
        return None if self.table is None else self.table.named(name)

    def join(self, link: Link) -> None:
        """Hear of changes by the beats of a fleet, where there is a place for them in common."""

    def known(self) -> KnownKeys | None:
        """What another worker of this port may go by that can't read them itself."""
        return None

    def adopt(self, known: KnownKeys) -> None:
        """Go by what another worker knows, where they can't be read here."""

    async def refresh(self) -> None:
        """Go by what the store says now; never fails."""
        async with self._refreshing:
            seen = None if self._watched is None else self._watched.signature()
            store, _ = self.parts()
            self._take(await in_background(lambda: read_keys(store)))
            self._seen = seen

    async def run(self) -> None:
        """Watch the file until cancelled."""
        watched = self._watched
        try:
            if watched is None:
                await asyncio.Event().wait()
            while watched is not None:
                await asyncio.sleep(_LOOK_SECONDS)
                seen, table = watched.signature(), self.table
                if seen is None:
                    if table is not None and table.problem is None:
                        table.fail(f"{self.path} is gone")
                        log.error("client keys: %s is gone; the known ones are used", self.path)
                elif seen != self._seen or (table is not None and table.problem is not None):
                    await self.refresh()
        finally:
            if watched is not None:
                watched.close()
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
            self._warn_of_names(key.name for key in found)
            self._budgets({key.name: key.limits.budget_usd for key in found})
        is_needed = self.table is None and not table.is_open and not self._is_optional
        if is_needed and table.problem is None:
            log.info("client keys: there are created ones; requests need a key")
        self.table = None if table.is_open else table

    def _warn_of_names(self, names: Iterable[str]) -> None:
        for name in sorted(self._environment.intersection(names)):
            self._environment -= {name}  # once is enough
            log.warning(
                "client keys: one of the environment and a created one are both called %s, and "
                "share their budget and costs; give the one of the environment another name",
                name,
            )


def read_keys(store: KeyStorage) -> tuple[StoredKey, ...] | str:
    """The keys, or why they can't be read."""
    from nexus_core.keys.store import KeyStoreError

    try:
        return store.read()
    except KeyStoreError as error:
        return str(error)
