"""Demo traffic: clients that send chats, tools and an agent's sessions to Nexus over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from random import Random
from typing import Any

import httpx

from nexus_core.demo.agents import MessagesAgent
from nexus_core.demo.backends import (
    CLAUDE,
    CLOUD,
    CODER,
    GEMINI,
    LARGE_LOCAL,
    NEW_GEMINI,
    SMALL_CLAUDE,
    SMALL_CLOUD,
    SMALL_LOCAL,
    TOOL_PREFIX,
)
from nexus_core.demo.codex import ResponsesAgent

_MAX_CONCURRENT = 16
MEAN_PAUSE_SECONDS = 0.7  # between two requests
_AGENT_PAUSES = 4  # so many times as long as that between the requests of an agent
_BURST_EVERY = 14  # requests
_BURST_SIZE = 6  # more than the preferred backend takes at once
_STREAM_SHARE = 0.7
_USAGE_SHARE = 0.6  # of the streams: the client asks for the token counts
_LEAVING_SHARE = 0.08  # of the streams: the client hangs up mid-way
_READY_POLL_SECONDS = 0.1
_TIMEOUT_SECONDS = 60.0
_RESTRICTED = {"X-Nexus-Privacy-Zone": "restricted"}

PROMPTS = (
    "Explain back-pressure to a plumber.",
    "Summarise the minutes of this morning's meeting in three points.",
    "Write a haiku about a queue that is never empty.",
    "Why is my test green on my machine and red in CI?",
    "Translate 'the early bird' into something a cat would say.",
    "Name three uses for a brick that is also a good listener.",
)
_SEARCH_TOOL = {
    "type": "function",
    "function": {
        "name": f"{TOOL_PREFIX}search",
        "description": "Search the notes",
        "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """One kind of request, and how often it is made compared with the others."""

    weight: int
    model: str
    headers: tuple[tuple[str, str], ...] = ()
    has_tools: bool = False
    effort: str | None = None  # how hard the model is to think


_BURST = _Kind(weight=0, model=LARGE_LOCAL)
_KEPT_HERE = _Kind(weight=6, model=SMALL_CLOUD, headers=tuple(_RESTRICTED.items()))
_KINDS = (
    _Kind(weight=26, model=SMALL_LOCAL),
    _Kind(weight=8, model="gpt-3.5-turbo"),
    _Kind(weight=14, model="gpt-4"),
    _Kind(weight=10, model=LARGE_LOCAL),
    _Kind(weight=8, model=CODER),
    _Kind(weight=6, model=CODER, has_tools=True),
    _Kind(weight=8, model=CLOUD),
    _Kind(weight=6, model=SMALL_CLOUD),
    _Kind(weight=5, model=CLAUDE, effort="low"),
    _Kind(weight=3, model=SMALL_CLAUDE, has_tools=True),
    _Kind(weight=5, model=GEMINI),
    _Kind(weight=3, model=NEW_GEMINI, has_tools=True),
    _KEPT_HERE,
    _Kind(weight=4, model="secret-notes"),
    _Kind(weight=1, model=CLOUD, headers=tuple(_RESTRICTED.items())),  # refused: 503
    _Kind(weight=3, model="llama3:700b"),  # nobody serves it: 404
)
_WEIGHTS = [kind.weight for kind in _KINDS]


async def run_traffic(
    base_url: str,
    *,
    api_key: str | None = None,
    keys: Sequence[str] = (),
    stop: asyncio.Event,
    random: Random | None = None,
    speed: float = 1.0,
) -> None:
    """Send requests from when the server answers until `stop` is set; then end at once.

    Errors of the server are part of the show and never raised.

    Args:
        api_key: of whoever has no other.
        keys: one of them comes with each chat, the first ones more often.
        speed: shortens the pauses.
    """
    headers = {"User-Agent": "nexus-demo"}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {api_key}"
    # Nothing of the environment (proxies, .netrc) may come between the demo and the loopback.
    async with httpx.AsyncClient(
        base_url=base_url, headers=headers, timeout=_TIMEOUT_SECONDS, trust_env=False
    ) as client:
        random = random or Random()  # noqa: S311 - made-up traffic, not a secret
        pause = partial(random.expovariate, speed / MEAN_PAUSE_SECONDS)
        crowd = _Crowd(client, random, pause, keys)
        async with asyncio.TaskGroup() as tasks:
            driving = tasks.create_task(crowd.drive(), name="demo-traffic")
            await stop.wait()
            driving.cancel()


class _Crowd:
    """Everyone who sends requests; `pause` says how long to wait before the next one."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        random: Random,
        pause: Callable[[], float],
        keys: Sequence[str] = (),
    ) -> None:
        self._client = client
        self._keys = keys
        self._random = random
        self._pause = pause
        self._seats = asyncio.Semaphore(_MAX_CONCURRENT)

    async def drive(self) -> None:
        """Send requests for ever, a burst now and then, and work as agents beside it."""
        await self._wait_until_ready()
        count = 0
        async with asyncio.TaskGroup() as tasks:
            for make in (MessagesAgent, ResponsesAgent):
                agent = make(self._client, self._random, self._agents_turn)
                tasks.create_task(agent.work(), name="demo-agent")
            while True:
                count += 1
                for kind in self._next(count):
                    await self._seats.acquire()
                    tasks.create_task(self._ask(kind), name="demo-request")
                await asyncio.sleep(self._pause())

    @asynccontextmanager
    async def _agents_turn(self) -> AsyncGenerator[None]:
        for _ in range(_AGENT_PAUSES):
            await asyncio.sleep(self._pause())
        async with self._seats:
            yield

    def _next(self, count: int) -> list[_Kind]:
        """Chance decides, but what shows overflow and privacy comes round within seconds."""
        if count % _BURST_EVERY == 0:
            return [_BURST] * _BURST_SIZE
        if count % _BURST_EVERY == _BURST_EVERY // 2:
            return [_KEPT_HERE]
        return self._random.choices(_KINDS, _WEIGHTS)

    async def _wait_until_ready(self) -> None:
        while True:
            try:
                answer = await self._client.get("/health")
            except httpx.HTTPError:
                pass
            else:
                if answer.status_code == HTTPStatus.OK:
                    return
            await asyncio.sleep(_READY_POLL_SECONDS)

    async def _ask(self, kind: _Kind) -> None:
        body = self._body(kind)
        leaves_after = self._random.randint(2, 12)
        leaves = bool(body["stream"]) and self._random.random() < _LEAVING_SHARE
        headers = dict(kind.headers)
        if self._keys:
            (key,) = self._random.choices(self._keys, range(len(self._keys), 0, -1))
            headers["Authorization"] = f"Bearer {key}"
        try:
            async with self._client.stream(
                "POST", "/v1/chat/completions", json=body, headers=headers
            ) as answer:
                lines = 0
                async for _ in answer.aiter_lines():
                    lines += 1
                    if leaves and lines > leaves_after:
                        return
        except httpx.HTTPError:
            return  # the dashboard shows what went wrong; the demo goes on
        finally:
            self._seats.release()

    def _body(self, kind: _Kind) -> dict[str, Any]:
        prompt = self._random.choice(PROMPTS)
        body: dict[str, Any] = {
            "model": kind.model,
            "messages": [{"role": "user", "content": prompt}],
            "stream": self._random.random() < _STREAM_SHARE,
        }
        if body["stream"] and self._random.random() < _USAGE_SHARE:
            body["stream_options"] = {"include_usage": True}
        if kind.has_tools:
            body["tools"] = [_SEARCH_TOOL]
        if kind.effort is not None:
            body["reasoning_effort"] = kind.effort
        return body
