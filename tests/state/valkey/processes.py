"""Links of several processes to a real store, in the test's loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nexus_core.config.sections.fleet import FleetConfig
from nexus_core.state.valkey.link import ValkeyLink
from nexus_core.state.valkey.members import Myself, process_id
from nexus_core.types import JsonObject
from tests.waiting import until

QUICK: dict[str, Any] = {
    "beat_milliseconds": 100,
    "open_zone_lease_seconds": 0.4,
    "dead_after_seconds": 1.0,
}


class Recorder:
    """A part that says what it is told to, and keeps what it hears."""

    def __init__(self, name: str = "recorder") -> None:
        self.name = name
        self.says: JsonObject = {}
        self.heard: list[tuple[JsonObject, float]] = []
        self.cuts: list[float] = []

    def report(self) -> JsonObject:
        return self.says

    def accept(self, answer: JsonObject, sent: float) -> None:
        self.heard.append((answer, sent))

    def cut_off(self, since: float) -> None:
        self.cuts.append(since)


def settings(url: str, replica: str, **changes: Any) -> FleetConfig:
    """A fleet of quick beats."""
    return FleetConfig(**{"url": url, "replica": replica, **QUICK, **changes})


def make(url: str, replica: str, worker: int | None = None, **changes: Any) -> ValkeyLink:
    """A link that nobody runs yet."""
    me = Myself(
        process=process_id(replica, worker),
        replica=replica,
        address=f"http://{replica}:8000",
        pid=1,
        worker=worker,
        version="1",
        config_hash="c",
        started=1.0,
    )
    return ValkeyLink(settings(url, replica, **changes), lambda: me)


@asynccontextmanager
async def running(*links: ValkeyLink, beats: int = 1) -> AsyncIterator[None]:
    """The links, run in the block, from their first beats on; out of quarantine."""
    async with asyncio.TaskGroup() as tasks:
        started = [tasks.create_task(link.run()) for link in links]
        try:
            await until(lambda: all(one.beats >= beats and not one.is_quarantined for one in links))
            yield
        finally:
            for task in started:
                task.cancel()


@asynccontextmanager
async def dying(link: ValkeyLink) -> AsyncIterator[None]:
    """A link that ends with the block as by kill -9: it does not say that it leaves."""
    with contextlib.suppress(asyncio.CancelledError):
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(link.run())
            await until(lambda: link.beats > 0 and not link.is_quarantined)
            yield
            link.beats = 0  # so that it has nothing to leave
            task.cancel()
