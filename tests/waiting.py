"""Wait for what must come. The only place in the tests that sleeps or turns the loop's clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")

WITHIN_SECONDS = 20.0
_LOOK_EVERY_SECONDS = 0.005
_TURNS_TO_ARRIVE = 10  # from one end of a loopback socket into the code at the other


async def until(
    claim: Callable[[], bool | Awaitable[bool]], seconds: float = WITHIN_SECONDS
) -> None:
    """Let the loop run until the claim holds; TimeoutError when it does not in time."""
    async with asyncio.timeout(seconds):
        while True:
            holds = claim()
            if holds if isinstance(holds, bool) else await holds:
                return
            await asyncio.sleep(_LOOK_EVERY_SECONDS)


def wait_until(
    claim: Callable[[], bool],
    seconds: float = WITHIN_SECONDS,
    what: Callable[[], str] = lambda: "it did not happen in time",
    *,
    every: float = _LOOK_EVERY_SECONDS,
) -> None:
    """Hold up this thread until the claim holds, for what threads and processes do.

    Args:
        what: says what did not happen.
        every: seconds from look to look, more where a look is dear.
    """
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, what()
        time.sleep(every)


async def turns(count: int = 1) -> None:
    """Let the loop go round so often: each time every task that can goes on once.

    For claims about order, and for what lies in the sockets of this process: what was written
    to one before is read in the next turn. To wait for something, use `until` or `settled`.
    """
    for _ in range(count):
        await asyncio.sleep(0)


@asynccontextmanager
async def others() -> AsyncIterator[list[None]]:
    """Whoever else wants the loop: the list grows with each turn that the block leaves to it."""
    taken: list[None] = []

    async def wait_for_turns() -> None:
        while True:
            await turns()
            taken.append(None)

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(wait_for_turns())
        yield taken
        waiting.cancel()


async def settled() -> None:
    """Let the tasks run until all of them wait for a timer, a socket or a thread."""
    loop = asyncio.get_running_loop()
    await turns()
    while loop._ready:  # type: ignore[attr-defined]  # asyncio has no public name for it
        await turns()


class Ahead:
    """A clock that goes on by itself, and can be put ahead."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seconds = 0.0
        self._clock = clock

    def __call__(self) -> float:
        return self._clock() + self.seconds


def pass_time(seconds: float) -> None:
    """Put the running loop's clock ahead: whatever would end within these seconds ends now.

    That is every time-out and timer of the loop, the test's own among them.
    """
    loop = asyncio.get_running_loop()
    clock = loop.time
    if not isinstance(clock, Ahead):
        clock = loop.time = Ahead(clock)  # type: ignore[method-assign]
    clock.seconds += seconds


async def take_time(seconds: float) -> None:
    """As if the caller were busy for so long; what it wrote to a socket before is read first."""
    await turns(_TURNS_TO_ARRIVE)
    pass_time(seconds)
    await turns()


async def hasten(work: Awaitable[T], seconds: float) -> T:
    """What the work gives, at once: whenever everybody waits, so many seconds pass.

    Not for work that waits for a thread or a process: that would be late.
    """
    task = asyncio.ensure_future(work)
    try:
        while True:
            await turns(_TURNS_TO_ARRIVE)
            await settled()
            if task.done():
                return task.result()
            pass_time(seconds)
    finally:
        task.cancel()
