"""Who is asked after a cooldown, a trial or a switch."""

from __future__ import annotations

import asyncio

from nexus_core.types import (
    PrivacyZone,
    RouteReason,
)
from nexus_core.upstream.base import UpstreamConnectError
from tests.proxy.fakes import JSON, ScriptedResponse
from tests.proxy.test_forward import ANSWER, SAID, ScriptedAgent, World, whole
from tests.waiting import settled


async def test_a_429_rests_the_backend_for_as_long_as_it_says() -> None:
    headers = (*JSON, ("retry-after", "30"))
    busy = ScriptedResponse(b"{}", status=429, headers=headers)
    world = World(ScriptedAgent("a", busy), ScriptedAgent("b", whole(), whole()))

    await world.ask()
    reply = await world.ask()

    assert len(world.agents["a"].bodies) == 1
    assert reply.selected is not None
    assert reply.selected.reason is RouteReason.CAPABILITY_MATCH


async def test_a_backend_that_can_not_be_reached_costs_one_request_one_attempt() -> None:
    dead = ScriptedAgent("a", UpstreamConnectError("no connection within 5 s"))
    world = World(dead, ScriptedAgent("b", whole(), whole(), whole()))

    for _ in range(3):
        assert (await world.ask()).status == 200

    assert len(dead.bodies) == 1


async def test_a_backend_on_trial_gets_one_request_and_is_well_after_its_answer() -> None:
    gate = asyncio.Event()
    slow = ScriptedResponse(gate, ANSWER, headers=JSON)
    first = ScriptedAgent("a", UpstreamConnectError("refused"), slow, whole())
    world = World(first, ScriptedAgent("b", whole(), whole()), max_concurrent=5)
    await world.ask()
    world.time += 6

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        trial = tasks.create_task(world.ask())
        await settled()
        beside = await world.ask()
        gate.set()
    after = await world.ask()

    served = [
        reply.selected and reply.selected.backend.name for reply in (trial.result(), beside, after)
    ]
    assert served == ["a", "b", "a"]


async def test_a_zone_switched_off_takes_no_more_and_can_end_what_runs() -> None:
    response = ScriptedResponse(SAID, asyncio.Event())
    world = World(ScriptedAgent("a", response))

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(world.ask(stream=True))
        await settled()
        assert response.is_read
        world.registry.set_zone_enabled(PrivacyZone.RESTRICTED, False)
        refused = await world.ask()
        assert not running.done()
        assert world.forwarder.end_zone(PrivacyZone.OPEN) == 0
        assert world.forwarder.end_zone(PrivacyZone.RESTRICTED) == 1

    assert refused.error is not None
    assert refused.error.code == "no_capable_backend"
    assert "the restricted zone is switched off" in refused.error.message
    ended = running.result()
    assert ended.error is not None
    assert ended.error.code == "switched_off"
    assert b"[DONE]" not in ended.body
    assert response.closed


async def test_a_zone_switched_on_again_serves_as_before() -> None:
    world = World(ScriptedAgent("a", whole()))

    assert world.registry.set_zone_enabled(PrivacyZone.RESTRICTED, False)
    assert not world.registry.set_zone_enabled(PrivacyZone.RESTRICTED, False)
    assert world.registry.set_zone_enabled(PrivacyZone.RESTRICTED, True)

    assert (await world.ask()).status == 200
