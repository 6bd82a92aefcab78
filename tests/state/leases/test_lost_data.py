"""Processes that are cut off or killed while the store loses its data: no limit is passed.

The program, the links and the leases are the real ones; a second of quarantine passes at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, cast

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from nexus_core.state.base import StoreUnavailableError
from nexus_core.state.leases.recovery import Identity, Recovered
from nexus_core.state.valkey.program import program
from tests.fleet.server import StoreServer
from tests.state.leases.processes import process
from tests.waiting import turns

MOST, LIMIT, COST, COUNT = 4, 100, 10, 3
_QUARANTINE = "{nexus:default}:quarantine"

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["use", "free", "spend", "beat", "cut", "mend", "kill"]),
            st.integers(0, COUNT - 1),
        ),
        st.tuples(st.sampled_from(["lose", "pass"]), st.just(0)),
    ),
    max_size=40,
)


class One:
    """A process, and its connection."""

    def __init__(self, url: str, redis: Redis, number: int, ledger: int = 0) -> None:
        """`ledger`: what it says that was spent before."""
        self.process = process(url, f"box-{number}", dead_after_seconds=60.0)
        self.count, self.slots = self.process.count(MOST)
        self.lease, self.books = self.process.account(LIMIT)
        self.is_cut = False
        self.books.spent = ledger
        self._redis = redis
        self.process.link._run_id = str(redis.info("server")["run_id"])
        known: dict[str | None, int] = {None: ledger}
        self.process.money.join(Identity(f"box-{number}"), known, known, self._recover)

    def _recover(self, rows: tuple[Recovered, ...]) -> None:
        self.books.spent += sum(row.nano_usd for row in rows)

    async def run(self, key: str, verb: str, said: bytes) -> dict[str, Any]:
        """As a connection does."""
        if self.is_cut:
            raise StoreUnavailableError("cut")
        answer = cast("bytes", self._redis.eval(program().body.decode(), 1, key, verb, said))
        return cast("dict[str, Any]", msgspec.json.decode(answer))

    async def call(self, *, is_beat: bool) -> None:
        try:
            await self.process.link._call(cast("Any", self), is_beat=is_beat)
        except StoreUnavailableError as error:
            self.process.link._lost(str(error), is_first=False)

    async def ask(self, asking: Coroutine[Any, Any, bool]) -> None:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(asking)
            while not task.done():
                await turns()
                if self.process.link._waiting:
                    await self.call(is_beat=False)


class Fleet:
    def __init__(self, store: StoreServer) -> None:
        self.redis = Redis(unix_socket_path=str(store.socket))
        self.redis.flushall()
        store.known()
        self.url = store.url
        self.spent = 0
        self.each = [One(store.url, self.redis, number) for number in range(COUNT)]

    async def beat(self, times: int) -> None:
        for _ in range(times):
            for one in self.each:
                await one.call(is_beat=True)

    def stop_the_clock(self, ends: int) -> None:
        if self.redis.exists(_QUARANTINE):
            self.redis.set(_QUARANTINE, str(ends), px=60_000)

    async def do(self, what: str, one: One) -> None:
        match what:
            case "use":
                for _ in range(3):
                    await one.ask(one.process.begin(one.count, one.slots))
            case "free" if one.slots.now:
                one.process.end(one.count, one.slots)
            case "spend" if one.process.money._is_joined:
                before = one.books.spent
                for _ in range(5):
                    await one.ask(one.process.spend(one.lease, one.books, COST))
                self.spent += one.books.spent - before
            case "kill":
                number = self.each.index(one)
                self.each[number] = One(self.url, self.redis, number, one.books.spent)
            case "beat":
                await one.call(is_beat=True)
            case "cut" | "mend":
                one.is_cut = what == "cut"
            case "lose":
                self.redis.flushall()
            case "pass":
                await self.beat(2)
                self.stop_the_clock(1)
                await self.beat(2)
            case _:
                pass
        self.stop_the_clock(int(time.time() * 1000) + 900)

    async def go(self, steps: list[tuple[str, int]]) -> None:
        await self.beat(1)
        self.stop_the_clock(1)
        await self.beat(3)
        for what, number in steps:
            await self.do(what, self.each[number])
            assert sum(one.slots.now for one in self.each) <= MOST
            assert self.spent <= LIMIT + COST
        for one in self.each:
            one.is_cut = False
        await self.do("pass", self.each[0])
        await self.beat(2)
        for one in self.each:
            told = sum(other.books.spent for other in self.each)
            assert one.lease.spent + one.lease.elsewhere == told


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_limit_is_passed_and_what_was_spent_is_known_again(
    store: StoreServer, steps: list[tuple[str, int]]
) -> None:
    fleet = Fleet(store)
    try:
        asyncio.run(fleet.go(steps))
    finally:
        fleet.redis.close()
