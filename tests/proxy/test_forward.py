import asyncio
import json
from collections.abc import Collection
from random import Random

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import (
    BackendConfig,
    QueueConfig,
    RoutingConfig,
    ServerConfig,
)
from nexus_core.dialects.base.bridge import HubTarget
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.dialects.openai_chat.request import read_request, write_request
from nexus_core.dialects.request import Request
from nexus_core.fleet.registry import Registry
from nexus_core.observe.bus import EventBus
from nexus_core.observe.events import (
    AttemptFailed,
    FirstByteReceived,
    NexusEvent,
    RequestFinished,
    RequestReceived,
    RouteDecided,
    TokenUsage,
)
from nexus_core.observe.stats import Stats
from nexus_core.providers.base import Call, KeyCutter
from nexus_core.proxy.forward import Forwarder
from nexus_core.proxy.in_flight import ProxyParts
from nexus_core.proxy.queue import WaitingRoom
from nexus_core.proxy.reply import ProxyRequest
from nexus_core.routing.requirements import Requirements
from nexus_core.routing.scoring import Strategy
from nexus_core.types import (
    DialectName,
    HealthStatus,
    Operation,
    PrivacyZone,
    ProbeResult,
    RouteReason,
)
from nexus_core.upstream.base import MaySend, UpstreamConnectError, UpstreamProtocolError
from tests.made_up_backends import no_ledger
from tests.proxy.fakes import JSON, RecordingReply, ScriptedResponse
from tests.waiting import hasten, settled

ANSWER = b'{"choices":[{"message":{}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
SAID = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
DONE = b"data: [DONE]\n\n"
STREAM = SAID + DONE


def whole(body: bytes = ANSWER, status: int = 200) -> ScriptedResponse:
    return ScriptedResponse(body, status=status, headers=JSON)


class ScriptedAgent:
    """Answers with the next of its script."""

    def __init__(self, name: str, *script: ScriptedResponse | Exception | asyncio.Event) -> None:
        self.name = name
        self.keys = KeyCutter(f"sk-{name}-key")
        self.auth_hint = f"check {name.upper()}_KEY"
        self.translates = False
        self.passes: Collection[DialectName] = frozenset()
        self.hub_target = HubTarget.CLOUD
        self.refuses_effort: set[str] = set()
        self.bodies: list[bytes] = []
        self.script = list(script)

    def prepare(self, request: Request, model: str, *, wants_usage: bool = False) -> Call:
        return Call(
            path=request.path,
            body=write_request(request, model),
            is_streaming=request.is_streaming,
            model=model,
            request=request,
            dialect=OPENAI_CHAT,
        )

    async def count_tokens(self, request: Request, model: str) -> int | None:
        return None

    async def send(self, call: Call, may_send: MaySend) -> ScriptedResponse:
        self.bodies.append(call.body)
        step = self.script.pop(0)
        if isinstance(step, asyncio.Event):
            await step.wait()
        if isinstance(step, Exception):
            raise step
        assert isinstance(step, ScriptedResponse)
        return step

    async def ask_apis(self) -> tuple[str, ...] | None:
        return None

    async def probe(self, *, timeout_seconds: float) -> ProbeResult:
        raise AssertionError("nobody asked for a probe")


class World:
    """A forwarder over scripted agents; the first one has the highest priority."""

    def __init__(
        self,
        *agents: ScriptedAgent,
        server: ServerConfig | None = None,
        max_concurrent: int | None = 1,
        queue: QueueConfig | None = None,
        models: tuple[str, ...] = ("m",),
        strategy: Strategy | None = None,
    ) -> None:
        self.time = 0.0
        self.stats = Stats()
        self.bus = EventBus(self.stats)
        self.events = self.bus.subscribe()
        self.agents = {agent.name: agent for agent in agents}
        self.registry = Registry(
            [
                BackendConfig(
                    name=agent.name,
                    url="http://127.0.0.1:1",
                    type=BackendType.VLLM,
                    zone=PrivacyZone.RESTRICTED,
                    priority=90 - number,
                    max_concurrent=max_concurrent,
                    models={model: f"{model}-at-{agent.name}" for model in models},
                )
                for number, agent in enumerate(agents)
            ],
            self.bus,
            lambda: self.time,
            lambda: self.time,
        )
        self.queue = WaitingRoom(queue, self.registry) if queue else None
        self.cost_tracker = no_ledger()
        self.doubted: list[str] = []
        self.server = server or ServerConfig()
        self.parts = ProxyParts(
            agents=self.agents,
            registry=self.registry,
            strategy=strategy or Strategy(RoutingConfig(strategy="priority_only"), Random(0)),
            cost_tracker=self.cost_tracker,
            bus=self.bus,
            now=lambda: 0.0,
            models_known=self._never,
            doubt=self.doubted.append,
        )
        self.forwarder = Forwarder(self.parts, self.queue, self.server, RoutingConfig())

    async def _never(self) -> None:
        raise AssertionError("every model is known here")

    async def ask(self, *, stream: bool = False, high: bool = False) -> RecordingReply:
        reply = RecordingReply()
        await self.forwarder.forward(request(stream, high), reply)
        return reply

    def finished(self) -> tuple[list[NexusEvent], RequestFinished]:
        """Every event, and the last one; no slot may still be taken."""
        assert [s.in_flight for s in self.registry.snapshots()] == [0] * len(self.agents)
        events = self.events.drain()
        assert self.stats.in_flight == 0
        last = [event for event in events if isinstance(event, RequestFinished)]
        assert len(last) == 1
        return events, last[0]


