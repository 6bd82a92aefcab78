"""The demo's other agent: its items grow, and every call gets its result."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import httpx

from nexus_core.demo.backends import CODEX
from nexus_core.demo.codex import ResponsesAgent
from nexus_core.dialects.openai_responses.dialect import RESPONSES
from nexus_core.types import Operation

_CALL = {"type": "function_call", "id": "fc_1", "name": "demo_shell", "arguments": "{}"}
_TEXT = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "content": [{"type": "output_text", "text": "done", "annotations": []}],
}


@asynccontextmanager
async def at_once() -> AsyncIterator[None]:
    yield


def _event(kind: str, **fields: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n".encode()


class Answers:
    """Calls a tool, then says a text, in turn; keeps what it was asked."""

    def __init__(self, status: int = 200, last: str = "response.completed") -> None:
        self.asked: list[tuple[httpx.Headers, dict[str, Any]]] = []
        self._status, self._last = status, last

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.asked.append((request.headers, body))
        is_result = body["input"][-1]["type"] == "function_call_output"
        item = _TEXT if is_result else _CALL | {"call_id": f"call_{len(self.asked)}"}
        stream = _event("response.output_item.done", item=item) + _event(self._last)
        return httpx.Response(self._status, content=stream)


async def sessions(answers: Answers, count: int = 3) -> None:
    transport = httpx.MockTransport(answers)
    async with httpx.AsyncClient(base_url="http://x", transport=transport) as client:
        agent = ResponsesAgent(client, Random(5), at_once)
        for _ in range(count):
            await agent.session()


async def test_each_session_has_its_id_and_every_call_its_result() -> None:
    answers = Answers()

    await sessions(answers)

    ids = {headers["session-id"] for headers, _ in answers.asked}
    assert len(ids) == 3
    for _, body in answers.asked:
        calls = [one["call_id"] for one in body["input"] if one["type"] == "function_call"]
        given = [one["call_id"] for one in body["input"] if one["type"] == "function_call_output"]
        assert calls == given
    assert any(calls for calls in (body["input"][2:] for _, body in answers.asked))


async def test_what_it_asks_is_a_request_that_nexus_reads() -> None:
    answers = Answers()

    await sessions(answers)

    for _, body in answers.asked:
        read = RESPONSES.read_request(Operation.CHAT, json.dumps(body).encode())
        assert (read.model, read.is_streaming) == (CODEX, True)


async def test_an_answer_that_fails_is_asked_for_again() -> None:
    for answers in (Answers(503), Answers(last="response.failed")):
        await sessions(answers, 1)

        assert len(answers.asked) >= 2
        assert {len(body["input"]) for _, body in answers.asked} == {2}
