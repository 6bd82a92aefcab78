"""The zone rule holds at the moment of sending, whatever chose the backend."""

from __future__ import annotations

from collections.abc import Sequence
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
    """A strategy that hands out another backend than the one it was asked to rank: an open one."""

    def rank(self, backends: Sequence[BackendSnapshot], need: object) -> list[Ranked]:
        return [Ranked(replace(backends[0], zone=PrivacyZone.OPEN))]

    def next_turn(self) -> None:
        pass


async def test_the_zone_is_checked_once_more_at_the_moment_of_sending() -> None:
    agent = ScriptedAgent("a", whole())
    world = World(agent, strategy=cast("Strategy", Careless()))
    restricted = replace(request(False).need, zone=PrivacyZone.RESTRICTED)
    reply = RecordingReply()

    await world.forwarder.forward(replace(request(False), need=restricted), reply)

    assert (reply.status, agent.bodies) == (500, [])
    world.finished()
