"""The demo's agent: what it asks in a session, turn by turn."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import httpx

from nexus_core.demo.agents import MessagesAgent
from nexus_core.demo.backends import CLAUDE, HAIKU
from nexus_core.demo.simulated import AnthropicFormat, Behaviour, SimulatedServer

_KEY = "sk-ant-demo"
_SESSION, _SUBAGENT = "x-claude-code-session-id", "x-claude-code-agent-id"


class Watched(httpx.AsyncHTTPTransport):
    """Keeps what is sent, and how it is answered."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[httpx.Headers, dict[str, Any]]] = []
        self.statuses: list[int] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.headers, json.loads(request.content)))
        answer = await super().handle_async_request(request)
        self.statuses.append(answer.status_code)
        return answer


@asynccontextmanager
async def at_once() -> AsyncIterator[None]:
    yield


async def sessions(count: int) -> Watched:
    """So many, against a server that holds the rules of tools and their results."""
    behaviour = Behaviour(
        models=(CLAUDE, HAIKU), tokens_per_second=1e6, first_token_seconds=0, api_key=_KEY
    )
    watched, random = Watched(), Random(3)
    async with (
        SimulatedServer(behaviour, wire=AnthropicFormat(), random=random, speed=1000) as server,
        httpx.AsyncClient(
            base_url=server.url, headers={"x-api-key": _KEY}, transport=watched, trust_env=False
        ) as client,
    ):
        agent = MessagesAgent(client, random, at_once)
        for _ in range(count):
            await agent.session()
    return watched


async def test_every_turn_of_a_session_is_one_that_the_server_takes() -> None:
    watched = await sessions(4)

    assert set(watched.statuses) == {200}
    blocks = [
        block["type"]
        for _, body in watched.asked
        for message in body["messages"]
        for block in message["content"]
    ]
    assert {"text", "tool_use", "tool_result"} == {*blocks}
    assert all(body["stream"] and body["tools"] and body["system"] for _, body in watched.asked)


async def test_a_session_has_its_id_and_a_subagent_another_model() -> None:
    watched = await sessions(4)

    ids = {headers[_SESSION] for headers, _ in watched.asked}
    models = {headers.get(_SUBAGENT) is not None: body["model"] for headers, body in watched.asked}
    assert len(ids) == 4
    assert models == {False: CLAUDE, True: HAIKU}
    assert all(headers["user-agent"].startswith("claude-cli/") for headers, _ in watched.asked)


async def test_an_answer_that_fails_is_asked_for_again_and_nothing_is_raised() -> None:
    asked: list[int] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        asked.append(len(json.loads(request.content)["messages"]))
        return httpx.Response(503, json={"type": "error"})

    transport = httpx.MockTransport(refuse)
    async with httpx.AsyncClient(base_url="http://x", transport=transport) as client:
        await MessagesAgent(client, Random(1), at_once).session()

    assert len(asked) >= 3
    assert {*asked} == {1}
