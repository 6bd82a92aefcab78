"""An error in the middle of a stream: it passes as it is, and the attempt is booked as failed."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from tests.contract.bodies import DONE, FIRST, HELLO, event
from tests.contract.scripted_upstream import streams
from tests.scenarios.nexus import backend, running, upstreams

DIED = {"error": {"message": "engine died", "type": "InternalServerError", "code": 500}}
MID_STREAM: dict[str, tuple[list[bytes], str]] = {
    "vllm": ([b"data: " + json.dumps(DIED).encode() + b"\n\n", DONE], "engine died"),
    "no end": ([b"data: " + json.dumps(DIED).encode() + b"\n\n"], "engine died"),
    "openrouter": (
        [event({"content": ""}, "error", error={"code": 502, "message": "lost it"}), DONE],
        "lost it",
    ),
    "finish_reason": ([event({}, "error"), DONE], "ended with an error"),
    "by name": ([b"event: error\n", b'data: {"message": "crashed"}\n\n', DONE], "crashed"),
    "old vllm": ([b'data: {"object": "error", "message": "no memory"}\n\n', DONE], "no memory"),
}


@pytest.mark.parametrize(("tail", "words"), MID_STREAM.values(), ids=MID_STREAM)
async def test_an_error_in_mid_stream_passes_as_it_is_and_is_booked_as_failed(
    tail: list[bytes], words: str
) -> None:
    parts = [FIRST, HELLO, *tail]
    async with upstreams(streams(parts)) as (first,), running(backend("a", first.url)) as nexus:
        answer = await nexus.ask(stream=True)
        stats: dict[str, Any] = (await nexus.http.get("/v1/stats")).json()

    assert answer.content == b"".join(parts)
    (finished,) = nexus.finished()
    assert (finished.failed, finished.status, finished.is_partial) == (True, 200, True)
    assert words in str(finished.error)
    assert stats["failed"] == 1


async def test_the_sdk_gets_the_error_of_a_mid_stream_failure() -> None:
    tail = MID_STREAM["vllm"][0]
    async with (
        upstreams(streams([FIRST, HELLO, *tail])) as (first,),
        running(backend("first", first.url)) as nexus,
        openai.AsyncOpenAI(
            base_url=str(nexus.http.base_url.join("/v1")), api_key="sk-client", max_retries=0
        ) as client,
    ):
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "x"}], stream=True
        )
        with pytest.raises(openai.APIError, match="engine died"):
            async for _ in stream:
                pass
