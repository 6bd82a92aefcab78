"""The server task beside the dashboard; it can be restarted after a crash."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from nexus_core.api.listen.server import bind, serve
from nexus_core.config.changes import AddBackend
from nexus_core.config.schema import Config
from nexus_core.gateway import Gateway
from nexus_core.types import PrivacyZone
from nexus_tui.process.crash_report import first_part

if TYPE_CHECKING:
    from nexus_tui.sources.local import LocalSource

log = logging.getLogger(__name__)


class ServerTask:
    """The server task; without a screen a crash of it ends the process."""

    def __init__(
        self,
        config: Config,
        listener: socket.socket,
        stop: asyncio.Event,
        make: Callable[[Config], Gateway] = Gateway,
    ) -> None:
        """`make` gives a gateway for a configuration: the first one, and each successor."""
        self.gateway = make(config)
        self._make = make
        self.problem: str | None = None  # what it died of; None while it runs
        self.is_left = False  # the screen is closed, or about to be, and this goes on without it
        self._listener = listener
        self._address = listener.getsockname()[:2]
        self._stop = stop
        self._source: LocalSource | None = None  # of the screen, while there is one
        self._again = asyncio.Event()

    def restart(self) -> None:
        """Serve again, on the same address."""
        self._again.set()

    def leave(self) -> None:
        """Serve on once the screen is closed."""
        self.is_left = True

    def end_running(self) -> None:
        """Stop what runs, so that quitting does not wait for it."""
        self.gateway.forwarder.end_all()

    def watch_with(self, source: LocalSource | None) -> None:
        """The screen that shows a death and may undo it; None when it is gone."""
        self._source = source
        if source is None and self.problem is not None:
            self.restart()

    async def run(self, ready: asyncio.Event) -> None:
        """Serve; `ready` is set once requests are answered."""
        while True:
            try:
                await serve(self.gateway, self._listener, stop=self._stop, ready=ready)
            except Exception as error:  # the edge of the server: with a screen, its user decides
                if self._source is None:
                    raise
                log.exception("server crashed")
                self.problem = _summary(error)
            else:
                return
            if not await self._wait_for_restart():
                return

    async def _wait_for_restart(self) -> bool:
        """Return once it may serve again; False when Nexus ends instead."""
        while self.problem is not None:
            if not await self._asked():
                return False
            try:
                self._listener = bind(*self._address)
            except OSError as error:
                self.problem = f"{self._address[0]}:{self._address[1]}: {error.strerror}"
                continue
            self.gateway = self._successor()
            self.problem = None
            if self._source is not None:
                self._source.follow(self.gateway)
        return True

    async def _asked(self) -> bool:
        self._again.clear()
        async with asyncio.TaskGroup() as tasks:
            waits = [
                tasks.create_task(event.wait(), name="restart")
                for event in (self._again, self._stop)
            ]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        return not self._stop.is_set()

    def _successor(self) -> Gateway:
        """A new gateway that keeps what was switched: a cut zone must not open by a crash."""
        gateway = self._make(self.gateway.config)
        before, after = self.gateway.registry, gateway.registry
        gateway.actions.recall(reversed(self.gateway.actions.newest()))
        for zone in PrivacyZone:
            after.set_zone_enabled(zone, before.is_zone_enabled(zone))
        for change in self.gateway.live.unsaved_changes():
            if isinstance(change, AddBackend):
                gateway.live.add_backend(change.backend)
        for backend in before.snapshots():
            after.set_enabled(backend.name, backend.enabled)
            after.set_rank(backend.name, tier=backend.tier, priority=backend.priority)
        return gateway


def _summary(error: BaseException) -> str:
    return f"{type(first_part(error)).__name__}; the log (6) has the traceback"
