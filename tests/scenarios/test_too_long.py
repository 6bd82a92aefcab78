"""A prompt over the window: a 400 on which an agent compacts itself, or another, longer window."""

from __future__ import annotations

import json

import pytest

from nexus_core.types import ModelDetails, ProbeResult
from tests.contract.bodies import TOO_LONG
from tests.contract.scripted_upstream import Script, answers, streams
from tests.scenarios.nexus import Nexus, backend, error_of, running, say, told, upstreams

NUMBERS = "prompt is too long: 14429 tokens > 8192 maximum"


def in_stream(body: object) -> Script:
    return streams([b"data: " + json.dumps(body).encode() + b"\n\n"])


def knows(nexus: Nexus, name: str, window: int) -> None:
    details = {"m": ModelDetails(context_tokens=window)}
    result = ProbeResult(elapsed_ms=1, details=details)
    nexus.gateway.registry.record_probe(name, result, failure_threshold=3, recovery_threshold=1)


@pytest.mark.parametrize(
    ("script", "stream"),
    [
        (answers(TOO_LONG, 400), False),
        (answers(TOO_LONG, 500), False),
        (answers(TOO_LONG, 400), True),
        (answers(TOO_LONG), False),  # under a good status
        (in_stream(TOO_LONG), True),
    ],
)
async def test_the_client_learns_it_in_the_words_that_agents_know(
    script: Script, stream: bool
) -> None:
    async with upstreams(script) as (up,), running(backend("a", up.url)) as nexus:
        answer = await nexus.ask(stream=stream)
        later = nexus.backend("a")

    error = error_of(answer)
    assert told(answer) == (400, "a", "capability-match")
    assert error["code"] == "context_length_exceeded"
    assert error["type"] == "invalid_request_error"
    assert error["param"] == "messages"
    assert error["message"].startswith(NUMBERS)
    assert answer.headers["x-should-retry"] == "false"
    assert (later.cooldown, dict(later.cooldowns)) == (None, {})


async def test_openais_own_words_and_code_pass_byte_for_byte() -> None:
    body = (
        b'{ "error": {"message": "This model\'s maximum context length is 8192 tokens.",'
        b'"type": "invalid_request_error", "code": "context_length_exceeded", "x": 1}}'
    )

    async with upstreams(answers(body, 400)) as (up,), running(backend("a", up.url)) as nexus:
        answer = await nexus.ask()

    assert (answer.status_code, answer.content) == (400, body)


async def test_words_without_numbers_get_those_that_are_known() -> None:
    moonshot = {"error": {"message": "Your request exceeded model token limit: 10"}}

    async with (
        upstreams(answers(moonshot, 400)) as (up,),
        running(backend("a", up.url)) as nexus,
    ):
        counted = await nexus.ask(messages=[{"role": "user", "content": "word " * 500}])
        few = await nexus.ask(messages=[{"role": "user", "content": "w"}])

    assert error_of(counted)["message"].startswith("prompt is too long: ")
    assert " > 10 maximum" in error_of(counted)["message"]
    assert error_of(few)["message"] == (
        'prompt is too long: more than 10 tokens; backend "a": '
        "Your request exceeded model token limit: 10"
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_a_longer_window_elsewhere_answers_and_nobody_gets_a_cooldown(stream: bool) -> None:
    async with (
        upstreams(in_stream(TOO_LONG) if stream else answers(TOO_LONG, 400), say, say) as (a, b, c),
        running(
            backend("a", a.url, priority=90),
            backend("b", b.url, priority=50),
            backend("c", c.url, priority=10),
        ) as nexus,
    ):
        knows(nexus, "b", 8192)
        knows(nexus, "c", 32768)
        answer = await nexus.ask(stream=stream)
        failed, rests = nexus.failed(), dict(nexus.backend("a").cooldowns)

    assert told(answer) == (200, "c", "backend-failover")
    assert b.received == []
    assert [event.attempt.backend for event in failed] == ["a"]
    assert rests == {}


@pytest.mark.parametrize("window", [4096, 8192, 14428])
async def test_a_window_that_holds_no_more_is_not_asked(window: int) -> None:
    async with (
        upstreams(answers(TOO_LONG, 400), say) as (a, b),
        running(backend("a", a.url, priority=90), backend("b", b.url)) as nexus,
    ):
        knows(nexus, "b", window)
        answer = await nexus.ask()

    assert told(answer)[:2] == (400, "a")
    assert b.received == []


async def test_a_window_that_is_not_known_is_tried_and_its_refusal_is_the_last() -> None:
    other = {**TOO_LONG, "error": {**TOO_LONG["error"], "n_ctx": 9000}}
    async with (
        upstreams(answers(TOO_LONG, 400), answers(other, 400), say) as (a, b, c),
        running(
            backend("a", a.url, priority=90),
            backend("b", b.url, priority=50),
            backend("c", c.url, priority=10),
        ) as nexus,
    ):
        knows(nexus, "c", 9000)
        answer = await nexus.ask()

    assert told(answer)[:2] == (400, "b")
    assert "14429 tokens > 9000 maximum" in error_of(answer)["message"]
    assert c.received == []


async def test_our_own_count_says_it_before_anybody_is_asked() -> None:
    async with upstreams(say) as (up,), running(backend("a", up.url)) as nexus:
        knows(nexus, "a", 100)
        answer = await nexus.ask(messages=[{"role": "user", "content": "word " * 5000}])

    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (400, "context_length_exceeded")
    assert error["message"].startswith("prompt is too long: ")
    assert " tokens > 100 maximum; " in error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert up.received == []
