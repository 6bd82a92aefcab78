"""What of a backend's shared slots a process listens to, without a store."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from nexus_core.proxy.leases import Leases
from nexus_core.state.clock import lease_clock
from nexus_core.state.leases.counts import Counts
from nexus_core.state.leases.lease import Term
from nexus_core.types import JsonObject
from tests.fleet.test_registry import registry


@dataclass
class Link:
    """Of a store that answers when a test lets it."""

    live: int = 1
    restores: bool = False
    answer: JsonObject = field(default_factory=dict[str, Any])
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    answers: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, part: str, question: JsonObject) -> JsonObject:
        self.asked.set()
        await self.answers.wait()
        return self.answer

    def hurry(self) -> None:
        pass


def counts_over(link: Link) -> Counts:
    return Counts(cast("Any", link), Term(5.0, lease_clock), lambda _, __: None)


def waited_for(held: int) -> JsonObject:
    """An answer by which others wait for slots of the backend."""
    return {"items": {"slots:a": {"held": held, "waiting": 1, "contenders": 2}}}


async def test_it_listens_while_others_wait_for_a_slot() -> None:
    link, reg = Link(answer=waited_for(1)), registry(max_concurrent=4)
    counts = counts_over(link)
    Leases(reg, cast("Any", None), counts, cast("Any", None))
    counts.accept(waited_for(2), lease_clock())
    assert len(reg.wakes.listeners) == 1

    counts.accept({"items": {"slots:a": {"held": 2}}}, lease_clock())

    assert reg.wakes.listeners == []


async def test_an_answer_for_a_backend_that_was_removed_meanwhile_changes_nothing() -> None:
    link, reg = Link(answer=waited_for(1)), registry(max_concurrent=4)
    counts = counts_over(link)
    Leases(reg, cast("Any", None), counts, cast("Any", None))
    reg.acquire("a")
    async with asyncio.TaskGroup() as tasks:
        asking = tasks.create_task(counts.obtain(counts.items["slots:a"]))
        await link.asked.wait()
        reg.remove("a")
        link.answers.set()

    assert asking.result()
    assert reg.wakes.listeners == []
