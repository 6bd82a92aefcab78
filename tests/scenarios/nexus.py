"""A whole Nexus in the test's loop: loopback sockets on both sides, time that the test turns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import httpx

from nexus_core.api.listen.server import bind, serve
from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, Config, HealthCheckConfig, StorageConfig
from nexus_core.control.config_file import ConfigControl, Configurable
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.gateway import Gateway, GatewayOptions
from nexus_core.observe.bus import Subscription
from nexus_core.observe.events import AttemptFailed, NexusEvent, RequestFinished, RouteDecided
from nexus_core.types import PrivacyZone
from tests.contract.bodies import ANSWER, DONE, FIRST, STOP, chat
from tests.contract.scripted_upstream import Exchange, Script, ScriptedUpstream, streams
from tests.running import end
from tests.waiting import until

CHAT = "/v1/chat/completions"
RESTRICTED = {"X-Nexus-Privacy-Zone": "restricted"}
HIGH = {"X-Nexus-Priority": "high"}
EPOCH = 1_800_000_000.0  # the wall clock is so far ahead of the other

WITHIN_SECONDS = 40.0  # many of which a test may let pass at once

Asked: TypeAlias = asyncio.Task[httpx.Response]


@dataclass
class Clock:
    """Monotonic seconds; the wall clock goes with it."""

    seconds: float = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return EPOCH + self.seconds


@dataclass
class Nexus:
    """A running gateway, a client of it, and what has happened in it."""

    gateway: Gateway
    http: httpx.AsyncClient
    clock: Clock
    tasks: asyncio.TaskGroup
    _watching: Subscription
    _events: list[NexusEvent] = field(default_factory=list)

    async def ask(
        self,
        model: str = "m",
        *,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> httpx.Response:
        """Ask, and read the whole answer; `more` are fields of the body."""
        return await self.http.post(CHAT, json=chat(model, stream=stream, **more), headers=headers)

    def start(self, model: str = "m", **asked: Any) -> Asked:
        """Ask in the background."""
        return self.tasks.create_task(self.ask(model, **asked))

    async def start_waiting(self, count: int, **asked: Any) -> Asked:
        """Ask in the background and return once `count` requests wait in the queue."""
        task = self.start(**asked)
        await until(lambda: self.gateway.queued == count)
        return task

    def backend(self, name: str) -> BackendSnapshot:
        return self.gateway.registry.snapshot(name)

    async def switch(self, path: str, **change: Any) -> dict[str, Any]:
        """POST to the control API, which must agree."""
        answer = await self.http.post(f"/nexus/{path}", json=change)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def events(self) -> list[NexusEvent]:
        """Everything that happened so far."""
        self._events += self._watching.drain()
        return self._events

    def finished(self) -> list[RequestFinished]:
        return [event for event in self.events() if isinstance(event, RequestFinished)]

    def decided(self) -> list[RouteDecided]:
        return [event for event in self.events() if isinstance(event, RouteDecided)]

    def failed(self) -> list[AttemptFailed]:
        return [event for event in self.events() if isinstance(event, AttemptFailed)]


def _in_force(live: Configurable, _: object) -> ConfigControl:
    """A file that says what is in force already."""
    return ConfigControl(live, lambda _: live.config, {})


@asynccontextmanager
async def running(*backends: BackendConfig, **sections: Any) -> AsyncIterator[Nexus]:
    """Serve these backends; whatever a test left under way is ended, and every slot is free."""
    within = sections.pop("within_seconds", WITHIN_SECONDS)
    clock = sections.pop("clock", None) or Clock()
    config = Config(
        backends=backends,
        health_check=sections.pop("health_check", HealthCheckConfig(enabled=False)),
        storage=sections.pop("storage", StorageConfig(path=":memory:")),
        **sections,
    )
    gateway = Gateway(config, now=clock.wall, clock=clock, options=GatewayOptions(files=_in_force))
    watching = gateway.bus.subscribe()
    listener = bind("127.0.0.1", 0)
    url = "http://127.0.0.1:{1}".format(*listener.getsockname())
    stop, ready = asyncio.Event(), asyncio.Event()
    unbounded = httpx.Limits(max_connections=None)
    async with asyncio.timeout(within), asyncio.TaskGroup() as serving:
        serving.create_task(serve(gateway, listener, stop=stop, ready=ready))
        await ready.wait()
        async with httpx.AsyncClient(
            base_url=url, timeout=WITHIN_SECONDS, limits=unbounded
        ) as http:
            await gateway.health.first_round()
            async with asyncio.TaskGroup() as tasks:
                yield Nexus(gateway, http, clock, tasks, watching)
        await gateway.forwarder.idle()
        await end(stop)
    assert [(s.name, s.in_flight) for s in gateway.registry.snapshots() if s.in_flight] == []
    assert gateway.queued == gateway.stats.in_flight == 0


def backend(name: str, url: str, **more: Any) -> BackendConfig:
    """A local restricted backend that serves the model `m`."""
    models = more.pop("models", ("m",))
    named = models if isinstance(models, dict) else {model: model for model in models}
    values: dict[str, Any] = {
        "name": name,
        "url": url,
        "type": BackendType.VLLM,
        "zone": PrivacyZone.RESTRICTED,
        "models": named,
    }
    return BackendConfig(**values | more)


def cloud(name: str, url: str, **more: Any) -> BackendConfig:
    """A cloud backend in the open zone."""
    values: dict[str, Any] = {
        "type": BackendType.OPENAI,
        "zone": PrivacyZone.OPEN,
        "api_key": f"sk-{name}-0123456789",
    }
    return backend(name, url, **values | more)


@asynccontextmanager
async def upstreams(*scripts: Script) -> AsyncIterator[list[ScriptedUpstream]]:
    """One upstream for each script."""
    started = [ScriptedUpstream() for _ in scripts]
    for upstream, script in zip(started, scripts, strict=True):
        upstream.script = script
        await upstream.__aenter__()
    try:
        yield started
    finally:
        for upstream in started:
            await upstream.__aexit__(None, None, None)


class Gate:
    """A script that begins a stream, or takes a request, and goes on once it is opened."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()

    def open(self) -> None:
        self._opened.set()

    async def __call__(self, exchange: Exchange) -> None:
        if json.loads(exchange.body).get("stream"):
            await streams([FIRST, self._opened, STOP, DONE])(exchange)
        else:
            await self._opened.wait()
            await say(exchange)


async def say(exchange: Exchange) -> None:
    """Answer well, as a stream where one is asked for."""
    asked = json.loads(exchange.body)
    if asked.get("stream"):
        await streams([FIRST, STOP, DONE])(exchange)
        return
    body = json.dumps(ANSWER | {"model": asked["model"]})
    head = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    await exchange.send_head(200, head)
    await exchange.send(body.encode())


async def hang_up(_exchange: Exchange) -> None:
    """Close the connection without a word."""


def in_turn(*scripts: Script) -> Script:
    """Each request gets the next script, and the last one for ever."""
    left = list(scripts)

    async def script(exchange: Exchange) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(exchange)

    return script


def told(answer: httpx.Response) -> tuple[int, str | None, str | None]:
    """Status, backend and reason."""
    headers = answer.headers
    return (
        answer.status_code,
        headers.get("x-nexus-backend"),
        headers.get("x-nexus-route-reason"),
    )


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    return error


def last_event(answer: httpx.Response) -> dict[str, Any]:
    """The last event of a stream."""
    *_, last = [block for block in answer.text.split("\n\n") if block.strip()]
    value: dict[str, Any] = json.loads(last.removeprefix("data: "))
    return value
