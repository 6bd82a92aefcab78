"""The waiting room over real sockets: who leaves, who is next, and who waited too long."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from nexus_core.config.schema import QueueConfig, RoutingConfig
from tests.contract.bodies import DONE, chat
from tests.contract.scripted_upstream import Exchange, ScriptedUpstream
from tests.scenarios.nexus import (
    CHAT,
    HIGH,
    RESTRICTED,
    Asked,
    Gate,
    Nexus,
    backend,
    cloud,
    error_of,
    in_turn,
    running,
    say,
    told,
    upstreams,
)
from tests.waiting import pass_time, until

WAITING = QueueConfig(enabled=True)


async def start_named(nexus: Nexus, name: str, *, high: bool = False, stream: bool = True) -> Asked:
    """Let a request wait whose prompt is its name."""
    count = nexus.gateway.queued
    body = chat("m", stream=stream, messages=[{"role": "user", "content": name}])
    headers = HIGH if high else None
    task = nexus.tasks.create_task(nexus.http.post(CHAT, json=body, headers=headers))
    await until(lambda: nexus.gateway.queued == count + 1)
    return task


def names(upstream: ScriptedUpstream) -> list[str]:
    """Whose requests came, in order; the first one held the slot."""
    bodies = [json.loads(exchange.body) for exchange in upstream.received[1:]]
    return [body["messages"][0]["content"] for body in bodies]


async def test_who_leaves_makes_no_hole_wherever_it_stood() -> None:
    async with (
        upstreams(say) as (only,),
        running(backend("only", only.url, max_concurrent=1), queue=WAITING) as nexus,
    ):
        for leaving in range(4):
            only.received.clear()
            only.script = in_turn(gate := Gate(), say)
            holding = nexus.start(stream=True)
            await only.wait_for_requests(1)
            asked = [await start_named(nexus, f"{n}") for n in range(4)]

            asked.pop(leaving).cancel()
            await until(lambda: nexus.gateway.queued == 3)
            gate.open()
            answers = await asyncio.gather(*asked, holding)

            assert names(only) == [f"{n}" for n in range(4) if n != leaving]
            assert all(answer.content.endswith(DONE) for answer in answers)

    left = [event for event in nexus.finished() if event.client_left]
    told_of = [(event.status, event.failed, event.backend) for event in left]
    assert told_of == [(499, False, None)] * 4


async def test_high_goes_before_normal_and_each_in_the_order_of_arrival() -> None:
    gate = Gate()
    async with (
        upstreams(in_turn(gate, say)) as (only,),
        running(backend("only", only.url, max_concurrent=1), queue=WAITING) as nexus,
    ):
        holding = nexus.start()
        await only.wait_for_requests(1)
        asked = [
            await start_named(nexus, name, high=name.startswith("high"), stream=bool(n % 2))
            for n, name in enumerate(["normal 1", "high 1", "normal 2", "high 2", "normal 3"])
        ]
        asked.pop(0).cancel()
        await until(lambda: nexus.gateway.queued == 4)
        gate.open()
        await asyncio.gather(*asked, holding)

    assert names(only) == ["high 1", "high 2", "normal 2", "normal 3"]


async def test_all_who_wait_may_leave_and_the_next_finds_the_slot() -> None:
    gate = Gate()
    async with (
        upstreams(in_turn(gate, say)) as (only,),
        running(backend("only", only.url, max_concurrent=1), queue=WAITING) as nexus,
    ):
        holding = nexus.start()
        await only.wait_for_requests(1)
        asked = [await start_named(nexus, f"{n}", high=bool(n % 2)) for n in range(6)]

        for task in asked:
            task.cancel()
        await until(lambda: nexus.gateway.queued == 0)
        gate.open()
        await holding
        answer = await nexus.ask()

    assert told(answer)[0] == 200
    assert len(only.received) == 2


async def test_those_who_leave_and_those_who_come_at_the_same_time_lose_no_slot() -> None:
    """Two slots, many who wait a moment, half of them gone in the middle of it."""
    async with (
        upstreams(say) as (only,),
        running(backend("only", only.url, max_concurrent=2), queue=WAITING) as nexus,
    ):
        asked = [nexus.start(stream=bool(n % 2)) for n in range(60)]
        await only.wait_for_requests(10)
        for task in asked[1::2]:
            task.cancel()
        results = await asyncio.gather(*asked, return_exceptions=True)
        await nexus.gateway.forwarder.idle()
        after = await nexus.ask()

    stayed = [result for result in results[::2] if isinstance(result, httpx.Response)]
    assert [answer.status_code for answer in stayed] == [200] * 30
    assert told(after)[0] == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_wait_that_is_too_long_is_a_503_that_says_when_to_come_again(stream: bool) -> None:
    gate = Gate()
    short = QueueConfig(enabled=True, max_wait_seconds=5)
    async with (
        upstreams(say) as (only,),
        running(backend("only", only.url, max_concurrent=1), queue=short) as nexus,
    ):
        only.script = quick = Gate()
        first = nexus.start()
        await only.wait_for_requests(1)
        nexus.clock.seconds += 12
        quick.open()
        await first
        only.script = gate
        holding = nexus.start()
        await only.wait_for_requests(2)

        waiting = await nexus.start_waiting(1, stream=stream)
        pass_time(5)
        refused = await waiting
        gate.open()
        await holding

    assert refused.status_code == 503
    error = error_of(refused)
    assert (error["code"], error["context"]["eta_seconds"]) == ("capacity_exceeded", 12)
    assert refused.headers["retry-after"] == "12"


async def test_a_refusal_after_a_wait_tells_of_now_and_not_of_when_the_wait_began() -> None:
    """A backend that became unhealthy in the meantime, and another that is busy all the time."""
    gate = Gate()
    async with (
        upstreams(gate, gate) as (first, second),
        running(
            backend("first", first.url, max_concurrent=1),
            backend("second", second.url, max_concurrent=1),
            queue=QueueConfig(enabled=True, max_wait_seconds=5),
        ) as nexus,
    ):
        holding = [nexus.start(), nexus.start()]
        await first.wait_for_requests(1)
        await second.wait_for_requests(1)
        waiting = await nexus.start_waiting(1)
        nexus.gateway.registry.record_refused_key("first", "401")
        pass_time(5)
        refused = await waiting
        gate.open()
        await asyncio.gather(*holding)

    listed = error_of(refused)["context"]["available_backends"]
    assert [(b["name"], b["status"]) for b in listed] == [
        ("first", "unhealthy"),
        ("second", "at_capacity"),
    ]


async def test_a_full_room_is_a_503_at_once_and_counts_those_who_wait_in_its_eta() -> None:
    gate = Gate()
    async with (
        upstreams(say) as (only,),
        running(
            backend("only", only.url, max_concurrent=1),
            queue=QueueConfig(enabled=True, max_size=2),
        ) as nexus,
    ):
        only.script = quick = Gate()
        first = nexus.start()
        await only.wait_for_requests(1)
        nexus.clock.seconds += 10
        quick.open()
        await first
        only.script = in_turn(gate, say)
        holding = nexus.start()
        await only.wait_for_requests(2)
        waiting = [await nexus.start_waiting(n) for n in (1, 2)]

        refused = await nexus.ask()
        gate.open()
        await asyncio.gather(holding, *waiting)

    assert (refused.status_code, error_of(refused)["code"]) == (503, "capacity_exceeded")
    assert refused.headers["retry-after"] == "30"  # two before it, and the one that runs


async def test_a_switch_serves_or_refuses_those_who_wait_at_once() -> None:
    gate = Gate()
    async with (
        upstreams(gate, say) as (first, second),
        running(
            backend("first", first.url, max_concurrent=1),
            cloud("second", second.url, enabled=False),
            queue=WAITING,
        ) as nexus,
    ):
        holding = nexus.start()
        await first.wait_for_requests(1)
        free = await nexus.start_waiting(1)
        restricted = await nexus.start_waiting(2, headers=RESTRICTED)

        await nexus.switch("backends/second", enabled=True)
        served = await free
        assert nexus.gateway.queued == 1
        await nexus.switch("zones/restricted", enabled=False)
        refused = await restricted
        gate.open()
        await holding

    assert told(served)[:2] == (200, "second")
    assert refused.status_code == 503
    assert second.received != []
    assert all(b"restricted" not in exchange.body for exchange in second.received)


async def test_who_has_waited_fails_over_like_everyone_else() -> None:
    gate = Gate()

    async def busy(exchange: Exchange) -> None:
        await exchange.send_head(500, [("Content-Length", "0")])

    async with (
        upstreams(in_turn(gate, busy), in_turn(gate, say)) as (first, second),
        running(
            backend("first", first.url, max_concurrent=1, priority=90),
            backend("second", second.url, max_concurrent=1, priority=10),
            routing=RoutingConfig(strategy="priority_only"),
            queue=WAITING,
        ) as nexus,
    ):
        holding = [nexus.start(), nexus.start()]
        await first.wait_for_requests(1)
        await second.wait_for_requests(1)
        waiting = await nexus.start_waiting(1, stream=True)
        gate.open()
        answer = await waiting
        await asyncio.gather(*holding)

    assert told(answer)[:2] == (200, "second")
    assert answer.content.endswith(DONE)
