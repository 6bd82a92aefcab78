"""Failing over down a list of backends and on to other models, and what is told of it."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest

from nexus_core.config.schema import RoutingConfig, ServerConfig
from tests.contract.bodies import DONE, FIRST, HELLO
from tests.contract.scripted_upstream import Exchange, Script, answers, silent_for, streams
from tests.scenarios.nexus import (
    RESTRICTED,
    Nexus,
    backend,
    cloud,
    error_of,
    hang_up,
    last_event,
    running,
    say,
    told,
    upstreams,
)
from tests.scenarios.test_circuit import OOPS, dead_port


async def before_the_first_byte(exchange: Exchange) -> None:
    """A stream that begins with its head and breaks."""
    await streams([], is_whole=False)(exchange)


SLOW = ServerConfig(first_byte_timeout_seconds=3, idle_timeout_seconds=3)


async def test_a_late_first_byte_fails_over_and_alone_is_a_504() -> None:
    async with upstreams(silent_for(3), say) as (first, second):
        backends = backend("first", first.url, priority=90), backend("second", second.url)
        async with running(*backends, server=SLOW) as nexus:
            beside = await nexus.ask(stream=True)
        async with running(backends[0], server=SLOW) as nexus:
            alone = await nexus.ask(stream=True)

    assert told(beside) == (200, "second", "backend-failover")
    assert alone.status_code == 504
    assert error_of(alone)["message"]


async def test_a_stream_that_falls_silent_ends_with_an_error_and_without_done() -> None:
    async with upstreams(streams([FIRST, HELLO, 3, asyncio.Event()]), say) as (first, second):
        backends = backend("first", first.url, priority=90), backend("second", second.url)
        async with running(*backends, server=SLOW) as nexus:
            answer = await nexus.ask(stream=True)

    assert answer.status_code == 200
    assert answer.content.startswith(FIRST + HELLO)
    assert DONE not in answer.content
    assert last_event(answer)["error"]["message"]
    assert second.received == []


WANTED: list[tuple[str, int | None, str]] = [
    ("refuses", None, "connection refused"),
    ("errs", 500, "answered 500"),
    ("breaks", 200, "the answer ended early"),
]


async def test_a_stream_fails_over_down_the_list_and_every_attempt_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "nexus_core.proxy.progress")
    async with upstreams(OOPS, before_the_first_byte, say) as (second, third, fourth):
        with dead_port(answers_syn=True) as first:
            async with running(
                backend("refuses", first, priority=90),
                backend("errs", second.url, priority=80),
                backend("breaks", third.url, priority=70),
                backend("streams", fourth.url, priority=60),
                routing=RoutingConfig(max_retries=3),
            ) as nexus:
                answer = await nexus.ask(stream=True)
                stats: dict[str, Any] = (await nexus.http.get("/v1/stats")).json()

    assert told(answer) == (200, "streams", "backend-failover")
    assert (answer.content.startswith(FIRST), answer.content.endswith(DONE)) == (True, True)
    (event,) = nexus.finished()
    kept = [(a.backend, a.status, a.error) for a in event.attempts]
    assert kept == WANTED
    published = [(e.attempt.backend, e.attempt.status, e.attempt.error) for e in nexus.failed()]
    assert published == WANTED
    assert [(e.backend, e.attempt) for e in nexus.decided()] == [
        ("refuses", 1),
        ("errs", 2),
        ("breaks", 3),
        ("streams", 4),
    ]
    assert event.request_id == answer.headers["x-nexus-request-id"]
    (line,) = [record for record in caplog.records if record.message == "finished"]
    fields = vars(line)["fields"]
    logged = [(a["backend"], a["status"], a["error"]) for a in fields["attempts"]]
    assert logged == WANTED
    assert (fields["backend"], fields["status"], fields["request"]) == (
        "streams",
        200,
        answer.headers["x-nexus-request-id"],
    )
    counted = {name: (b["attempts"], b["failures"]) for name, b in stats["backends"].items()}
    assert counted == {"refuses": (1, 1), "errs": (1, 1), "breaks": (1, 1), "streams": (1, 0)}
    assert [len(upstream.received) for upstream in (second, third, fourth)] == [1, 1, 1]
    assert (stats["failovers"], stats["attempts"], stats["failed"]) == (3, 4, 0)


async def test_each_backend_is_tried_once_even_for_two_models() -> None:
    async with (
        upstreams(OOPS, OOPS) as (first, second),
        running(
            backend("first", first.url, models=("m", "other"), priority=90),
            backend("second", second.url, models=("m", "other"), priority=10),
            routing=RoutingConfig(max_retries=9, fallbacks={"m": ("other",)}),
        ) as nexus,
    ):
        answer = await nexus.ask()

    assert told(answer) == (500, "second", "backend-failover")
    assert len(first.received) == len(second.received) == 1


async def test_the_last_failure_is_what_the_client_gets() -> None:
    own = {"error": {"message": "overloaded", "code": "their_own"}}
    async with (
        upstreams(OOPS, answers(own, 529)) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        last = await nexus.ask()
        second.script = hang_up
        nexus.clock.seconds += 1000
        ours = await nexus.ask()

    assert (told(last), last.json()) == ((529, "second", "backend-failover"), own)
    assert told(ours) == (502, "second", "backend-failover")
    assert error_of(ours)["code"] == "upstream_error"
    assert [event.failed for event in nexus.finished()] == [True, True]


async def half(exchange: Exchange) -> None:
    head = [("Content-Type", "application/json"), ("Content-Length", "1000")]
    await exchange.send_head(200, head)
    await exchange.send(b'{"choices":[')


async def no_http(exchange: Exchange) -> None:
    await exchange.send(b"220 mail.test ESMTP\r\n")


@pytest.mark.parametrize(
    "rubbish", [answers(b"<html>busy</html>"), answers([1]), half, no_http, hang_up]
)
async def test_rubbish_fails_over_and_is_a_502_when_nobody_is_left(rubbish: Script) -> None:
    async with (
        upstreams(rubbish, say) as (first, second),
        running(
            backend("first", first.url, models=("m", "only-here"), priority=90),
            backend("second", second.url, priority=10),
        ) as nexus,
    ):
        another = await nexus.ask()
        nobody = await nexus.ask("only-here")

    assert told(another) == (200, "second", "backend-failover")
    assert told(nobody) == (502, "first", "capability-match")
    assert error_of(nobody)["code"] == "upstream_error"
    assert '"first"' in error_of(nobody)["message"]


async def test_a_restricted_stream_fails_over_within_its_zone_only() -> None:
    async with (
        upstreams(OOPS, say, say) as (first, far, near),
        running(
            backend("first", first.url, priority=100),
            cloud("cloud", far.url, priority=100),
            backend("near", near.url, priority=1),
        ) as nexus,
    ):
        answer = await nexus.ask(stream=True, headers=RESTRICTED)
        near.script = OOPS
        nexus.clock.seconds += 1000
        nobody = await nexus.ask(stream=True, headers=RESTRICTED)

    assert told(answer) == (200, "near", "backend-failover")
    assert told(nobody) == (500, "near", "backend-failover")
    assert far.received == []


async def test_a_refused_key_goes_on_to_the_next_and_takes_the_backend_out_of_service() -> None:
    refused = answers({"error": {"message": "Incorrect API key: sk-first-0123456789"}}, 401)
    async with (
        upstreams(refused, say) as (first, second),
        running(
            cloud("first", first.url, priority=100), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        at_once = await nexus.ask()
        after = await nexus.ask()
        pinned = await nexus.ask(headers={"X-Nexus-Backend": "first"})
        state = (await nexus.http.get("/nexus/state")).text

    assert told(at_once) == (200, "second", "backend-failover")
    assert told(after) == (200, "second", "capability-match")
    assert pinned.status_code == 503
    (listed,) = [
        b for b in error_of(pinned)["context"]["available_backends"] if b["name"] == "first"
    ]
    assert listed["status"] == "unhealthy"
    assert "sk-first-0123456789" not in state + pinned.text
    assert len(first.received) == 1


# Fallback models ----------------------------------------------------------------------------------


async def test_a_fallback_model_answers_once_every_backend_of_the_asked_one_has_failed() -> None:
    async with (
        upstreams(OOPS, OOPS, say) as (first, second, third),
        running(
            backend("first", first.url, models={"big": "org/big-70b"}, priority=50),
            backend("second", second.url, models={"big": "big"}, priority=10),
            backend("third", third.url, models={"other": "org/other-72b"}, priority=100),
            routing=RoutingConfig(fallbacks={"big": ("other",)}, aliases={"gpt-4": "big"}),
        ) as nexus,
    ):
        answer = await nexus.ask("gpt-4")

    assert told(answer) == (200, "third", "backend-failover")
    assert answer.headers["x-nexus-model"] == "org/other-72b"
    sent = [json.loads(upstream.last.body)["model"] for upstream in (first, second, third)]
    assert sent == ["org/big-70b", "big", "org/other-72b"]
    (event,) = nexus.finished()
    assert event.model == "org/other-72b"


async def test_a_restricted_request_falls_back_within_its_zone_only() -> None:
    async with (
        upstreams(OOPS, say, say) as (first, far, near),
        running(
            backend("first", first.url, models=("big",)),
            cloud("far", far.url, models=("other",), priority=100),
            backend("near", near.url, models=("other",), priority=1),
            routing=RoutingConfig(fallbacks={"big": ("other",)}),
        ) as nexus,
    ):
        restricted = await nexus.ask("big", headers=RESTRICTED)
        await nexus.switch("backends/near", enabled=False)
        nobody = await nexus.ask("big", headers=RESTRICTED)
        free = await nexus.ask("big")

    assert told(restricted) == (200, "near", "backend-failover")
    assert told(nobody) == (500, "first", "capability-match")
    assert told(free) == (200, "far", "backend-failover")
    assert len(far.received) == 1


async def small(nexus: Nexus, **headers: str) -> tuple[int, str | None]:
    named = {f"X-Nexus-{name}": value for name, value in headers.items()}
    answer = await nexus.ask("big", headers=named)
    return answer.status_code, answer.headers.get("x-nexus-model")


@pytest.mark.parametrize("zone_is_off", [False, True])
async def test_a_fallback_goes_below_the_first_choices_tier_only_if_the_client_is_flexible(
    zone_is_off: bool,
) -> None:
    async with (
        upstreams(say, say) as (first, second),
        running(
            cloud("first", first.url, models=("big",), tier=4),
            backend("second", second.url, models=("small",), tier=2),
            routing=RoutingConfig(fallbacks={"big": ("small",)}),
        ) as nexus,
    ):
        if zone_is_off:
            await nexus.switch("zones/open", enabled=False)
        else:
            await nexus.switch("backends/first", enabled=False)

        assert await small(nexus) == (503, None)
        assert await small(nexus, Flexible="false") == (503, None)
        assert await small(nexus, Flexible="true") == (200, "small")
        assert (await small(nexus, **{"Flexible": "true", "Min-Tier": "3"}))[0] == 503


async def test_an_equal_tier_needs_no_flexibility_and_a_full_first_choice_is_overflow() -> None:
    async with (
        upstreams(say, say) as (first, second),
        running(
            backend("first", first.url, models=("big",), tier=3, max_concurrent=1),
            backend("second", second.url, models=("equal",), tier=3),
            routing=RoutingConfig(fallbacks={"big": ("equal",)}),
        ) as nexus,
    ):
        nexus.gateway.registry.acquire("first")
        while_full = await nexus.ask("big")
        nexus.gateway.registry.release("first")
        when_free = await nexus.ask("big")

    assert told(while_full) == (200, "second", "capacity-overflow")
    assert while_full.headers["x-nexus-model"] == "equal"
    assert told(when_free) == (200, "first", "capability-match")
    assert when_free.headers["x-nexus-model"] == "big"


async def test_each_backend_has_its_own_limit_for_the_first_byte() -> None:
    async with (
        upstreams(silent_for(2), silent_for(4), say) as (first, second, third),
        running(
            backend("first", first.url, priority=90, first_byte_timeout_seconds=2),
            backend("second", second.url, priority=50, first_byte_timeout_seconds=4),
            backend("third", third.url, priority=10),
        ) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert told(answer) == (200, "third", "backend-failover")
    assert [event.attempt.error for event in nexus.failed()] == [
        "no first byte within 2 s",
        "no first byte within 4 s",
    ]
