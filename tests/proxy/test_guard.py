"""The zone rule holds at the moment of sending, whatever chose the backend."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

from msgspec import structs
from msgspec.structs import replace

from nexus_core.config.schema import RoutingConfig
from nexus_core.routing.plan import Option
from nexus_core.routing.scoring import Strategy
from nexus_core.types import PrivacyZone
from tests.proxy.fakes import RecordingReply
from tests.proxy.test_forward import ScriptedAgent, World, request, whole


class Careless(Strategy):
    """A strategy that hands out other backends than those it was asked to rank: open ones."""

    def drawn(self, backends: Sequence[Any]) -> list[Any]:
        for option in backends:
            if isinstance(option, Option):
                opened = replace(option.choice.backend, zone=PrivacyZone.OPEN)
                option.choice = option.choice._replace(backend=opened)
        return list(backends)


async def test_the_zone_is_checked_once_more_at_the_moment_of_sending() -> None:
    agent, other = ScriptedAgent("a", whole()), ScriptedAgent("b", whole())
    careless = Careless(RoutingConfig(strategy="random"), Random(0))
    world = World(agent, other, strategy=careless)
    restricted = replace(request(False).need, zone=PrivacyZone.RESTRICTED)
    reply = RecordingReply()

    await world.forwarder.forward(structs.replace(request(False), need=restricted), reply)

    assert (reply.status, agent.bodies, other.bodies) == (500, [], [])
    world.finished()
