"""How long a window is, whatever the clock and the process did meanwhile."""

from __future__ import annotations

import asyncio

import pytest

from nexus_core.observe.stats import Stats
from nexus_core.observe.windows.marks import STEP_SECONDS, Marks
from nexus_core.observe.windows.window import MOVING, Window
from tests.observe.happened import received
from tests.observe.test_stats import decided, finished


class World:
    """A Nexus that counts, with a clock of its own."""

    def __init__(self) -> None:
        self.at = 1000.0
        self.stats = Stats()
        self.marks = Marks(self.stats, lambda: self.at)

    def answer(self, total_ms: float = 9.0, **changes: object) -> None:
        for event in (received(), decided(), finished(total_ms=total_ms, **changes)):
            self.stats.apply(event)

    def passes(self, seconds: float, every: float = STEP_SECONDS) -> None:
        for _ in range(round(seconds / every)):
            self.at += every
            self.marks.make()

    def requests(self) -> list[int]:
        return [self.marks.of(window).requests for window in Window]


def test_an_incident_leaves_each_window_in_its_time() -> None:
    world = World()
    world.answer(30_000, status=502, failed=True)
    assert world.requests() == [1, 1, 1, 1]

    world.passes(50)
    assert world.requests() == [1, 1, 1, 1]
    world.passes(15)
    world.answer()
    assert world.requests() == [1, 2, 2, 2]
    world.passes(240)
    assert world.requests() == [0, 1, 2, 2]
    world.passes(3600)

    assert world.requests() == [0, 0, 0, 2]
    world.answer(100)
    recent = world.marks.of(Window.FIVE_MINUTES)
    assert recent.failed == 0
    assert recent.total.percentile(0.99) == pytest.approx(100, rel=0.05)


@pytest.mark.parametrize("step", [STEP_SECONDS, STEP_SECONDS * 1.01, STEP_SECONDS * 1.3])
def test_a_window_is_never_shorter_than_it_says_and_hardly_longer(step: float) -> None:
    world = World()
    world.passes(4000, step)

    for _ in range(40):
        world.passes(step, step)
        for between in (0.0, 2.0):
            world.at += between
            for window in MOVING:
                most = 60 + step if window is Window.HOUR else step
                over = world.marks.seconds(window) - (window.seconds or 0)
                assert 0 <= over <= most + 2 + step, window
            world.at -= between


def test_a_young_nexus_shows_all_that_it_has_counted() -> None:
    world = World()
    world.answer()
    world.passes(30)

    assert world.marks.beginning(Window.MINUTE) is None
    assert world.marks.of(Window.MINUTE) is world.stats
    assert world.marks.seconds(Window.MINUTE) == 30
    assert world.marks.seconds(Window.START) == 30


def test_a_process_that_stood_still_shows_windows_from_before_it() -> None:
    world = World()
    world.passes(400)
    world.answer()
    world.passes(5)
    world.at += 1800  # stopped, with nothing counted
    world.answer()

    assert world.requests() == [1, 1, 2, 2]
    assert world.marks.seconds(Window.MINUTE) == 1800
    world.marks.make()
    world.passes(65)
    assert world.requests() == [0, 1, 2, 2]


def test_what_is_kept_is_bounded() -> None:
    world = World()
    for _ in range(200):
        world.answer()
        world.passes(60)

    assert len(world.marks._fine) + len(world.marks._coarse) <= 126


def test_while_nothing_happens_the_beginning_is_the_same_value() -> None:
    world = World()
    world.answer()
    world.passes(400)
    before = world.marks.beginning(Window.FIVE_MINUTES)
    world.passes(300)

    assert before is not None
    assert world.marks.beginning(Window.FIVE_MINUTES) is before


async def test_marks_are_made_as_time_passes_until_it_is_cancelled() -> None:
    world = World()
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)
        world.at += seconds
        if len(naps) > 20:
            raise asyncio.CancelledError

    world.answer()
    with pytest.raises(asyncio.CancelledError):
        await world.marks.run(sleep)

    assert set(naps) == {STEP_SECONDS}
    assert world.marks.of(Window.MINUTE).requests == 0
