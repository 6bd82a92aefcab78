"""Time limits of requests: which one ran out, and what a client's leaving is beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from nexus_core.proxy.deadlines import SWEEP_SECONDS, Deadlines, Sweeper
from tests.waiting import hasten, pass_time, settled, turns


async def watched(
    sweeper: Sweeper[Deadlines],
    begin: Callable[[Deadlines], None],
    after: Callable[[Deadlines], bool],
) -> bool:
    """Wait without end under these deadlines; what `after` says of the end that came."""
    deadlines = Deadlines()
    begin(deadlines)
    sweeper.watch(deadlines, asyncio.get_running_loop())
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        if after(deadlines):
            return True
        raise
    finally:
        deadlines.close()
        sweeper.watched.discard(deadlines)
    return False


def in_a_second(what: str) -> Callable[[Deadlines], None]:
    return lambda deadlines: setattr(deadlines, what, asyncio.get_running_loop().time() + 1)


@pytest.mark.parametrize(
    ("limit", "asked"),
    [("wait_at", Deadlines.wait_ran_out), ("request_at", Deadlines.request_ran_out)],
)
async def test_a_wait_ends_when_its_limit_has_passed(
    limit: str, asked: Callable[[Deadlines], bool]
) -> None:
    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(watched(Sweeper[Deadlines](), in_a_second(limit), asked))
        pass_time(0.9)
        await settled()
        assert not waiting.done()

        pass_time(0.1 + SWEEP_SECONDS)
        await turns(10)

        assert await waiting
        assert not waiting.cancelling()


@pytest.mark.parametrize(
    ("limit", "asked"),
    [("wait_at", Deadlines.wait_ran_out), ("request_at", Deadlines.request_ran_out)],
)
async def test_a_client_that_leaves_when_time_is_over_has_left(
    limit: str, asked: Callable[[Deadlines], bool]
) -> None:
    begun: list[Deadlines] = []

    def begin(deadlines: Deadlines) -> None:
        begun.append(deadlines)
        setattr(deadlines, limit, 0.0)

    waiting = asyncio.ensure_future(watched(Sweeper[Deadlines](), begin, asked))
    await turns(2)
    begun[0].sweep(1.0)
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_ends_the_request_is_not_taken_for_the_end_of_a_wait() -> None:
    begun: list[Deadlines] = []

    def begin(deadlines: Deadlines) -> None:
        begun.append(deadlines)
        deadlines.wait_at = 0.0

    def ended_as_a_whole(deadlines: Deadlines) -> bool:
        return not deadlines.wait_ran_out() and deadlines.request_ran_out()

    waiting = asyncio.ensure_future(watched(Sweeper[Deadlines](), begin, ended_as_a_whole))
    await turns(2)
    begun[0].sweep(1.0)
    assert begun[0].end()

    assert await waiting
    assert not waiting.cancelling()


async def test_a_request_ends_once() -> None:
    deadlines = Deadlines()

    assert deadlines.end()
    assert not deadlines.end()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.Event().wait()
    assert deadlines.request_ran_out()


async def test_a_limit_that_was_lifted_ends_nothing() -> None:
    def begin(deadlines: Deadlines) -> None:
        in_a_second("wait_at")(deadlines)
        deadlines.wait_at = float("inf")

    waiting = asyncio.ensure_future(watched(Sweeper[Deadlines](), begin, Deadlines.wait_ran_out))
    await turns(2)
    pass_time(1000)
    await settled()

    assert not waiting.done()
    waiting.cancel()


async def test_nobody_looks_when_nothing_is_under_way() -> None:
    sweeper = Sweeper[Deadlines]()
    assert await hasten(watched(sweeper, in_a_second("wait_at"), Deadlines.wait_ran_out), 1)
    pass_time(SWEEP_SECONDS)
    await turns(3)

    assert sweeper.is_idle
    assert await hasten(watched(sweeper, in_a_second("wait_at"), Deadlines.wait_ran_out), 1)


def test_it_looks_again_in_another_loop() -> None:
    sweeper = Sweeper[Deadlines]()
    for _ in range(2):
        wait = watched(sweeper, in_a_second("wait_at"), Deadlines.wait_ran_out)
        assert asyncio.run(hasten(wait, 1))
