"""What is spent is passed on, from whoever knows it to whoever lives, while data are lost again."""

from __future__ import annotations

import asyncio
from typing import Any

from nexus_core.state.valkey.link import ValkeyLink
from tests.fleet.server import StoreServer
from tests.state.leases.processes import MONTH, joined, process
from tests.waiting import until

COST = 10


async def test_who_has_not_joined_yet_passes_on_what_others_knew(own_store: StoreServer) -> None:
    patient: dict[str, Any] = {"dead_after_seconds": 4}  # so long a quarantine waits for the dead
    one, two, late = (process(own_store.url, f"box-{number}", **patient) for number in (1, 2, 3))
    lease, books = one.account(1000)
    two.account(1000)
    late_lease, late_books = late.account(1000)
    key = f"{{nexus:default}}:spent:{MONTH}:*"

    async with asyncio.TaskGroup() as tasks:
        begun = {each.link: tasks.create_task(each.link.run()) for each in (one, two)}

        def kill(link: ValkeyLink) -> None:
            link.beats = 0  # so that it has nothing to leave
            begun[link].cancel()

        await joined(one, two)
        for _ in range(3):
            assert await one.spend(lease, books, COST)
        await two.beat()
        kill(one.link)
        own_store.flush()
        await until(lambda: own_store.ask("HGET", key, "box-1") == "30")
        begun[late.link] = tasks.create_task(late.link.run())
        late.join("box-3")
        await late.beat()
        kill(two.link)
        assert late.link.is_quarantined
        own_store.flush()

        await until(lambda: late.money._is_joined, 10)
        assert own_store.ask("HGET", key, "box-1") == "30"
        await until(lambda: late_lease.elsewhere >= 30)
        assert await late.spend(late_lease, late_books, COST)
        kill(late.link)
