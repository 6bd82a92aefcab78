"""What ends a request under way, and what is said of it."""

import asyncio

import pytest

from nexus_core.errors import UpstreamFailedError
from tests.proxy.test_attempt import attempt
from tests.proxy.test_forward import ScriptedAgent, World


async def test_a_request_ends_with_the_error_of_who_ended_it() -> None:
    flight = attempt(World(ScriptedAgent("a"))).flight
    error = UpstreamFailedError("switched off")

    is_ended = flight.end_with(error)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()
    assert is_ended
    assert flight.request_ran_out()
    assert flight.ended_with is error
    assert not flight.has_run_out


async def test_a_request_whose_time_is_over_can_not_be_ended_by_others() -> None:
    flight = attempt(World(ScriptedAgent("a"))).flight
    flight.request_at = 0.0

    flight.sweep(1.0)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()
    assert flight.has_run_out
    assert not flight.end_with(UpstreamFailedError("switched off"))
    assert flight.ended_with is None
    assert flight.request_ran_out()
