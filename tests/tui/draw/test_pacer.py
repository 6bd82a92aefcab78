from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from nexus_tui.draw.pacer import BUSY_INTERVAL, DUTY, LONGEST, SHORTEST, Clocks, Pacer


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
        self.had_painted = 0  # that many are painted by a key before their round begins
        clocks = Clocks(now=lambda: self.now, cpu=lambda: self.now, sleep=self.sleep)
        self.pacer = Pacer(self, self, clocks=clocks)

    async def wait(self) -> None:
        if not self.events:
            raise Finished

    @property
    def has_news(self) -> bool:
        if not self.had_painted:
            return True
        self.had_painted -= 1
        self.events.pop(0)
        return False

    def collect(self) -> int:
        return self.events.pop(0)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    def begin_round(self) -> list[list[str]]:
        slots = (("kpi", "backends"), ("list",))
        return [[group for group in slot if group in self.dirty] for slot in slots]

    def paint_group(self, group: str) -> None:
        self.painted.append((self.now, group))
        self.now += self.paint_seconds

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


async def test_busy_rounds_come_twice_a_second_and_the_list_apart_from_the_figures() -> None:
    loop = FakeLoop([100] * 6)

    rounds = await loop.run()

    gaps = [b - a for a, b in pairwise(rounds)]
    assert all(gap == pytest.approx(BUSY_INTERVAL) for gap in gaps[1:])
    figures, backends, requests = [at for at, _ in loop.painted[-3:]]
    assert figures == backends
    assert requests - backends > 0.1


async def test_painting_takes_no_more_than_its_share() -> None:
    loop = FakeLoop([100] * 6, paint_seconds=0.005)

    rounds = await loop.run()

    gaps = [b - a for a, b in pairwise(rounds)]
    assert min(gaps) >= 3 * 0.005 / DUTY - 1e-6


async def test_the_screen_is_never_older_than_a_second_however_dear_it_is() -> None:
    loop = FakeLoop([100] * 6, paint_seconds=0.04)

    rounds = await loop.run()

    gaps = [b - a for a, b in pairwise(rounds)]
    assert gaps[1:] == pytest.approx([LONGEST] * 4)


async def test_what_the_compositor_spends_is_charged() -> None:
    loop = FakeLoop([1, 1, 1])
    loop.pacer.add_cost(0.015)

    rounds = await loop.run()

    assert rounds[1] - rounds[0] >= 0.015 / DUTY - 1e-6
    assert rounds[2] - rounds[1] < 0.015 / DUTY


async def test_groups_that_did_not_change_are_not_painted() -> None:
    loop = FakeLoop([1])
    loop.dirty = {"list"}

    await loop.run()

    assert [group for _, group in loop.painted] == ["list"]


async def test_what_a_key_has_had_painted_is_not_painted_again() -> None:
    loop = FakeLoop([1, 1])
    loop.had_painted = 1  # of the two, while the rest of a burst was waited for

    await loop.run()

    assert len(loop.painted) == 3


class Quiet:
    """No event ever; the first painting is told."""

    has_news = False

    def __init__(self) -> None:
        self.painted = asyncio.Event()

    async def wait(self) -> None:
        await asyncio.Event().wait()

    def collect(self) -> int:
        return 0

    def begin_round(self) -> list[list[str]]:
        return [["kpi"]]

    def paint_group(self, group: str) -> None:
        self.painted.set()


async def test_the_clock_is_looked_at_without_events() -> None:
    quiet = Quiet()
    pacer = Pacer(quiet, quiet, tick=0.01)

    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(pacer.run())
        async with asyncio.timeout(5):
            await quiet.painted.wait()
        running.cancel()


async def test_the_busy_rate_is_what_the_configuration_says() -> None:
    loop = FakeLoop([1000] * 20)
    clocks = Clocks(now=lambda: loop.now, cpu=lambda: 0.0, sleep=loop.sleep)
    loop.pacer = Pacer(loop, loop, clocks=clocks, busy_interval=1.25)

    rounds = await loop.run()

    assert [b - a for a, b in pairwise(rounds)][1:] == pytest.approx([1.25] * 18)
