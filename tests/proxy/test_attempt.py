"""One try: the slot is given back however it ends, and what failed is told as a value."""

import asyncio
from contextlib import suppress

import pytest

from nexus_core.proxy.attempt import Attempt, FailedAttempt
from nexus_core.proxy.in_flight import InFlight
from nexus_core.proxy.progress import RequestProgress
from nexus_core.routing.router import route
from nexus_core.upstream.base import UpstreamConnectError, UpstreamProtocolError
from tests.proxy.fakes import RecordingReply, ScriptedResponse
from tests.proxy.test_forward import SAID, STREAM, ScriptedAgent, World, request, whole


def attempt(world: World, number: int = 1) -> Attempt:
    parts, asked = world.parts, request(False)
    progress = RequestProgress(asked, parts.bus, parts.cost_tracker, parts.now)
    loop = asyncio.get_running_loop()
    flight = InFlight(parts, progress, RecordingReply(), world.server, loop)
    decision = route(asked.need, world.forwarder.contexts.build(None))
    parts.registry.acquire("a")
    return Attempt(parts, flight, decision, number)


async def test_an_answered_try_has_nothing_to_tell() -> None:
    world = World(ScriptedAgent("a", whole()))

    failed = await attempt(world).run()

    assert failed is None
    assert world.registry.snapshot("a").in_flight == 0


async def test_a_failed_try_tells_how_and_whose_failure_it_is() -> None:
    world = World(ScriptedAgent("a", UpstreamConnectError("connection refused")))

    failed = await attempt(world).run()

    assert isinstance(failed, FailedAttempt)
    assert failed.failure.why == "connection refused"
    assert (failed.route.backend.name, failed.route.model) == ("a", "m-at-a")
    assert world.registry.snapshot("a").in_flight == 0


class ClumsyResponse(ScriptedResponse):
    async def close(self, *, is_read: bool = False) -> None:
        raise RuntimeError


@pytest.mark.parametrize(
    "response",
    [ClumsyResponse(UpstreamProtocolError("reset")), RuntimeError("a fault of ours")],
)
async def test_the_slot_is_given_back_whatever_goes_wrong(
    response: ScriptedResponse | Exception,
) -> None:
    world = World(ScriptedAgent("a", response))

    with pytest.raises(RuntimeError):
        await attempt(world).run()

    assert world.registry.snapshot("a").in_flight == 0


async def test_the_slot_is_given_back_when_the_client_leaves() -> None:
    world = World(ScriptedAgent("a", asyncio.Event()))

    with suppress(TimeoutError):
        async with asyncio.timeout(0):
            await attempt(world).run()

    assert world.registry.snapshot("a").in_flight == 0


@pytest.mark.parametrize(
    ("parts", "is_read"),
    [
        ((STREAM,), True),
        ((SAID, UpstreamProtocolError("reset")), False),
        ((SAID, b"data: [DONE]"), False),
    ],
)
async def test_a_connection_may_be_used_again_after_the_end_mark(
    parts: tuple[bytes | Exception, ...], is_read: bool
) -> None:
    response = ScriptedResponse(*parts)

    await World(ScriptedAgent("a", response)).ask(stream=True)

    assert response.closed
    assert response.is_wholly_read is is_read
