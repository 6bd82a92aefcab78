"""The zone rule holds at the moment of sending, whatever chose the backend."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.routing.scoring import Ranked, Strategy
from nexus_core.types import (
    PrivacyZone,
)
from tests.proxy.fakes import RecordingReply
from tests.proxy.test_forward import ScriptedAgent, World, request, whole


class Careless:
    """A strategy that hands out a backend of its own choice, whatever it was asked to rank."""

    def __init__(self, backend: BackendSnapshot) -> None:
        self.backend = backend

    def rank(self, backends: object, need: object) -> list[Ranked]:
        return [Ranked(self.backend)]

    def next_turn(self) -> None:
        pass


async def test_the_zone_is_checked_once_more_at_the_moment_of_sending() -> None:
    agent = ScriptedAgent("a", whole())
    world = World(agent)
    stray = replace(world.registry.snapshot("a"), zone=PrivacyZone.OPEN)
    world.forwarder._strategy = cast("Strategy", Careless(stray))
    restricted = replace(request(False).need, zone=PrivacyZone.RESTRICTED)
    reply = RecordingReply()

    await world.forwarder.forward(replace(request(False), need=restricted), reply)

    assert (reply.status, agent.bodies) == (500, [])
    world.finished()
