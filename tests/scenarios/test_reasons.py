"""Each route reason by a real set-up, pins, and what is told of Nexus's own share of the time."""

from __future__ import annotations

import time

import openai
import pytest

from nexus_core.config.schema import PolicyConfig, QueueConfig, RoutingConfig
from nexus_core.types import PrivacyZone, RouteReason
from tests.contract.scripted_upstream import Exchange, answers
from tests.scenarios.nexus import (
    RESTRICTED,
    Gate,
    backend,
    cloud,
    error_of,
    in_turn,
    running,
    say,
    told,
    upstreams,
)
from tests.scenarios.test_circuit import OOPS
from tests.waiting import Ahead

PIN = {"X-Nexus-Backend": "pinned"}


async def test_all_four_reasons_are_told_to_the_official_client_and_counted() -> None:
    """The cloud is preferred; what keeps a request from it is what the reason says."""
    gate = Gate()
    policy = PolicyConfig(model_pattern="secret-*", privacy=PrivacyZone.RESTRICTED)
    async with (
        upstreams(say, say) as (far, near),
        running(
            cloud("cloud", far.url, priority=100, max_concurrent=1),
            backend("local", near.url, priority=1),
            routing=RoutingConfig(policies=(policy,), aliases={"secret-notes": "m"}),
        ) as nexus,
        openai.AsyncOpenAI(
            base_url=f"{nexus.http.base_url}/v1", api_key="any", max_retries=0
        ) as client,
    ):

        async def ask(model: str = "m", **headers: str) -> tuple[str | None, str | None]:
            raw = await client.chat.completions.with_raw_response.create(
                model=model, messages=[{"role": "user", "content": "hello"}], extra_headers=headers
            )
            assert raw.parse().choices[0].message.content == "Hello there."
            return raw.headers.get("x-nexus-backend"), raw.headers.get("x-nexus-route-reason")

        match = await ask()
        by_policy = await ask("secret-notes")
        by_header = await ask(**RESTRICTED)
        far.script = OOPS
        failover = await ask()
        far.script = gate
        holding = nexus.start()
        await far.wait_for_requests(3)
        overflow = await ask()
        gate.open()
        await holding
        counted = (await nexus.http.get("/v1/stats")).json()["route_reasons"]

    assert match == ("cloud", "capability-match")
    assert by_policy == by_header == ("local", "privacy-requirement")
    assert failover == ("local", "backend-failover")
    assert overflow == ("local", "capacity-overflow")
    assert counted == {
        RouteReason.CAPABILITY_MATCH: 2,
        RouteReason.PRIVACY_REQUIREMENT: 2,
        RouteReason.BACKEND_FAILOVER: 1,
        RouteReason.CAPACITY_OVERFLOW: 1,
    }


async def test_a_failed_attempt_goes_before_a_full_backend_in_the_reason() -> None:
    async with (
        upstreams(OOPS, say, say) as (first, second, third),
        running(
            backend("first", first.url, priority=100),
            backend("second", second.url, priority=50, max_concurrent=1),
            cloud("third", third.url, priority=1),
        ) as nexus,
    ):
        nexus.gateway.registry.acquire("second")
        failed_over = await nexus.ask()
        nexus.gateway.registry.release("second")

    assert told(failed_over) == (200, "third", "backend-failover")


async def test_a_full_backend_goes_before_a_restriction_in_the_reason() -> None:
    async with (
        upstreams(say, say, say) as (first, second, third),
        running(
            cloud("first", first.url, priority=100),
            backend("second", second.url, priority=60, max_concurrent=1),
            backend("third", third.url, priority=1),
            routing=RoutingConfig(strategy="priority_only"),
        ) as nexus,
    ):
        nexus.gateway.registry.acquire("second")
        overflown = await nexus.ask(headers=RESTRICTED)
        nexus.gateway.registry.release("second")
        restricted = await nexus.ask(headers=RESTRICTED)

    assert told(overflown) == (200, "third", "capacity-overflow")
    assert told(restricted) == (200, "second", "privacy-requirement")


