"""Replicas in this process: real gateways behind real sockets, and a roll that a test keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace

import httpx

from nexus_core.gateway import Gateway
from nexus_core.observe.events import NexusEvent, RequestReceived
from nexus_tui.sources.fleet.replica import PartOf, Replica, Roll
from nexus_tui.sources.fleet.source import FleetSource
from nexus_tui.sources.remote import RemoteSource
from tests.observe.happened import received, unserved
from tests.running import served
from tests.tui.sources.test_remote import make_gateway

PAUSES = (0.02,)


@dataclass
class Roster:
    """Who is there, as each replica tells; a test changes it as the store would."""

    replicas: dict[str, Replica] = field(default_factory=dict)
    alone: dict[str, float] = field(default_factory=dict)

    def roll(self, here: str) -> Roll:
        ordered = tuple(self.replicas[name] for name in sorted(self.replicas))
        return Roll(here, ordered, self.alone.get(here))


class Told(RemoteSource):
    """A replica's source that tells the roster."""

    def __init__(self, roster: Roster, replica: Replica) -> None:
        part = PartOf(replica.name, "session")
        super().__init__(replica.address or "", pauses_seconds=PAUSES, part_of=part)
        self._name, self._roster = replica.name, roster

    async def roll(self) -> Roll | None:
        return self._roster.roll(self._name) if self.status == "live" else None


class Replicas:
    """Several gateways, started and ended one by one."""

    def __init__(self) -> None:
        self.roster = Roster()
        self.gateways: dict[str, Gateway] = {}
        self._stacks: dict[str, AsyncExitStack] = {}

    async def start(self, name: str) -> Gateway:
        gateway = make_gateway()
        stack = AsyncExitStack()
        url = await stack.enter_async_context(served(gateway))
        async with (
            httpx.AsyncClient() as client
        ):  # builds the routes: two at once disturb each other
            await client.get(f"{url}/nexus/state")
        self.gateways[name], self._stacks[name] = gateway, stack
        self.roster.replicas[name] = Replica(name=name, address=url, version="1", switches=1)
        return gateway

    async def end(self, name: str) -> None:
        """It is gone; the store tells after a while."""
        await self._stacks.pop(name).aclose()

    def bury(self, name: str) -> None:
        self.roster.replicas[name] = replace(self.roster.replicas[name], is_dead=True)

    async def close(self) -> None:
        for name in list(self._stacks):
            await self.end(name)


@asynccontextmanager
async def replicas(*names: str) -> AsyncIterator[Replicas]:
    """Some that run; all are ended at the end."""
    running = Replicas()
    try:
        for name in names:
            await running.start(name)
        yield running
    finally:
        await running.close()


@asynccontextmanager
async def attached(
    running: Replicas, to: str, *, is_read_only: bool = False
) -> AsyncIterator[FleetSource]:
    """The fleet as a screen sees it that was attached to one of them."""
    roster = running.roster
    async with Told(roster, roster.replicas[to]) as seed:
        await seed.connect()
        fleet = FleetSource(
            seed,
            roster.roll(to),
            lambda replica: Told(roster, replica),
            look_seconds=0.02,
            is_read_only=is_read_only,
        )
        async with asyncio.TaskGroup() as tasks:
            links = [tasks.create_task(seed.run()), tasks.create_task(fleet.run())]
            await fleet.settle(10)
            yield fleet
            fleet.close()
            for link in links:
                link.cancel()


def came(number: str, at: float = 1.0) -> RequestReceived:
    return received(number, at=at)


def ended(number: str, at: float = 2.0) -> NexusEvent:
    return unserved(number, at=at, total_ms=1000.0, error_code="capacity_exceeded")