def request(stream: bool, high: bool = False) -> ProxyRequest:
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "x"}]}
    return ProxyRequest(
        envelope=read_request(Operation.CHAT, json.dumps(body).encode(), "r1"),
        dialect=OPENAI_CHAT,
        need=Requirements("m", ("m",), is_high_priority=high),
        client=None,
        headers=(),
        received=0.0,
    )


async def test_an_answer_is_told_step_by_step() -> None:
    world = World(ScriptedAgent("a", whole()))

    reply = await world.ask()

    assert (reply.status, reply.body) == (200, ANSWER)
    assert json.loads(world.agents["a"].bodies[0])["model"] == "m-at-a"
    events, last = world.finished()
    kinds = [RequestReceived, RouteDecided, FirstByteReceived, RequestFinished]
    assert [type(event) for event in events] == kinds
    assert last.usage == TokenUsage(prompt_tokens=1, completion_tokens=2)
    assert (last.backend, last.model, last.status, last.failed) == ("a", "m-at-a", 200, False)


FAILURES = [
    UpstreamConnectError("connection refused"),
    UpstreamProtocolError("the answer ended early"),
    whole(b"{}", 408),
    whole(b"{}", 429),
    whole(b"{}", 500),
    whole(b"{}", 529),
    whole(b"{}", 401),
    whole(b"{}", 403),
    whole(b"", 302),
    whole(b"<html>", 200),
    whole(b"[1]", 200),
    ScriptedResponse(b'{"a":', UpstreamProtocolError("cut"), headers=JSON),
]


@pytest.mark.parametrize("failure", FAILURES, ids=str)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_fails_before_the_first_byte_goes_to_the_next_backend(
    failure: ScriptedResponse | Exception, stream: bool
) -> None:
    answer = ScriptedResponse(STREAM) if stream else whole()
    world = World(ScriptedAgent("a", failure), ScriptedAgent("b", answer))

    reply = await world.ask(stream=stream)

    assert reply.status == 200
    assert reply.selected is not None
    assert reply.selected.backend.name == "b"
    assert reply.selected.reason is RouteReason.BACKEND_FAILOVER
    events, last = world.finished()
    assert [type(event) for event in events if isinstance(event, AttemptFailed)] == [AttemptFailed]
    assert [attempt.backend for attempt in last.attempts] == ["a"]
    if isinstance(failure, ScriptedResponse):
        assert failure.closed


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_other_4xx_pass_on_and_are_not_retried(status: int) -> None:
    world = World(ScriptedAgent("a", whole(b'{"error":{}}', status)), ScriptedAgent("b"))

    reply = await world.ask()

    assert (reply.status, reply.body) == (status, b'{"error":{}}')
    last = world.finished()[1]
    assert (last.failed, last.error_code) == (False, f"upstream_{status}")


async def test_the_last_failure_passes_on_when_nobody_is_left() -> None:
    world = World(ScriptedAgent("a", whole(b"{}", 500)), ScriptedAgent("b", whole(b'{"e":1}', 429)))

    reply = await world.ask()

    assert (reply.status, reply.body) == (429, b'{"e":1}')
    last = world.finished()[1]
    assert (last.failed, last.error_code) == (True, "upstream_429")
    assert [attempt.status for attempt in last.attempts] == [500, 429]


async def test_no_more_backends_are_tried_than_max_retries_allows() -> None:
    agents = [ScriptedAgent(name, whole(b"{}", 500)) for name in "abcd"]
    world = World(*agents)

    await world.ask()

    assert [len(agent.bodies) for agent in agents] == [1, 1, 1, 0]
    world.finished()


