from __future__ import annotations

import asyncio

from nexus_tui.draw.intake import Intake


class Source:
    """Events by number; `wait` returns once there are some."""

    def __init__(self) -> None:
        self.there = 0
        self.arrived = asyncio.Event()

    def add(self, number: int) -> None:
        self.there += number
        self.arrived.set()

    async def wait(self) -> None:
        await self.arrived.wait()

    def take(self) -> int:
        taken, self.there = self.there, 0
        self.arrived.clear()
        return taken


async def test_what_comes_is_taken_before_anybody_asks() -> None:
    source = Source()
    intake = Intake(source.wait, source.take)

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(intake.run())
        source.add(3)
        await intake.wait()
        left = source.there
        running.cancel()

    assert left == 0
    assert intake.collect() == 3


async def test_every_event_is_counted_once() -> None:
    source = Source()
    intake = Intake(source.wait, source.take)
    counted = 0

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(intake.run())
        for number in range(1, 5):
            source.add(number)
            await intake.wait()
            source.add(number)
            counted += intake.collect()
        running.cancel()

    assert counted == 2 * (1 + 2 + 3 + 4)
    assert intake.collect() == 0
