"""What holds whatever happens: random fleets, policies, failures, switches and saturation."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from nexus_core.observe.events import RequestFinished, RouteDecided
from tests.examples import promised
from tests.proxy.world import ASKS, RESTRICTED, STEPS, TURNS, WORLDS, Ask, Step, make


@promised(suppress_health_check=[HealthCheck.too_slow])
@given(parts=WORLDS, steps=st.lists(st.tuples(STEPS, TURNS), min_size=30, max_size=40))
def test_zones_slots_and_switches_hold_whatever_happens(
    parts: tuple[Any, ...], steps: list[tuple[Step, int | None]]
) -> None:
    async def run() -> None:
        world = make(parts)
        for step, turns in steps:
            await world.play(step, turns)
        await world.end()

        assert [s.in_flight for s in world.registry.snapshots()] == [0] * len(world.agents)
        assert world.forwarder.in_flight == 0
        for agent in world.agents.values():
            for body in agent.sent:
                asker = body["messages"][0]["content"]
                assert agent.zone is RESTRICTED or not world.restricted[asker]
        finished = [e.request_id for e in world.events.drain() if isinstance(e, RequestFinished)]
        assert sorted(finished) == sorted(world.begun)

    asyncio.run(run())


@promised(suppress_health_check=[HealthCheck.too_slow])
@given(parts=WORLDS, steps=st.lists(STEPS, max_size=8), last=ASKS)
def test_explain_foretells_the_first_decision(
    parts: tuple[Any, ...], steps: list[Step], last: Ask
) -> None:
    async def run() -> None:
        world = make(parts)
        for step in steps:
            await world.play(step)
        world.events.drain()

        await world.play(last)

        number = f"r{len(world.tasks) - 1}"
        decided = [
            event
            for event in world.events.drain()
            if isinstance(event, RouteDecided) and event.request_id == number
        ]
        chosen = world.foretold.chosen
        if chosen is None:
            assert not decided
        elif world.routing.strategy != "random":
            assert (decided[0].backend, decided[0].reason) == (chosen.backend, chosen.reason)
        await world.end()

    asyncio.run(run())
