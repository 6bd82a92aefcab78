"""How far a failure reaches, whatever a model, a client or a prompt does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from nexus_core.config.schema import ServerConfig
from nexus_core.providers.base import Call
from nexus_core.types import HealthStatus
from nexus_core.upstream.base import (
    MaySend,
    UpstreamConnectError,
    UpstreamError,
    UpstreamProtocolError,
)
from tests.proxy.fakes import EVENT_STREAM, JSON, RecordingReply, ScriptedResponse
from tests.proxy.test_blame import ask
from tests.proxy.test_forward import ScriptedAgent, World, whole
from tests.waiting import hasten

_SECONDS = 3.0  # of every limit: what is silent is silent for longer

# How a model can fail that says nothing of the account and leaves the server reachable: as bytes,
# so that the judge reads them. ECHO is what the request says.
Mood = str | int
CHUNK = b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n'
BODIES: dict[str, tuple[int, str]] = {
    "no choices": (200, "{}"),
    "empty choices": (200, '{"choices": []}'),
    "an error inside": (200, '{"error": {"message": "Provider returned error", "code": 502}}'),
    "busy inside": (200, '{"error": {"message": "limit: free models per day", "code": 429}}'),
    "echo inside": (200, '{"error": "Error rendering prompt: ECHO"}'),
    "echo with words": (500, '{"error": {"message": "failed on ECHO"}}'),
    "echo as a 400": (400, '{"error": {"message": "bad: ECHO", "type": "BadRequestError"}}'),
    "echo as a 403": (403, '{"code": "permission-denied", "error": "not allowed: ECHO"}'),
    "echo as a 422": (422, '{"detail": [{"loc": ["body"], "msg": "bad", "input": "ECHO"}]}'),
    "echo as a 429": (429, '{"error": {"message": "too much of ECHO"}}'),
    "echo as text": (400, "cannot read ECHO"),
    "flagged": (403, '{"code": "permission-denied", "error": "violates usage guidelines."}'),
    "forbidden": (403, '{"error": {"message": "no access to this model"}}'),
    "a key's 403": (403, '{"error": {"message": "Invalid API key"}}'),  # not without a probe
    "spoilt": (502, '{"error": {"message": "x", "status": "MALFORMED_FUNCTION_CALL"}}'),
    "unread": (200, "<html>"),
}
EVENTS: dict[str, list[bytes]] = {
    "comments": [b": hello\n\n"],
    "an error first": [b'data: {"error": {"message": "ECHO", "code": 500}}\n\n'],
    "busy first": [b": hello\n\n", b'data: {"error": {"message": "ECHO", "code": 429}}\n\n'],
    "an error in the middle": [CHUNK, b'data: {"error": "ECHO"}\n\n', b"data: [DONE]\n\n"],
    "spoilt in the middle": [CHUNK, b'data: {"error": {"type": "MALFORMED_RESPONSE"}}\n\n'],
    "no end": [CHUNK],
    "nothing but an end": [b"data: [DONE]\n\n"],
}
MOODS = st.sampled_from(("well", "broken", "cut", "silent", "slow", *BODIES, *EVENTS))
STATUSES = st.sampled_from((400, 404, 408, 413, 422, 429, 500, 502, 503, 504, 529, 599))
PROMPTS = (
    "the same",
    "another",
    "insufficient balance, payment required",
    "Your credit balance is too low",
    "invalid api key",
    "rate limit of your account and organization",
)


def play(mood: Mood, call: Call) -> ScriptedResponse:
    head = EVENT_STREAM if call.is_streaming else JSON
    said = str(call.request.parsed["messages"][0]["content"])
    match mood:
        case "well" if call.is_streaming:
            return ScriptedResponse(CHUNK, b"data: [DONE]\n\n")
        case "well":
            return whole(b'{"choices":[{"message":{"content":"x"}}]}')
        case "broken":
            raise UpstreamProtocolError("not HTTP")
        case "cut":
            return ScriptedResponse(CHUNK[:20], UpstreamError("cut off"), headers=head)
        case "silent":
            return ScriptedResponse(asyncio.Event(), headers=head)
        case "slow":
            return ScriptedResponse(CHUNK, asyncio.Event(), headers=head)
        case int():
            wait = (("retry-after", "3000"),) if mood == 429 else ()
            return ScriptedResponse(b'{"error":{}}', status=mood, headers=(*JSON, *wait))
    if mood in BODIES:
        status, body = BODIES[mood]
        return ScriptedResponse(body.replace("ECHO", said).encode(), status=status, headers=JSON)
    return ScriptedResponse(*(part.replace(b"ECHO", said.encode()) for part in EVENTS[mood]))


class Moody(ScriptedAgent):
    """Answers the good model well, and the bad one as its moods go, over and over."""

    def __init__(self, name: str, moods: list[Mood]) -> None:
        super().__init__(name)
        self.moods = moods
        self.asked: list[str] = []

    async def send(self, call: Call, may_send: MaySend) -> ScriptedResponse:
        model = call.model.partition("-")[0]
        self.asked.append(model)
        if model == "good":
            return play("well", call)
        return play(self.moods[self.asked.count("bad") % len(self.moods)], call)


@dataclass(frozen=True)
class Ask:
    model: Literal["good", "bad"]
    text: str
    stream: bool


@dataclass(frozen=True)
class Wait:
    seconds: float


ASKS = st.builds(
    Ask,
    model=st.sampled_from(("bad", "bad", "bad", "good")),
    text=st.sampled_from(PROMPTS),
    stream=st.booleans(),
)
WAITS = st.builds(Wait, st.sampled_from((0.5, 6.0, 400.0)))
SCRIPTS = st.lists(MOODS | STATUSES, min_size=1, max_size=5)


def world_of(*scripts: list[Mood]) -> World:
    limits = ServerConfig(
        request_timeout_seconds=_SECONDS * 10,
        first_byte_timeout_seconds=_SECONDS,
        idle_timeout_seconds=_SECONDS,
    )
    agents = [Moody(name, script) for name, script in zip("ab", scripts, strict=False)]
    return World(*agents, server=limits, max_concurrent=None, models=("good", "bad"))


def names(reply: RecordingReply) -> tuple[int | None, str | None]:
    return reply.status, reply.selected.backend.name if reply.selected else None


@settings(deadline=None)
@given(
    scripts=st.lists(SCRIPTS, min_size=1, max_size=2),
    steps=st.lists(ASKS | WAITS, min_size=1, max_size=25),
)
def test_whatever_one_model_does_another_one_of_the_backend_loses_nothing(
    scripts: list[list[Mood]], steps: list[Ask | Wait]
) -> None:
    async def run() -> None:
        world = world_of(*scripts)
        for step in steps:
            if isinstance(step, Wait):
                world.time += step.seconds
                continue
            reply = await hasten(ask(world, step.text, step.model, stream=step.stream), _SECONDS)
            if step.model == "good":
                assert names(reply) == (200, "a")  # the first choice, and at once
        last = await ask(world, "the last", "good")

        assert names(last) == (200, "a")
        for backend in world.registry.snapshots():
            assert backend.cooldown is None
            assert backend.health is HealthStatus.UNKNOWN
            assert set(backend.cooldowns) <= {f"bad-at-{backend.name}"}

    asyncio.run(run())


@settings(deadline=None)
@given(
    moods=st.lists(st.sampled_from(("unread", "broken", "cut", "silent", 500, 502)), min_size=1),
    streams=st.lists(st.booleans(), min_size=1, max_size=20),
    count=st.sampled_from((1, 2)),
)
def test_one_prompt_never_takes_the_model_from_others(
    moods: list[Mood], streams: list[bool], count: int
) -> None:
    """It fails wherever it is sent, and is sent again and again; its bytes are the same."""

    async def run() -> None:
        world = world_of(*[moods] * count)
        for stream in streams:
            # Two forms of it are two requests, and no row: see FAILURES_TO_OPEN.
            await hasten(ask(world, "poison", "bad", stream=stream), _SECONDS)
        for agent in world.agents.values():
            assert isinstance(agent, Moody)
            agent.moods = ["well"]
        good = await ask(world, "harmless", "bad")

        assert good.status == 200
        if count == 1:
            assert names(good) == (200, "a")

    asyncio.run(run())


class Unreachable(Moody):
    async def send(self, call: Call, may_send: MaySend) -> ScriptedResponse:
        raise UpstreamConnectError("connection refused")


@given(first=st.sampled_from(("good", "bad")), second=st.sampled_from(("good", "bad")))
def test_a_backend_that_can_not_be_reached_costs_all_its_models_one_attempt(
    first: str, second: str
) -> None:
    async def run() -> None:
        world = World(
            Unreachable("a", ["well"]),
            Moody("b", ["well"]),
            max_concurrent=None,
            models=("good", "bad"),
        )

        replies = [await ask(world, "hello", model) for model in (first, second)]

        assert [names(reply) for reply in replies] == [(200, "b")] * 2
        assert world.stats.backend("a").attempts == 1

    asyncio.run(run())
