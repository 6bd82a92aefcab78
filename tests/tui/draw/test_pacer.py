from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from nexus_tui.draw.pacer import BUSY_INTERVAL, DUTY, SHORTEST, Pacer


class Finished(Exception):
    """The script of the fake clock is at its end."""


class FakeLoop:
    """Time passes only by sleeping, waiting and painting."""

    def __init__(self, events: list[int], *, paint_seconds: float = 0.0) -> None:
        self.now = 100.0
        self.events = events  # of each round
        self.paint_seconds = paint_seconds
        self.painted: list[tuple[float, str]] = []
        self.dirty = {"kpi", "backends", "list"}
        self.pacer = Pacer(
            wait=self.wait,
            collect=self.collect,
            dirty=lambda: set(self.dirty),
            paint={group: self.painter(group) for group in ("kpi", "backends", "list")},
            clock=lambda: self.now,
            cpu=lambda: self.now,
            sleep=self.sleep,
        )

    async def wait(self) -> None:
        if not self.events:
            raise Finished

    def collect(self) -> int:
        return self.events.pop(0)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def painter(self, group: str) -> Callable[[], None]:
        def paint() -> None:
            self.painted.append((self.now, group))
            self.now += self.paint_seconds

        return paint

    async def run(self) -> list[float]:
        """When each round began to paint."""
        with pytest.raises(Finished):
            await self.pacer.run()
        return [at for at, group in self.painted if group == "kpi"]


async def test_the_first_event_is_painted_within_50_ms() -> None:
    loop = FakeLoop([1])

    await loop.run()

    assert len(loop.painted) == 3
    assert all(at - 100.0 <= 0.05 for at, _ in loop.painted)


async def test_quiet_rounds_are_at_least_250_ms_apart() -> None:
    rounds = await FakeLoop([1, 1, 1]).run()

    assert all(b - a >= SHORTEST - 1e-6 for a, b in pairwise(rounds))


async def test_busy_rounds_come_twice_a_second_with_a_slot_for_each_group() -> None:
    loop = FakeLoop([100] * 6)

    rounds = await loop.run()

    gaps = [b - a for a, b in pairwise(rounds)]
    assert all(gap == pytest.approx(BUSY_INTERVAL) for gap in gaps[1:])
    last = [at for at, _ in loop.painted[-3:]]
    assert last[1] - last[0] > 0.05
    assert last[2] - last[1] > 0.05


async def test_painting_takes_no_more_than_its_share() -> None:
    loop = FakeLoop([100] * 6, paint_seconds=0.02)

    rounds = await loop.run()

    gaps = [b - a for a, b in pairwise(rounds)]
    assert min(gaps) >= 3 * 0.02 / DUTY - 1e-6


async def test_what_the_compositor_spends_is_charged() -> None:
    loop = FakeLoop([1, 1, 1])
    loop.pacer.add_cost(0.05)

    rounds = await loop.run()

    assert rounds[1] - rounds[0] >= 0.05 / DUTY - 1e-6
    assert rounds[2] - rounds[1] < 0.05 / DUTY


async def test_groups_that_did_not_change_are_not_painted() -> None:
    loop = FakeLoop([1])
    loop.dirty = {"list"}

    await loop.run()

    assert [group for _, group in loop.painted] == ["list"]


async def test_the_clock_is_looked_at_without_events() -> None:
    painted = asyncio.Event()

    async def endless() -> None:
        await asyncio.Event().wait()

    pacer = Pacer(
        wait=endless,
        collect=lambda: 0,
        dirty=lambda: {"kpi"},
        paint={"kpi": painted.set},
        tick=0.01,
    )

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pacer.run())
        async with asyncio.timeout(5):
            await painted.wait()
        running.cancel()


async def test_the_busy_rate_is_what_the_configuration_says() -> None:
    rests: list[float] = []

    async def sleep(seconds: float) -> None:
        rests.append(seconds)
        if len(rests) > 20:
            raise Finished

    async def ready() -> None:
        return

    pacer = Pacer(
        wait=ready,
        collect=lambda: 1000,
        dirty=set,
        paint={},
        clock=lambda: 0.0,
        cpu=lambda: 0.0,
        sleep=sleep,
        busy_interval=1.25,
    )

    with pytest.raises(Finished):
        await pacer.run()

    assert max(rests) == pacer.interval == 1.25
