"""Labels of a body are not believed without a look at it, and none that is wrong goes out."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import openai
import pytest

from nexus_core.catalog import BackendType
from tests.contract.bodies import ANSWER, DONE, FIRST, HELLO, STOP, STREAM, TOOL_ANSWER, chat
from tests.contract.scripted_upstream import Exchange, Script, answers
from tests.scenarios.nexus import (
    CHAT,
    backend,
    cloud,
    running,
    say,
    told,
    upstreams,
)
from tests.vendors.samples import ANTHROPIC, GOOGLE, TEXT

WHOLE_STREAM = b"".join(STREAM)


def labelled(parts: list[bytes], *headers: tuple[str, str], status: int = 200) -> Script:
    """These bytes under these headers, one chunk for each."""

    async def script(exchange: Exchange) -> None:
        await exchange.send_head(status, [*headers, ("Transfer-Encoding", "chunked")])
        for part in parts:
            await exchange.send_chunk(part)
        await exchange.send(b"0\r\n\r\n")

    return script


def typed(parts: list[bytes], kind: str | None) -> Script:
    return labelled(parts, *([("Content-Type", kind)] if kind is not None else []))


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain; charset=utf-8",
        "application/json",
        "application/x-ndjson",
        "application/octet-stream",
        "text/html",
        "",
        None,
        "Text/Event-Stream;charset=UTF-8",
    ],
)
async def test_a_stream_is_one_whatever_its_label_says(kind: str | None) -> None:
    async with (
        upstreams(typed([*STREAM], kind)) as (first,),
        running(backend("first", first.url)) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert answer.content == WHOLE_STREAM
    (sent,) = answer.headers.get_list("content-type")
    assert sent.lower().startswith("text/event-stream")
    assert not nexus.finished()[0].failed


@pytest.mark.parametrize(
    "beginning",
    [
        b"\xef\xbb\xbf",
        b": hello\n\n",
        b"\n\n",
        b"\r\n",
        b"event: message\n",
        b"id: 1\n",
        b"retry: 3\n",
    ],
)
async def test_a_mislabelled_stream_is_known_by_how_it_begins(beginning: bytes) -> None:
    parts = [beginning, *STREAM]
    async with (
        upstreams(typed(parts, "text/plain")) as (first,),
        running(backend("first", first.url)) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert answer.content == beginning + WHOLE_STREAM
    assert answer.headers["content-type"] == "text/event-stream"


@pytest.mark.parametrize("line_end", [b"\r\n", b"\r"])
async def test_every_line_end_of_the_standard_is_read_and_passes_at_once(line_end: bytes) -> None:
    gate = asyncio.Event()
    first_part, rest = (
        b"".join(parts).replace(b"\n", line_end) for parts in ((FIRST, HELLO, HELLO), (STOP, DONE))
    )

    async def script(exchange: Exchange) -> None:
        head = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]
        await exchange.send_head(200, head)
        await exchange.send_chunk(first_part)
        await gate.wait()
        await exchange.send_chunk(rest)
        await exchange.send(b"0\r\n\r\n")

    async with (
        upstreams(script) as (up,),
        running(backend("first", up.url)) as nexus,
        nexus.http.stream("POST", CHAT, json=chat("m", stream=True)) as answer,
    ):
        received = b""
        async for part in answer.aiter_raw():
            received += part
            if received == first_part:
                gate.set()

    assert received == first_part + rest
    assert not nexus.finished()[0].failed


@pytest.mark.parametrize("end", [b"data: [DONE]", b"data:[DONE]", b"data:[DONE]\n", STOP.rstrip()])
async def test_a_last_event_without_its_blank_line_counts(end: bytes) -> None:
    parts = [FIRST, HELLO, end]
    async with (
        upstreams(typed(parts, "text/event-stream")) as (first,),
        running(backend("first", first.url)) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert answer.content == b"".join(parts)
    assert not nexus.finished()[0].failed


async def test_two_types_never_pass() -> None:
    types = [("Content-Type", "text/plain"), ("Content-Type", "application/json; charset=utf-8")]
    events = [*types, ("Content-Type", "text/event-stream; charset=utf-8")]
    body = json.dumps(ANSWER).encode()
    async with (
        upstreams(
            labelled([body], *types),
            labelled([*STREAM], *events),
            labelled([b'{"error": {"message": "x"}}'], *types, status=400),
            labelled([b"no"], *events, status=400),
        ) as (whole, stream, refused, words),
        running(
            backend("whole", whole.url, models=("whole",)),
            backend("stream", stream.url, models=("stream",)),
            backend("refused", refused.url, models=("refused",)),
            backend("words", words.url, models=("words",)),
        ) as nexus,
    ):
        asked = [
            await nexus.ask(model, stream=model == "stream")
            for model in ("whole", "stream", "refused", "words")
        ]

    assert [answer.headers.get_list("content-type") for answer in asked] == [
        ["application/json; charset=utf-8"],
        ["text/event-stream; charset=utf-8"],
        ["application/json; charset=utf-8"],
        ["text/plain"],
    ]


@pytest.mark.parametrize("body", [ANSWER, TOOL_ANSWER])
@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
async def test_a_whole_answer_to_who_asked_for_a_stream_becomes_one(
    body: dict[str, Any], kind: str
) -> None:
    content = json.dumps(body, indent=1).encode()
    async with (
        upstreams(labelled([content[:9], content[9:]], ("Content-Type", kind))) as (first,),
        running(backend("first", first.url)) as nexus,
        openai.AsyncOpenAI(
            base_url=str(nexus.http.base_url.join("/v1")), api_key="sk-client", max_retries=0
        ) as client,
    ):
        stream = client.chat.completions.stream(
            model="m",
            messages=[{"role": "user", "content": "x"}],
            stream_options={"include_usage": True},
        )
        async with stream as events:
            final = await events.get_final_completion()

    message = body["choices"][0]["message"]
    choice = final.choices[0]
    assert choice.finish_reason == body["choices"][0]["finish_reason"]
    assert choice.message.content == message["content"]
    calls = [call.function.arguments for call in choice.message.tool_calls or ()]
    assert calls == [call["function"]["arguments"] for call in message.get("tool_calls", ())]
    assert final.usage is not None
    assert final.usage.total_tokens == 7
    (event,) = nexus.finished()
    assert event.usage is not None
    assert event.usage.completion_tokens == 4


async def test_usage_comes_only_to_who_asked() -> None:
    async with (
        upstreams(answers(ANSWER)) as (first,),
        running(backend("first", first.url)) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert answer.content.endswith(DONE)
    assert b'"usage"' not in answer.content
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.headers["x-accel-buffering"] == "no"


JSON_LINES = b'{"message":{"content":"a"},"done":false}\n{"done":true}\n'


@pytest.mark.parametrize("body", [JSON_LINES, b"[1]", b"<html>", b'{"a":', b"words"])
async def test_what_is_neither_is_no_answer(body: bytes) -> None:
    async with (
        upstreams(labelled([body], ("Content-Type", "text/event-stream")), say) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert told(answer) == (200, "second", "backend-failover")


async def test_googles_last_event_counts_without_its_blank_line_and_anthropics_does_not() -> None:
    google = b"".join(GOOGLE.events).rstrip()
    anthropic = b"".join(ANTHROPIC.events).rstrip()
    headers = ("Content-Type", "text/event-stream")
    async with (
        upstreams(labelled([google], headers), labelled([anthropic], headers)) as (first, second),
        running(
            cloud("g", first.url, type=BackendType.GOOGLE, models={"g": GOOGLE.model}),
            cloud("a", second.url, type=BackendType.ANTHROPIC, models={"a": ANTHROPIC.model}),
        ) as nexus,
    ):
        counted = await nexus.ask("g", stream=True)
        dropped = await nexus.ask("a", stream=True)

    assert counted.content.endswith(DONE)
    assert TEXT[-6:].encode() in dropped.content
    assert b"without its end mark" in dropped.content
