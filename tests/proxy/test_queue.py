"""Requests that wait for a slot, with a whole forwarder around them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from nexus_core.config.schema import QueueConfig
from nexus_core.types import PrivacyZone
from tests.proxy.fakes import JSON, RecordingReply, ScriptedResponse
from tests.proxy.test_forward import ANSWER, STREAM, ScriptedAgent, World, whole
from tests.waiting import hasten, settled


class Gate:
    """An answer that is held back until it is opened."""

    def __init__(self) -> None:
        self.event = asyncio.Event()
        self.answer = ScriptedResponse(self.event, ANSWER, headers=JSON)


@asynccontextmanager
async def busy(
    *answers: ScriptedResponse, size: int = 10, wait: float = 5
) -> AsyncIterator[tuple[World, Gate, asyncio.TaskGroup]]:
    """A backend with one slot, taken until the gate is opened; `answers` come after it."""
    gate = Gate()
    queue = QueueConfig(enabled=True, max_size=size, max_wait_seconds=wait)
    world = World(ScriptedAgent("a", gate.answer, *answers), queue=queue)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(world.ask())
        await settled()
        yield world, gate, tasks
        gate.event.set()
    assert len(world.queue or ()) == 0
    assert world.registry.snapshot("a").in_flight == 0


async def waiting(world: World, count: int) -> None:
    """Let everybody get as far as they can; so many wait then."""
    await settled()
    assert len(world.queue or ()) == count


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_waits_for_the_slot_and_is_answered(stream: bool) -> None:
    answer = ScriptedResponse(STREAM) if stream else whole()
    async with busy(answer) as (world, gate, tasks):
        reply = tasks.create_task(world.ask(stream=stream))
        await waiting(world, 1)
        assert not reply.done()
        gate.event.set()

    assert reply.result().status == 200


async def test_high_goes_before_normal_and_each_in_the_order_of_arrival() -> None:
    order: list[str] = []

    async def ask(world: World, name: str, *, high: bool) -> None:
        await world.ask(high=high)
        order.append(name)

    async with busy(*(whole() for _ in range(4))) as (world, gate, tasks):
        for number, (name, high) in enumerate(
            [("normal 1", False), ("high 1", True), ("normal 2", False), ("high 2", True)], 1
        ):
            tasks.create_task(ask(world, name, high=high))
            await waiting(world, number)
        gate.event.set()

    assert order == ["high 1", "high 2", "normal 1", "normal 2"]


async def test_nobody_gets_in_between_a_freed_slot_and_the_one_who_waits() -> None:
    second = Gate()
    async with busy(second.answer, whole()) as (world, gate, tasks):
        first = tasks.create_task(world.ask())
        await waiting(world, 1)
        gate.event.set()
        await waiting(world, 0)
        newcomer = tasks.create_task(world.ask())
        await waiting(world, 1)
        second.event.set()

    assert first.result().status == newcomer.result().status == 200


async def test_a_wait_that_is_too_long_is_a_503() -> None:
    async with busy() as (world, _, _):
        reply = await hasten(world.ask(), 1)

    assert refused(reply) == (503, "capacity_exceeded")


async def test_a_full_room_is_a_503_at_once() -> None:
    async with busy(whole(), size=1) as (world, _, tasks):
        tasks.create_task(world.ask())
        await waiting(world, 1)
        reply = await world.ask()

    assert refused(reply) == (503, "capacity_exceeded")


async def test_who_leaves_makes_room_for_the_next() -> None:
    async with busy(whole()) as (world, gate, tasks):
        leaving = tasks.create_task(world.ask())
        await waiting(world, 1)
        staying = tasks.create_task(world.ask())
        await waiting(world, 2)
        leaving.cancel()
        await waiting(world, 1)
        gate.event.set()

    assert staying.result().status == 200


async def test_a_turn_that_comes_as_its_request_leaves_goes_to_the_next() -> None:
    async with busy(whole()) as (world, _, tasks):
        leaving = tasks.create_task(world.ask())
        await waiting(world, 1)
        staying = tasks.create_task(world.ask())
        await waiting(world, 2)
        # Both in one turn of the loop: the slot is given to the first, which is cancelled.
        world.registry.acquire("a")
        world.registry.release("a")
        leaving.cancel()

    assert leaving.cancelled()
    assert staying.result().status == 200


async def test_a_backend_switched_on_serves_those_who_wait() -> None:
    gate = Gate()
    world = World(
        ScriptedAgent("a", gate.answer),
        ScriptedAgent("b", whole()),
        queue=QueueConfig(enabled=True),
    )
    world.registry.set_enabled("b", False)
    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(world.ask())
        await settled()
        reply = tasks.create_task(world.ask())
        await waiting(world, 1)
        world.registry.set_enabled("b", True)
        await asyncio.wait([reply])
        gate.event.set()

    served = reply.result().selected
    assert served is not None
    assert served.backend.name == "b"


async def test_who_waits_for_a_backend_that_is_switched_off_waits_no_longer() -> None:
    async with busy() as (world, _, tasks):
        reply = tasks.create_task(world.ask())
        await waiting(world, 1)
        world.registry.set_zone_enabled(PrivacyZone.RESTRICTED, False)
        assert world.forwarder.end_zone(PrivacyZone.RESTRICTED) == 1  # the one that runs
        await asyncio.wait([reply])

    assert refused(reply.result()) == (503, "no_capable_backend")


async def test_a_switch_between_a_turn_and_its_request_still_holds() -> None:
    async with busy() as (world, _, tasks):
        reply = tasks.create_task(world.ask())
        await waiting(world, 1)
        # In one turn of the loop: the slot is given to the one who waits, then switched off.
        world.registry.acquire("a")
        world.registry.release("a")
        world.registry.release("a")
        assert len(world.queue or ()) == 0
        world.registry.set_enabled("a", False)
        await asyncio.wait([reply])
        world.registry.acquire("a")  # what the running request will give back

    assert refused(reply.result()) == (503, "no_capable_backend")
    assert len(world.agents["a"].bodies) == 1


async def test_a_request_nobody_could_ever_serve_does_not_wait() -> None:
    world = World(ScriptedAgent("a"), queue=QueueConfig(enabled=True))
    world.registry.set_enabled("a", False)

    reply = await world.ask()

    assert refused(reply) == (503, "no_capable_backend")


def refused(reply: RecordingReply) -> tuple[int | None, str]:
    assert reply.error is not None
    return reply.status, reply.error.code
