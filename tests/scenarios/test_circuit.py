"""What fails has a cooldown, is tried with one request and used again; what a 429 asks for."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest

from nexus_core.config.schema import QueueConfig, ServerConfig
from nexus_core.fleet.circuit import FAILURES_TO_OPEN, FIRST_REST_SECONDS
from nexus_core.types import HealthStatus
from tests.contract.bodies import FIRST, HELLO
from tests.contract.scripted_upstream import Exchange, answers, silent_for, streams
from tests.scenarios.nexus import (
    EPOCH,
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
from tests.upstream.test_engines import full_backlog
from tests.waiting import until

OOPS = answers({"error": {"message": "oops"}}, 500)


@contextmanager
def dead_port(*, answers_syn: bool) -> Iterator[str]:
    """An address that refuses connections, or one where no connection ever comes about."""
    if not answers_syn:
        with full_backlog(ServerConfig().connect_timeout_seconds) as port:
            yield f"http://127.0.0.1:{port}"
        return
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening
        yield "http://127.0.0.1:{1}".format(*unused.getsockname())


async def fail(nexus: Nexus, times: int) -> None:
    """With a prompt of its own each time: one alone is no row."""
    for number in range(times):
        await nexus.ask(user=f"user {number}")


async def test_a_failing_model_is_left_alone_then_tried_with_one_request_then_used_again() -> None:
    gate = Gate()
    async with (
        upstreams(OOPS, say) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        await fail(nexus, FAILURES_TO_OPEN)
        while_open = [told(await nexus.ask())[1] for _ in range(4)]
        health = nexus.backend("first").health
        nexus.clock.seconds += FIRST_REST_SECONDS
        first.script = gate
        trial = nexus.start()
        await first.wait_for_requests(FAILURES_TO_OPEN + 1)
        beside_the_trial = [told(await nexus.ask())[1] for _ in range(4)]
        gate.open()
        passed = told(await trial)
        first.script = say
        after = await asyncio.gather(*(nexus.ask() for _ in range(4)))

    assert while_open == beside_the_trial == ["second"] * 4
    assert health is HealthStatus.HEALTHY  # that is what probes say
    assert passed == (200, "first", "capability-match")
    assert [told(answer)[1] for answer in after] == ["first"] * 4
    assert len(first.received) == FAILURES_TO_OPEN + 1 + 4


async def test_each_failed_trial_doubles_the_cooldown() -> None:
    async with (
        upstreams(OOPS, say) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        await fail(nexus, FAILURES_TO_OPEN)
        rest, asked = FIRST_REST_SECONDS, FAILURES_TO_OPEN
        for _ in range(3):
            nexus.clock.seconds += rest - 0.1
            await nexus.ask()
            assert len(first.received) == asked  # not yet
            nexus.clock.seconds += 0.1
            await nexus.ask()
            asked += 1
            assert len(first.received) == asked
            rest *= 2


async def test_a_model_whose_streams_all_break_is_left_alone_too() -> None:
    broken = streams([FIRST, HELLO], is_whole=False)
    async with (
        upstreams(broken, say) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        asked = [told(await nexus.ask(stream=True))[1] for _ in range(FAILURES_TO_OPEN + 2)]

    assert asked == ["first"] * FAILURES_TO_OPEN + ["second"] * 2


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stream_that_never_begins_is_a_failure_and_a_slow_whole_answer_is_none(
    stream: bool,
) -> None:
    """A whole answer has the request's time-out only: it may take all of it."""
    server = ServerConfig(request_timeout_seconds=3)

    async with (
        upstreams(silent_for(3), say) as (first, second),
        running(
            backend("first", first.url, priority=90),
            backend("second", second.url, priority=10),
            server=server,
        ) as nexus,
    ):
        asked = [told(await nexus.ask(stream=stream))[:2] for _ in range(FAILURES_TO_OPEN + 2)]

    then = (200, "second") if stream else (504, "first")
    assert asked == [(504, "first")] * FAILURES_TO_OPEN + [then] * 2


@pytest.mark.parametrize("answers_syn", [True, False], ids=["refused", "no connection in time"])
async def test_a_dead_backend_costs_one_request_one_attempt(answers_syn: bool) -> None:
    async with upstreams(say) as (second,):
        with dead_port(answers_syn=answers_syn) as dead:
            async with running(
                backend("dead", dead, priority=90),
                backend("second", second.url, priority=10),
            ) as nexus:
                asked = [told(await nexus.ask(stream=bool(n % 2))) for n in range(20)]

    assert asked[0] == (200, "second", "backend-failover")
    assert asked[1:] == [(200, "second", "capability-match")] * 19
    assert nexus.gateway.stats.backend("dead").attempts == 1
    assert nexus.gateway.stats.backend("second").attempts == 20


async def test_failing_over_adds_little_to_the_failure_itself() -> None:
    """The quickest of several, so that a busy machine does not decide."""
    added = []
    async with upstreams(say) as (second,):
        with dead_port(answers_syn=True) as dead:
            async with running(
                backend("dead", dead, priority=90), backend("second", second.url, priority=10)
            ) as nexus:
                for _ in range(5):
                    nexus.clock.seconds += 1000  # the cooldown is over
                    started = time.monotonic()
                    answer = await nexus.ask()
                    seconds = time.monotonic() - started
                    assert told(answer)[2] == "backend-failover"
                    added.append(seconds - nexus.failed()[-1].attempt.elapsed_ms / 1000)

    assert min(added) < 0.1


