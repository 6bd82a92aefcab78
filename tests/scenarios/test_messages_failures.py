"""Failures of requests in Anthropic's format: errors in its envelope, broken streams, privacy."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import pytest

from tests.contract.bodies import FIRST, TOO_LONG, event
from tests.contract.scripted_upstream import answers, hang, streams
from tests.scenarios.messages import (
    MESSAGE,
    SHORT,
    ask,
    body_of,
    claude,
    create,
    events_of,
    gemini,
    local,
    recorded,
    recorded_stream,
    streamed,
)
from tests.scenarios.nexus import RESTRICTED, hang_up, running, upstreams
from tests.waiting import until


@pytest.mark.parametrize("configured", [local, claude])
async def test_an_unknown_model_is_not_found_in_anthropics_words(configured: Any) -> None:
    async with upstreams(hang) as (up,), running(configured(up.url)) as nexus:
        with pytest.raises(anthropic.NotFoundError) as caught:
            await create(nexus, SHORT | {"model": "nobody"})

    body: Any = caught.value.body
    assert body["type"] == "error"
    assert body["error"]["type"] == "not_found_error"
    assert caught.value.request_id == body["request_id"]


async def test_a_web_search_at_a_backend_without_one_is_refused_by_name() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, body_of("06-web-search-server-tool"))

    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert "web_search_20250305" in error["message"]
    assert up.received == []


async def test_a_web_search_goes_to_the_backend_that_has_one() -> None:
    told = recorded_stream("06-web-search-server-tool")
    async with (
        upstreams(hang, streams([told])) as (gpu, up),
        running(local(gpu.url), claude(up.url)) as nexus,
    ):
        answer = await ask(nexus, body_of("06-web-search-server-tool"))

    assert answer.headers["x-nexus-backend"] == "claude"
    assert answer.content == told
    assert gpu.received == []


async def test_a_prompt_that_the_server_finds_too_long_is_told_in_the_words_agents_know() -> None:
    async with upstreams(answers(TOO_LONG, 400)) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT)

    assert answer.status_code == 400
    words = answer.json()["error"]["message"]
    assert words.startswith("prompt is too long: 14429 tokens > 8192 maximum")
    assert answer.headers["x-should-retry"] == "false"


async def test_a_stream_that_breaks_ends_with_an_error_event() -> None:
    script = streams([FIRST, event({"content": "Hel"})], is_whole=False)
    async with upstreams(script) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT | {"stream": True})
        with pytest.raises(anthropic.APIStatusError):
            await streamed(nexus, SHORT)

    kind, data = events_of(answer.text)[-1]
    assert (kind, data["type"], data["error"]["type"]) == ("error", "error", "api_error")


@pytest.mark.parametrize(
    "end", [b"event: content", b"event: content_block_delta\n", b"data: {", b"}\n"]
)
async def test_a_stream_of_anthropics_that_breaks_in_an_event_is_an_error_to_its_client(
    end: bytes,
) -> None:
    told = recorded_stream("02-turn-1")
    begun = told[: told.index(end, told.index(b"content_block_delta") + 200) + len(end)]
    async with (
        upstreams(streams([begun], is_whole=False)) as (up,),
        running(claude(up.url)) as nexus,
    ):
        with pytest.raises(anthropic.APIStatusError, match="claude"):
            await streamed(nexus, SHORT)


async def test_an_error_amid_a_chat_stream_is_one_in_anthropics_words() -> None:
    fault = b'data: {"error": {"message": "overloaded", "type": "overloaded_error"}}\n\n'
    script = streams([FIRST, event({"content": "Hel"}), fault])
    async with upstreams(script) as (up,), running(local(up.url)) as nexus:
        answer = await ask(nexus, SHORT | {"stream": True})

    kind, data = events_of(answer.text)[-1]
    assert (kind, data["error"]["type"]) == ("error", "overloaded_error")


async def test_a_failure_before_the_first_byte_goes_to_a_backend_of_another_format() -> None:
    told = recorded_stream("02-turn-1")
    async with (
        upstreams(hang_up, streams([told])) as (gpu, up),
        running(local(gpu.url), claude(up.url)) as nexus,
    ):
        answer = await ask(nexus, SHORT | {"stream": True})

    assert answer.content == told
    assert len(gpu.received) == len(up.received) == 1
    assert answer.headers["x-nexus-route-reason"] == "backend-failover"


async def test_a_restricted_request_never_reaches_anthropic() -> None:
    async with upstreams(answers(MESSAGE)) as (up,), running(claude(up.url)) as nexus:
        answer = await ask(nexus, SHORT, **RESTRICTED)

    assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")
    # Claude Code asks an overloaded_error again and again.
    assert answer.json()["error"]["type"] == "api_error"
    assert answer.json()["error"]["code"] == "privacy_constraint_violation"
    assert up.received == []


@pytest.mark.parametrize("configured", [local, claude, gemini])
async def test_a_client_that_leaves_ends_the_exchange(configured: Any) -> None:
    async with upstreams(hang) as (up,), running(configured(up.url)) as nexus:
        task = nexus.tasks.create_task(ask(nexus, SHORT | {"stream": True}))
        await up.wait_for_requests(1)
        task.cancel()
        await until(up.last.closed.is_set)
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_probe_at_the_beginning_of_a_session_is_answered() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.head("/", headers={"User-Agent": "Bun/1.4.0"})

    assert answer.status_code == 200
    assert recorded("00-head-probe")["method"] == "HEAD"