async def test_a_refused_key_is_told_in_our_own_words_and_marks_the_backend() -> None:
    world = World(ScriptedAgent("a", whole(b'{"error":"bad key sk-a-key"}', 401)))

    reply = await world.ask()

    assert reply.status == 502
    assert reply.error is not None
    assert reply.error.code == "upstream_auth_failed"
    assert '"a"' in reply.error.message
    assert "sk-a-key" not in reply.error.message
    assert world.registry.snapshot("a").health is HealthStatus.UNHEALTHY
    assert world.registry.snapshot("a").detail == "401: check A_KEY"
    assert world.finished()[1].error_code == reply.error.code


async def test_a_key_is_cut_out_of_what_a_backend_says() -> None:
    body = b'{"error":"you sent sk-a-key"}'
    world = World(ScriptedAgent("a", whole(body, 400)))

    reply = await world.ask()

    assert reply.body == b'{"error":"you sent [key]"}'
    world.finished()


@pytest.mark.parametrize("stream", [False, True])
async def test_a_late_first_byte_fails_over_only_for_streams(stream: bool) -> None:
    server = ServerConfig(first_byte_timeout_seconds=3, request_timeout_seconds=9)
    second = ScriptedAgent("b", ScriptedResponse(STREAM))
    world = World(ScriptedAgent("a", asyncio.Event()), second, server=server)

    reply = await hasten(world.ask(stream=stream), 1)

    assert reply.status == (200 if stream else 504)
    assert len(second.bodies) == (1 if stream else 0)
    world.finished()


async def test_nothing_fails_over_after_the_first_byte() -> None:
    broken = ScriptedResponse(SAID, UpstreamProtocolError("the answer ended early"))
    second = ScriptedAgent("b")
    world = World(ScriptedAgent("a", broken), second)

    reply = await world.ask(stream=True)

    assert reply.status == 200
    assert b"[DONE]" not in reply.body
    assert json.loads(reply.parts[-1][6:])["error"]["code"] == "upstream_error"
    assert reply.is_finished
    assert second.bodies == []
    last = world.finished()[1]
    assert (last.failed, last.error_code) == (True, "upstream_error")
    assert world.stats.backend("a").failures == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_the_upstream_exchange(stream: bool) -> None:
    never = asyncio.Event()
    parts = (SAID, never) if stream else (never,)
    response = ScriptedResponse(*parts)
    world = World(ScriptedAgent("a", response))

    leaving = asyncio.ensure_future(world.ask(stream=stream))
    await settled()
    leaving.cancel()
    await settled()

    assert leaving.cancelled()

    assert response.closed
    last = world.finished()[1]
    assert (last.client_left, last.failed, last.error_code) == (True, False, None)
    assert last.status == (200 if stream else 499)


async def test_a_backend_that_is_full_is_passed_over() -> None:
    gate = asyncio.Event()
    slow = ScriptedResponse(gate, ANSWER, headers=JSON)
    world = World(ScriptedAgent("a", slow), ScriptedAgent("b", whole()))

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        first = tasks.create_task(world.ask())
        await settled()
        second = await world.ask()
        gate.set()

    assert second.selected is not None
    assert (second.selected.backend.name, second.selected.reason) == (
        "b",
        RouteReason.CAPACITY_OVERFLOW,
    )
    assert first.result().status == 200


async def test_ending_all_closes_streams_with_an_error_event() -> None:
    response = ScriptedResponse(SAID, asyncio.Event())
    world = World(ScriptedAgent("a", response))

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        reply = tasks.create_task(world.ask(stream=True))
        await world.events.wait()
        world.forwarder.end_all()
        await world.forwarder.idle()

    error = reply.result().error
    assert error is not None
    assert error.code == "shutting_down"
    assert response.closed
    world.finished()


async def test_what_is_ending_already_can_be_ended_again() -> None:
    closing, may_close = asyncio.Event(), asyncio.Event()

    class SlowToClose(ScriptedResponse):
        async def close(self, *, is_read: bool = False) -> None:
            closing.set()
            await may_close.wait()

    world = World(ScriptedAgent("a", SlowToClose(SAID, asyncio.Event())))

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(world.ask(stream=True))
        await world.events.wait()
        assert world.forwarder.end_backend("a") == 1
        await closing.wait()
        again = world.forwarder.end_zone(PrivacyZone.RESTRICTED)
        world.forwarder.end_all()
        may_close.set()

    assert again == 0
    assert world.finished()[1].failed