# Pins ---------------------------------------------------------------------------------------------


async def test_a_pinned_request_goes_to_its_backend_or_to_none() -> None:
    async with (
        upstreams(say, say) as (first, second),
        running(
            backend("preferred", first.url, priority=100), backend("pinned", second.url, priority=1)
        ) as nexus,
    ):
        there = await nexus.ask(headers=PIN)
        second.script = OOPS
        failed = await nexus.ask(headers=PIN)
        await nexus.switch("backends/pinned", enabled=False)
        off = await nexus.ask(headers=PIN)

    assert told(there) == (200, "pinned", "capability-match")
    assert told(failed) == (500, "pinned", "capability-match")
    assert (off.status_code, error_of(off)["code"]) == (503, "no_capable_backend")
    assert first.received == []


async def test_a_pinned_request_waits_for_its_backend_though_another_is_free() -> None:
    gate = Gate()
    async with (
        upstreams(say, in_turn(gate, say)) as (first, second),
        running(
            backend("preferred", first.url, priority=100),
            backend("pinned", second.url, priority=1, max_concurrent=1),
            queue=QueueConfig(enabled=True),
        ) as nexus,
    ):
        holding = nexus.start(headers=PIN)
        await second.wait_for_requests(1)
        waiting = await nexus.start_waiting(1, headers=PIN)
        free = await nexus.ask()
        gate.open()
        answer = await waiting
        await holding

    assert told(free) == (200, "preferred", "capability-match")
    assert told(answer) == (200, "pinned", "capability-match")


async def test_a_restricted_request_pinned_to_an_open_backend_is_refused() -> None:
    async with (
        upstreams(say, say) as (far, near),
        running(cloud("pinned", far.url), backend("local", near.url)) as nexus,
    ):
        refused = await nexus.ask(headers=PIN | RESTRICTED)

    assert (refused.status_code, error_of(refused)["code"]) == (
        503,
        "privacy_constraint_violation",
    )
    assert far.received == near.received == []


# Nexus's own share of the time --------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Ahead:
    """What all of Nexus takes the time from."""
    clock = Ahead(time.monotonic)
    monkeypatch.setattr(time, "monotonic", clock)
    return clock


@pytest.mark.parametrize("stream", [False, True])
async def test_what_a_slow_backend_takes_is_not_counted_as_nexus_own_time(
    clock: Ahead, stream: bool
) -> None:
    """With a failed attempt before it, which is no time of Nexus either."""
    seconds = 3

    async def late(exchange: Exchange) -> None:
        clock.seconds += seconds
        await say(exchange)

    async def late_error(exchange: Exchange) -> None:
        clock.seconds += seconds
        await answers({"error": {}}, 500)(exchange)

    async with (
        upstreams(late_error, late) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        started = time.monotonic()
        answer = await nexus.ask(stream=stream)
        total_ms = (time.monotonic() - started) * 1000

    own_ms = float(answer.headers["x-nexus-overhead-ms"])
    (event,) = nexus.finished()
    assert event.overhead_ms is not None
    assert event.first_byte_ms is not None
    assert event.overhead_ms == pytest.approx(own_ms, abs=5)
    assert 0 <= own_ms <= total_ms - 2 * seconds * 1000
    assert event.first_byte_ms >= 2 * seconds * 1000


async def test_the_time_in_the_queue_is_not_nexus_own_time(clock: Ahead) -> None:
    gate = Gate()
    async with (
        upstreams(in_turn(gate, say)) as (only,),
        running(
            backend("only", only.url, max_concurrent=1), queue=QueueConfig(enabled=True)
        ) as nexus,
    ):
        holding = nexus.start()
        await only.wait_for_requests(1)
        waiting = await nexus.start_waiting(1)
        clock.seconds += 3
        gate.open()
        answer = await waiting
        await holding

    (waited,) = [
        e for e in nexus.finished() if e.request_id == answer.headers["x-nexus-request-id"]
    ]
    assert waited.total_ms >= 3000
    assert float(answer.headers["x-nexus-overhead-ms"]) <= waited.total_ms - 3000