async def test_no_connection_in_time_is_a_504_and_a_refused_one_a_502() -> None:
    statuses = []
    for answers_syn in (True, False):
        with dead_port(answers_syn=answers_syn) as dead:
            async with running(backend("dead", dead)) as nexus:
                statuses.append(told(await nexus.ask())[:2])

    assert statuses == [(502, "dead"), (504, "dead")]


def http_date(seconds: float) -> str:
    return format_datetime(datetime.fromtimestamp(seconds, UTC), usegmt=True)


@pytest.mark.parametrize("form", ["seconds", "date", "milliseconds"])
async def test_a_429_keeps_requests_from_its_model_for_as_long_as_it_says(form: str) -> None:
    clock_at_start = 1000.0
    name, value = {
        "seconds": ("Retry-After", "30"),
        "date": ("Retry-After", http_date(EPOCH + clock_at_start + 30)),
        "milliseconds": ("retry-after-ms", "30000"),
    }[form]
    busy = answers({"error": {"message": "slow down"}}, 429, headers=[(name, value)])
    async with (
        upstreams(in_turn(busy, say), say) as (first, second),
        running(
            backend("first", first.url, priority=90), cloud("second", second.url, priority=10)
        ) as nexus,
    ):
        at_once = told(await nexus.ask())
        begun = told(await nexus.ask())
        nexus.clock.seconds += 29.5
        still = told(await nexus.ask())
        nexus.clock.seconds += 1
        over = told(await nexus.ask())

    assert at_once == (200, "second", "backend-failover")
    assert begun == still == (200, "second", "capability-match")
    assert over == (200, "first", "capability-match")


@pytest.mark.parametrize("value", ["30", http_date(EPOCH + 1000.0 + 30)])
async def test_the_retry_after_of_the_last_429_is_passed_on_and_known_to_the_next(
    value: str,
) -> None:
    busy = answers({"error": {"message": "slow down"}}, 429, headers=[("Retry-After", value)])
    async with upstreams(busy) as (only,), running(backend("only", only.url)) as nexus:
        passed_on = await nexus.ask()
        refused = await nexus.ask()

    assert told(passed_on) == (429, "only", "capability-match")
    assert passed_on.headers["retry-after"] == value
    assert passed_on.json() == {"error": {"message": "slow down"}}
    assert refused.status_code == 503
    assert error_of(refused)["code"] == "capacity_exceeded"
    assert error_of(refused)["context"]["eta_seconds"] == 30
    assert refused.headers["retry-after"] == "30"
    assert len(only.received) == 1


NO_RETRY_AFTER = ["", "soon", "-1", "1e9", "Mon, 99 Foo 2026", f"1 Jan {10**20} 00:00:00 GMT"]


async def test_a_retry_after_that_says_nothing_does_no_harm() -> None:
    async with (
        upstreams(say, say) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        asked = []
        for value in NO_RETRY_AFTER:
            headers = [("Retry-After", value)]
            first.script = answers({"error": {"message": "slow"}}, 429, headers=headers)
            asked.append(told(await nexus.ask()))
            nexus.clock.seconds += 2  # the cooldown after a 429 that does not say how long is over

    assert asked == [(200, "second", "backend-failover")] * len(NO_RETRY_AFTER)


async def test_who_waits_for_a_model_that_then_has_a_cooldown_is_served_when_it_is_over() -> None:
    """The cooldown begins while the other waits: nobody knew of it when the wait began."""
    release = asyncio.Event()

    async def busy(exchange: Exchange) -> None:
        await release.wait()
        await answers({"error": {}}, 429, headers=[("retry-after-ms", "20")])(exchange)

    async with (
        upstreams(in_turn(busy, say)) as (only,),
        running(
            backend("only", only.url, max_concurrent=1), queue=QueueConfig(enabled=True)
        ) as nexus,
    ):
        first = nexus.start()
        await only.wait_for_requests(1)
        waiting = await nexus.start_waiting(1)
        release.set()
        assert told(await first)[0] == 429
        assert nexus.gateway.queued == 1

        nexus.clock.seconds += 0.02
        answer = await waiting

    assert told(answer) == (200, "only", "capability-match")


async def test_who_waits_beside_a_trial_is_served_as_soon_as_it_has_passed() -> None:
    """The trial is a stream: it holds its slot long after it has shown that all is well."""
    gate = Gate()
    async with (
        upstreams(in_turn(OOPS, OOPS, OOPS, gate, say)) as (only,),
        running(
            backend("only", only.url, max_concurrent=4), queue=QueueConfig(enabled=True)
        ) as nexus,
    ):
        await fail(nexus, FAILURES_TO_OPEN)
        nexus.clock.seconds += FIRST_REST_SECONDS
        slow_head = asyncio.Event()

        async def trial_script(exchange: Exchange) -> None:
            await slow_head.wait()
            await gate(exchange)

        only.script = in_turn(trial_script, say)
        trial = nexus.start(stream=True)
        await only.wait_for_requests(FAILURES_TO_OPEN + 1)
        waiting = await nexus.start_waiting(1)

        slow_head.set()
        answer = await waiting
        assert not trial.done()
        gate.open()
        await trial

    assert told(answer)[0] == 200


async def test_a_trial_whose_client_leaves_leaves_the_next_one_to_try() -> None:
    gate = Gate()
    async with (
        upstreams(OOPS, say) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        await fail(nexus, FAILURES_TO_OPEN)
        nexus.clock.seconds += FIRST_REST_SECONDS
        first.script = gate
        leaving = nexus.start()
        await first.wait_for_requests(FAILURES_TO_OPEN + 1)
        leaving.cancel()
        await until(lambda: nexus.backend("first").in_flight == 0)
        first.script = say

        assert told(await nexus.ask()) == (200, "first", "capability-match")
