"""What counts as an answer is content: errors and silence under a good status fail over."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nexus_core.config.schema import ServerConfig
from nexus_core.dialects.base.stream import OpeningState
from nexus_core.dialects.opening import StreamOpening
from tests.contract.bodies import ANSWER, DONE, FIRST, HELLO, STOP, THERE, chat, event
from tests.contract.scripted_upstream import Exchange, Script, answers, streams
from tests.scenarios.nexus import (
    CHAT,
    RESTRICTED,
    Nexus,
    backend,
    cloud,
    error_of,
    in_turn,
    last_event,
    running,
    say,
    told,
    upstreams,
)
from tests.waiting import take_time, until

COMMENT = b": OPENROUTER PROCESSING\n\n"
BUSY = {"error": {"message": "limit: free models per day", "code": 429}, "user_id": "u"}
BUSY_EVENT = b"data: " + json.dumps(BUSY).encode() + b"\n\n"
SLOW = ServerConfig(first_byte_timeout_seconds=3, idle_timeout_seconds=3)


async def both(script: Script, **asked: Any) -> tuple[Any, Any, Nexus]:
    """With a second backend that answers well, and alone; and the Nexus where it was alone."""
    server = asked.pop("server", ServerConfig())
    async with upstreams(script, say) as (first, second):
        backends = (
            backend("first", first.url, priority=90),
            backend("second", second.url, priority=10),
        )
        async with running(*backends, server=server) as nexus:
            another = await nexus.ask(**asked)
        async with running(backends[0], server=server) as nexus:
            alone = await nexus.ask(**asked)
    return another, alone, nexus


async def comments(exchange: Exchange) -> None:
    """One a second for as long as the other side listens."""
    head = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
    await exchange.send_head(200, head)
    while not exchange.closed.is_set():
        await exchange.send_chunk(COMMENT)
        await take_time(1)


BEGINNINGS: dict[str, tuple[Script, int, str]] = {
    "comments": (streams([COMMENT, COMMENT]), 502, "before its first content"),
    "pings": (streams([b'event: ping\ndata: {"type":"ping"}\n\n']), 502, "first content"),
    "empty data": (streams([b"data:\n\n", b"data: {}\n\n"]), 502, "first content"),
    "nothing but the end": (streams([COMMENT, DONE]), 502, "without any content"),
    "a usage and the end": (
        streams([b'data: {"choices":[],"usage":{"prompt_tokens":3}}\n\n', DONE]),
        502,
        "without any content",
    ),
    "a role alone": (streams([FIRST]), 502, "before its first content"),
    "an error": (streams([COMMENT, BUSY_EVENT]), 429, "limit: free models per day"),
    "an error after the role": (streams([FIRST, BUSY_EVENT]), 429, "limit: free"),
    "an error and the end": (streams([BUSY_EVENT, DONE]), 429, "limit: free"),
    "an error without its end": (streams([BUSY_EVENT.rstrip()]), 429, "limit: free"),
    "an error that is no event": (answers(BUSY), 429, "limit: free"),
    "vllm": (
        streams([b'data: {"object":"error","message":"engine died","code":500}\n\n', DONE]),
        500,
        "engine died",
    ),
    "openrouter": (
        streams([event({"content": ""}, "error", error={"code": 502, "message": "lost it"})]),
        502,
        "lost it",
    ),
    "an error by name": (
        streams([b'event: error\ndata: {"message": "crashed"}\n\n']),
        502,
        "crashed",
    ),
    "a whole answer without choices": (answers({"id": "x", "choices": None}), 502, "choices"),
    "html": (answers(b"<html>busy</html>"), 502, "neither an event stream nor JSON"),
    "nothing": (streams([]), 502, "before its first byte"),
}


@pytest.mark.parametrize(("script", "status", "words"), BEGINNINGS.values(), ids=BEGINNINGS)
async def test_a_stream_without_content_is_no_answer(
    script: Script, status: int, words: str
) -> None:
    another, alone, nexus = await both(script, stream=True)

    assert told(another) == (200, "second", "backend-failover")
    assert another.content.endswith(DONE)
    assert alone.status_code == status
    assert alone.headers["content-type"] == "application/json"
    assert words in error_of(alone)["message"]
    assert [event.failed for event in nexus.finished()] == [True]


WHOLE: dict[str, tuple[Any, int, str]] = {
    "lm studio": (
        {"error": "Unexpected endpoint or method. (POST /v1/chat/completions)"},
        502,
        "Unexpected endpoint",
    ),
    "openrouter": (
        {"error": {"message": "Provider returned error", "code": 502}, "user_id": "u"},
        502,
        "Provider returned error",
    ),
    "busy": (BUSY, 429, "limit: free"),
    "no choices": ({"object": "chat.completion", "choices": None}, 502, "without choices"),
    "none": ({"object": "chat.completion", "choices": []}, 502, "without choices"),
    "an empty object": ({}, 502, "without choices"),
    "detail": ({"detail": "Not Found"}, 502, "Not Found"),
    "message and code": ({"message": "overloaded", "code": "503"}, 503, "overloaded"),
    "cloudflare": ({"success": False, "errors": [{"message": "No route"}]}, 502, "No route"),
    "minimax": (
        {"base_resp": {"status_code": 1002, "status_msg": "rate limit"}, "choices": None},
        429,
        "rate limit",
    ),
    "google": ([{"error": {"code": 503, "message": "overloaded"}}], 503, "overloaded"),
    "a broken end": (
        ANSWER | {"choices": [{"finish_reason": "error", "message": {"content": "ha"}}]},
        502,
        "ended with an error",
    ),
}


@pytest.mark.parametrize(("body", "status", "words"), WHOLE.values(), ids=WHOLE)
async def test_a_whole_error_under_a_good_status_is_no_answer(
    body: Any, status: int, words: str
) -> None:
    another, alone, nexus = await both(answers(body))

    assert told(another) == (200, "second", "backend-failover")
    assert alone.status_code == status
    assert words in json.dumps(alone.json()["error"])
    assert [event.failed for event in nexus.finished()] == [True]
    assert words in str(nexus.failed()[0].attempt.error)


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_about_the_request_passes_on_and_is_not_retried(stream: bool) -> None:
    refusal = {"error": {"message": "too long", "code": "context_length_exceeded"}}
    script = (
        streams([COMMENT, b"data: " + json.dumps(refusal).encode() + b"\n\n"])
        if stream
        else answers(refusal)
    )
    async with (
        upstreams(script, say) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        answer = await nexus.ask(stream=stream)

    assert (answer.status_code, answer.json()) == (400, refusal)
    assert second.received == []
    assert nexus.failed() == []


async def test_a_reported_429_rests_the_model_and_is_passed_on_with_its_wait() -> None:
    reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1800001020500"}
    body = {"error": {**BUSY["error"], "metadata": {"headers": reset}}}  # type: ignore[dict-item]
    async with upstreams(answers(body)) as (first,), running(backend("first", first.url)) as nexus:
        answer = await nexus.ask()
        again = await nexus.ask()

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "21")
    assert again.status_code == 503
    assert len(first.received) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_wrong_key_under_a_good_status_is_told_in_nexus_own_words(stream: bool) -> None:
    error = {"error": {"message": "Incorrect: sk-first-0123456789", "code": "invalid_api_key"}}
    data = b"data: " + json.dumps(error).encode() + b"\n\n"
    script = streams([data]) if stream else answers(error)
    async with upstreams(script) as (first,), running(cloud("first", first.url)) as nexus:
        answer = await nexus.ask(stream=stream)

    assert (answer.status_code, error_of(answer)["code"]) == (502, "upstream_auth_failed")
    assert "0123456789" not in answer.text


@pytest.mark.parametrize("stream", [False, True])
async def test_a_key_in_an_error_under_a_good_status_is_cut_out(stream: bool) -> None:
    message = "x" * 490 + " sk-first-0123456789"  # where the words for the log are cut off
    error = {"error": {"message": message}, "detail": "sk-first-0123456789"}
    data = b"data: " + json.dumps(error).encode() + b"\n\n"
    script = streams([data]) if stream else answers(error)
    async with upstreams(script) as (first,), running(cloud("first", first.url)) as nexus:
        answer = await nexus.ask(stream=stream)

    assert answer.status_code == 502
    assert "sk-first" not in answer.text
    assert "sk-f" not in str(nexus.finished()[0].error)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [200, 400, 500])
async def test_a_key_that_json_escapes_is_cut_out_of_answers_and_events(
    status: int, stream: bool
) -> None:
    error = json.dumps({"error": {"message": "bad: KEY", "code": 500}})
    body = error.replace("KEY", r"\u0073k-first\u002D0123456789").encode()
    script = streams([b"data: " + body + b"\n\n"]) if stream and status == 200 else None
    async with (
        upstreams(script or answers(body, status)) as (first,),
        running(cloud("first", first.url)) as nexus,
    ):
        answer = await nexus.ask(stream=stream)
        events = repr(nexus.events())

    assert error_of(answer)["message"] == "bad: [key]"
    assert "sk-first" not in events


async def test_a_restricted_stream_with_an_error_inside_stays_in_its_zone() -> None:
    async with (
        upstreams(streams([BUSY_EVENT]), say, say) as (first, far, near),
        running(
            backend("first", first.url, priority=100),
            cloud("cloud", far.url, priority=90),
            backend("near", near.url, priority=1),
        ) as nexus,
    ):
        answer = await nexus.ask(stream=True, headers=RESTRICTED)

    assert told(answer) == (200, "near", "backend-failover")
    assert far.received == []


async def test_comments_do_not_end_the_wait_for_the_first_byte() -> None:
    another, alone, _ = await both(comments, stream=True, server=SLOW)

    assert told(another) == (200, "second", "backend-failover")
    assert (alone.status_code, error_of(alone)["code"]) == (504, "upstream_timeout")


async def test_a_role_alone_does_not_end_the_wait_either() -> None:
    another, alone, _ = await both(
        streams([FIRST, COMMENT, 3, asyncio.Event()]), stream=True, server=SLOW
    )

    assert told(another) == (200, "second", "backend-failover")
    assert alone.status_code == 504


async def test_comments_do_not_reset_the_idle_limit() -> None:
    async def script(exchange: Exchange) -> None:
        head = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
        await exchange.send_head(200, head)
        await exchange.send_chunk(FIRST + HELLO)
        while not exchange.closed.is_set():
            await exchange.send_chunk(COMMENT)
            await take_time(1)

    async with (
        upstreams(script) as (first,),
        running(backend("first", first.url), server=SLOW) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert answer.content.startswith(FIRST + HELLO + COMMENT)
    assert last_event(answer)["error"]["code"] == "upstream_timeout"
    assert nexus.finished()[0].failed


async def test_comments_among_content_pass_and_harm_nothing() -> None:
    parts = (COMMENT, FIRST, COMMENT, HELLO, COMMENT, THERE, COMMENT, STOP, DONE)
    slowly = [each for part in parts for each in (part, 0.5)]  # longer than the limit all together

    async with (
        upstreams(streams(slowly)) as (first,),
        running(backend("first", first.url), server=SLOW) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert answer.content == b"".join(parts)
    assert not nexus.finished()[0].failed


async def test_a_role_is_not_held_back_for_long() -> None:
    gate = asyncio.Event()
    async with (
        upstreams(streams([FIRST, gate, HELLO, STOP, DONE])) as (first,),
        running(backend("first", first.url)) as nexus,
        nexus.http.stream("POST", CHAT, json=chat("m", stream=True)) as answer,
    ):
        parts = answer.aiter_raw()
        begun = await anext(parts)
        gate.set()
        rest = b"".join([part async for part in parts])

    assert begun == FIRST
    assert rest == HELLO + STOP + DONE


async def test_a_client_that_leaves_while_a_role_is_held_back_ends_the_exchange(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_held, feed = asyncio.Event(), StreamOpening.feed

    def feed_and_tell(opening: StreamOpening, chunk: bytes) -> OpeningState:
        is_held.set()
        return feed(opening, chunk)

    monkeypatch.setattr(StreamOpening, "feed", feed_and_tell)
    async with (
        upstreams(streams([FIRST, asyncio.Event()])) as (first,),
        running(backend("first", first.url)) as nexus,
    ):
        asked = nexus.start(stream=True)
        await is_held.wait()
        asked.cancel()
        async with asyncio.timeout(1):
            await first.last.closed.wait()
        await until(lambda: nexus.backend("first").in_flight == 0)


EMPTY: dict[str, list[bytes]] = {
    "an end without text": [FIRST, STOP, DONE],
    "an end alone": [STOP, DONE],
    "a role and the end": [FIRST, DONE],
    "a filter": [event({"role": "assistant"}), event({}, "content_filter"), DONE],
    "a call": [event({"tool_calls": [{"index": 0, "id": "c"}]}), event({}, "tool_calls"), DONE],
    "reasoning alone": [FIRST, event({"reasoning": "hm"}), STOP, DONE],
    "azure": [b'data: {"choices":[],"prompt_filter_results":[]}\n\n', FIRST, HELLO, STOP, DONE],
    "error: null": [event({"content": "x"}, error=None), event({}, "stop", error=None), DONE],
    "a text about errors": [event({"content": 'an {"error": {"message": "x"}}'}), STOP, DONE],
}


@pytest.mark.parametrize("parts", EMPTY.values(), ids=EMPTY)
async def test_what_says_little_is_an_answer_all_the_same(parts: list[bytes]) -> None:
    async with (
        upstreams(streams(parts), say) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert (answer.content, second.received) == (b"".join(parts), [])
    assert not nexus.finished()[0].failed


NO_CREDIT = {"message": "Insufficient Balance", "type": "unknown_error"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (402, NO_CREDIT),
        (429, {"message": "quota", "code": "insufficient_quota"}),
        (400, {"message": "Your credit balance is too low to access the Anthropic API."}),
        (403, {"message": "Your team doesn't have any credits yet."}),
        (403, {"message": "Country, region, or territory not supported"}),
    ],
)
async def test_an_account_that_can_not_pay_or_may_not_is_passed_over(
    status: int, error: dict[str, str], stream: bool
) -> None:
    another, alone, _ = await both(answers({"error": error}, status), stream=stream)

    assert told(another) == (200, "second", "backend-failover")
    assert (alone.status_code, alone.json()) == (status, {"error": error})


async def test_a_flagged_prompt_gets_its_403_and_the_next_prompt_is_served() -> None:
    flagged = {"code": "permission-denied", "error": "Content violates usage guidelines. KEY"}
    body = json.dumps(flagged).replace("KEY", "sk-first-0123456789").encode()
    async with (
        upstreams(in_turn(say, answers(body, 403), say)) as (first,),
        running(cloud("first", first.url)) as nexus,
    ):
        asked = [await nexus.ask() for _ in range(3)]

    assert [answer.status_code for answer in asked] == [200, 403, 200]
    assert asked[1].json()["error"] == "Content violates usage guidelines. [key]"
