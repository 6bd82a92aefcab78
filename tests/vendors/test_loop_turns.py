"""A chunk waits for nothing: it goes to the client in the loop turn in which its bytes came."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nexus_core.api.app import FrontDoor
from nexus_core.catalog import BackendType
from nexus_core.config.schema import Config, HealthCheckConfig, StorageConfig
from nexus_core.gateway import Gateway
from nexus_core.upstream.base import Headers, UpstreamRequest
from tests.vendors.live import backend
from tests.vendors.samples import PROVIDERS
from tests.waiting import turns

OPENAI_EVENTS = (
    b'data: {"choices":[{"index":0,"delta":{"content":"Hello there."}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
    b"data: [DONE]\n\n",
)
STREAMS: list[tuple[BackendType, str, tuple[bytes, ...]]] = [(BackendType.VLLM, "m", OPENAI_EVENTS)]
STREAMS += [(provider.type, provider.model, provider.events) for provider in PROVIDERS]


class Turns:
    """Counts the turns of the loop."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_soon(self._tick)

    def _tick(self) -> None:
        self.count += 1
        self._next = self._loop.call_soon(self._tick)

    def stop(self) -> None:
        self._next.cancel()


class HeldStream:
    """An engine and its one answer: each event comes when the test lets it."""

    status = 200
    headers: Headers = (("content-type", "text/event-stream"),)
    stream: None = None
    usage: None = None

    def __init__(self, turns: Turns) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.sent_at: int | None = None  # the turn
        self.arrived: list[int] = []  # the turn of each event
        self._turns = turns

    async def send(self, request: UpstreamRequest, *, connect_timeout_seconds: float) -> HeldStream:
        self.sent_at = self._turns.count
        return self

    def at_hand(self) -> bytes | None:
        return None

    async def read(self) -> bytes:
        event = await self.queue.get()
        if event is None:
            return b""
        self.arrived.append(self._turns.count)
        return event

    def stop_unsent(self) -> None:
        pass

    async def close(self, *, is_read: bool = False) -> None:
        pass


class Client:
    """An ASGI client that notes in which turn each part of the body was sent to it."""

    def __init__(self, turns: Turns, body: bytes) -> None:
        self.sent: list[int] = []
        self.body = b""
        self.is_finished = False
        self._turns = turns
        self._messages = [{"type": "http.request", "body": body, "more_body": False}]
        self._stays = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if not self._messages:
            await self._stays.wait()
        return self._messages.pop()

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.body" and message["body"]:
            self.sent.append(self._turns.count)
            self.body += message["body"]


def scope() -> dict[str, Any]:
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    return {
        "type": "http",
        "method": "POST",
        "path": "/v1/chat/completions",
        "raw_path": b"/v1/chat/completions",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "scheme": "http",
        "http_version": "1.1",
    }


@pytest.mark.parametrize(("kind", "model", "events"), STREAMS)
async def test_every_chunk_is_sent_in_the_turn_in_which_it_came(
    kind: BackendType, model: str, events: tuple[bytes, ...]
) -> None:
    clock = Turns()
    upstream = HeldStream(clock)
    config = Config(
        health_check=HealthCheckConfig(enabled=False),
        storage=StorageConfig(path=":memory:"),
        backends=(backend(kind, "http://backend.test", model),),
    )
    door = FrontDoor(Gateway(config, engine=upstream))
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
    client = Client(clock, json.dumps(body).encode())

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        tasks.create_task(door(scope(), client.receive, client.send))
        for event in events:
            upstream.queue.put_nowait(event)
            await turns(20)  # in which nothing else is to happen
        upstream.queue.put_nowait(None)
    clock.stop()

    assert client.body.endswith(b"data: [DONE]\n\n")
    assert len(upstream.arrived) == len(events)
    # A role alone waits for what is said; a task waits for that, and it wakes others two turns on.
    first = next(at for at, event in enumerate(events) if b"Hello" in event)
    assert upstream.arrived[first] <= client.sent[0] <= upstream.arrived[first] + 3
    # What translates to nothing sends nothing; the end of a body may give one more.
    assert set(client.sent[1:-1]) <= set(upstream.arrived)


def tools(count: int) -> list[dict[str, Any]]:
    """As an agent offers them, each with a schema of its own."""
    return [
        {
            "type": "function",
            "function": {
                "name": f"tool_{number}",
                "parameters": {
                    "type": "object",
                    "properties": {
                        f"argument_{number}_{name}": {"type": ["string", "null"], "minLength": 1}
                        for name in range(20)
                    },
                },
            },
        }
        for number in range(count)
    ]


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.type.value)
async def test_the_loop_goes_on_while_many_tools_are_translated(provider: Any) -> None:
    sent_at: dict[int, int] = {}
    for count in (1, 100):
        clock = Turns()
        upstream = HeldStream(clock)
        config = Config(
            health_check=HealthCheckConfig(enabled=False),
            storage=StorageConfig(path=":memory:"),
            backends=(backend(provider.type, "http://backend.test", provider.model),),
        )
        door = FrontDoor(Gateway(config, engine=upstream))
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "x"}]}
        client = Client(clock, json.dumps(body | {"tools": tools(count)}).encode())

        async with asyncio.timeout(10):
            for event in (*provider.events, None):
                upstream.queue.put_nowait(event)
            await door(scope(), client.receive, client.send)
        clock.stop()

        assert upstream.sent_at is not None
        sent_at[count] = upstream.sent_at

    assert sent_at[100] > sent_at[1]
