"""What is known of client keys; asked for while they are looked at, and not before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from nexus_core.errors import NexusError
from nexus_tui.sources.base import EventSource
from nexus_tui.sources.client_keys import ClientKey

PERIOD_SECONDS = 1.0
_DUTY = 0.05  # share of the time that asking may take


class KeyWatch:
    """The client keys of a Nexus as they were last told."""

    def __init__(self) -> None:
        self.keys: tuple[ClientKey, ...] | None = None  # None: not asked for yet
        self.problem: str | None = None  # for people: why they are not known, or old
        self._open = asyncio.Event()
        self._stale = asyncio.Event()

    @property
    def names(self) -> list[str]:
        """Of all keys that are known."""
        return [key.name for key in self.keys or ()]

    def look(self, *, is_open: bool) -> None:
        """Say whether somebody looks at them."""
        if is_open:
            self._open.set()
            self._stale.set()
        else:
            self._open.clear()

    def changed(self) -> None:
        """They are not any more as they were told: ask at once."""
        self._stale.set()

    async def read(self, source: EventSource) -> None:
        """Ask; never fails, `problem` says what is wrong."""
        self._stale.clear()
        try:
            told = await source.client_keys()
        except NexusError as error:
            self.problem = error.message
        else:
            self.keys, self.problem = told.keys, told.problem

    async def keep(self, source: EventSource, refreshed: Callable[[], None]) -> None:
        """Ask again and again while somebody looks, until cancelled."""
        while True:
            await self._open.wait()
            began = time.monotonic()
            await self.read(source)
            refreshed()
            pause = max(PERIOD_SECONDS, (time.monotonic() - began) / _DUTY)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stale.wait()
