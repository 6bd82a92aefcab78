"""What each kind of failure says, and of whom: attempts of scripted agents, without sockets."""

from __future__ import annotations

import asyncio
import json
from copy import copy

import pytest

from nexus_core.config.schema import ServerConfig
from nexus_core.dialects.openai_chat.dialect import OPENAI_CHAT
from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.errors import UpstreamFailedError
from nexus_core.fleet.circuit import FAILURES_TO_OPEN, SHARED_FAILURES_TO_OPEN
from nexus_core.proxy.exchange import AttemptFailedError, Failure
from nexus_core.proxy.judge.fault import FailureKind
from nexus_core.proxy.reply import ProxyRequest
from nexus_core.routing.requirements import Requirements
from nexus_core.types import HealthStatus, Operation
from nexus_core.upstream.base import Headers, UpstreamProtocolError
from tests.proxy.fakes import JSON, RecordingReply, ScriptedResponse
from tests.proxy.test_forward import ScriptedAgent, World, whole
from tests.waiting import hasten, until

WAIT: Headers = (("retry-after", "30"),)
FOREVER = 1000


def failed(kind: FailureKind, headers: Headers = ()) -> AttemptFailedError:
    error = UpstreamFailedError("it failed")
    status = 403 if kind is FailureKind.FORBIDDEN else 500
    return AttemptFailedError(Failure("it failed", error, status, kind, headers))


def agent(name: str, *script: ScriptedResponse | Exception) -> ScriptedAgent:
    """The script, and its last step for ever."""
    last = script[-1]
    fresh = [last if isinstance(last, Exception) else copy(last) for _ in range(FOREVER)]
    return ScriptedAgent(name, *script, *fresh)


async def ask(
    world: World, text: str = "hello", model: str = "m", *, stream: bool = False
) -> RecordingReply:
    messages = [{"role": "user", "content": text}]
    body = {"model": model, "stream": stream, "messages": messages}
    read = read_request(Operation.CHAT, json.dumps(body).encode(), f"r{text}")
    reply = RecordingReply()
    await world.forwarder.forward(
        ProxyRequest(
            envelope=read,
            dialect=OPENAI_CHAT,
            need=Requirements(model, (model,)),
            client=None,
            headers=(),
            received=0.0,
        ),
        reply,
    )
    return reply


def away(world: World, name: str) -> tuple[float, dict[str, float]]:
    """For how long requests keep away from the whole backend, and from which models."""
    backend = world.registry.snapshot(name)
    whole = backend.cooldown.seconds(world.time) if backend.cooldown else 0.0
    return whole, {model: one.seconds(world.time) for model, one in backend.cooldowns.items()}


NOBODY: tuple[float, dict[str, float]] = (0.0, {})


@pytest.mark.parametrize(
    ("kind", "headers", "expected", "note"),
    [
        (FailureKind.FAILED, (), NOBODY, None),  # one alone is no row
        (FailureKind.UNREACHABLE, (), (5.0, {}), "it failed"),
        (FailureKind.BUSY, WAIT, (0.0, {"m-at-a": 30.0}), "it failed"),
        (FailureKind.BUSY, (), (0.0, {"m-at-a": 1.0}), "it failed"),
        (FailureKind.ACCOUNT_BUSY, WAIT, (30.0, {}), "it failed, for the whole account"),
        (FailureKind.NO_CREDIT, (), (60.0, {}), "the account has no credit: it failed"),
        (FailureKind.NO_CREDIT, WAIT, (60.0, {}), "the account has no credit: it failed"),
        (FailureKind.REFUSED_KEY, (), NOBODY, None),
        (FailureKind.FORBIDDEN, (), NOBODY, None),
        (FailureKind.REFUSED_CONTENT, (), NOBODY, None),
        (FailureKind.NOT_SENT, (), NOBODY, None),
    ],
)
async def test_each_kind_reaches_what_it_speaks_of(
    kind: FailureKind,
    headers: Headers,
    expected: tuple[float, dict[str, float]],
    note: str | None,
) -> None:
    world = World(agent("a", failed(kind, headers)), agent("b", whole()))

    await ask(world)

    assert away(world, "a") == expected
    backend = world.registry.snapshot("a")
    assert [one.why for one in backend.cooldowns_of("m-at-a")] == ([note] if note else [])
    is_refused = kind is FailureKind.REFUSED_KEY
    assert (backend.health is HealthStatus.UNHEALTHY) == is_refused
    assert world.doubted == (["a"] if kind is FailureKind.FORBIDDEN else [])


@pytest.mark.parametrize("words", ["Invalid API key", "flagged by moderation", "no credits", ""])
async def test_a_403_asks_for_a_probe_and_takes_nobody_out_before_whatever_its_words(
    words: str,
) -> None:
    body = json.dumps({"error": {"message": words}}).encode()
    world = World(agent("a", ScriptedResponse(body, status=403, headers=JSON)), agent("b", whole()))

    await ask(world)

    assert away(world, "a") == NOBODY
    assert world.registry.snapshot("a").health is HealthStatus.UNKNOWN
    assert world.doubted == ["a"]


async def test_a_credit_cooldown_outlasts_answers_that_were_under_way() -> None:
    world = World(agent("a", failed(FailureKind.NO_CREDIT)), agent("b", whole()))
    await ask(world)

    world.registry.cooldowns.begin("a", "m-at-a")
    world.registry.cooldowns.succeed("a", "m-at-a")

    assert away(world, "a") == (60.0, {})


FAILS = failed(FailureKind.FAILED)


async def test_failures_that_another_backend_makes_good_count_against_the_first() -> None:
    world = World(agent("a", FAILS), agent("b", whole()))

    served = [(await ask(world)).selected for _ in range(FAILURES_TO_OPEN + 2)]

    assert away(world, "a") == (0.0, {"m-at-a": 5.0})
    assert len(world.agents["a"].bodies) == FAILURES_TO_OPEN
    assert {one and one.backend.name for one in served} == {"b"}


@pytest.mark.parametrize("same", [True, False], ids=["one prompt", "many prompts"])
async def test_a_request_that_fails_on_two_backends_counts_against_nobody(same: bool) -> None:
    world = World(agent("a", FAILS), agent("b", FAILS))

    for number in range(10):
        await ask(world, "poison" if same else f"poison {number}")

    assert away(world, "a") == away(world, "b") == NOBODY


async def test_where_a_third_one_answers_it_takes_many_such_requests() -> None:
    world = World(agent("a", FAILS), agent("b", FAILS), agent("c", whole()))
    for number in range(SHARED_FAILURES_TO_OPEN - 1):
        await ask(world, str(number))
    before = away(world, "a"), away(world, "b")

    await ask(world, "last")

    assert before == (NOBODY, NOBODY)
    assert (away(world, "a")[1], away(world, "b")[1]) == ({"m-at-a": 5.0}, {"m-at-b": 5.0})


async def test_one_prompt_that_the_only_backend_fails_on_counts_once() -> None:
    world = World(agent("a", FAILS))

    statuses = [(await ask(world, "poison")).status for _ in range(20)]

    assert set(statuses) == {502}
    assert away(world, "a") == NOBODY


async def test_different_prompts_that_the_only_backend_fails_on_open_its_circuit() -> None:
    world = World(agent("a", FAILS))

    for number in range(FAILURES_TO_OPEN):
        await ask(world, f"prompt {number}")

    assert away(world, "a") == (0.0, {"m-at-a": 5.0})
    refused = await ask(world)
    assert refused.status == 503


async def test_a_poisonous_prompt_as_the_trial_leaves_the_next_one_to_try() -> None:
    world = World(agent("a", *[FAILS] * (FAILURES_TO_OPEN + 1), whole()))
    for number in range(FAILURES_TO_OPEN):
        await ask(world, f"prompt {number}")
    world.time += 6

    poison = await ask(world, "prompt 0")
    good = await ask(world, "another")

    assert (poison.status, good.status) == (502, 200)
    assert away(world, "a") == NOBODY


@pytest.mark.parametrize(
    "second",
    [whole(b'{"error":{"message":"bad prompt"}}', 400), failed(FailureKind.REFUSED_CONTENT)],
    ids=["a 400 that passes", "refused content"],
)
async def test_what_another_backend_calls_wrong_counts_against_nobody(
    second: ScriptedResponse | Exception,
) -> None:
    world = World(agent("a", FAILS), agent("b", second))

    for number in range(10):
        await ask(world, str(number))

    assert away(world, "a") == away(world, "b") == NOBODY


async def test_an_error_that_passes_on_does_not_end_a_row_of_failures() -> None:
    """It shows that the server answers, not that the model does."""
    bad = whole(b'{"error":{}}', 400)
    world = World(agent("a", FAILS, FAILS, bad, FAILS), agent("b", whole()))

    for number in range(4):
        await ask(world, str(number))

    assert away(world, "a") == (0.0, {"m-at-a": 5.0})


def breaks() -> ScriptedResponse:
    return ScriptedResponse(b'data: {"choices":[{}]}\n\n', UpstreamProtocolError("cut off"))


async def test_broken_streams_count_against_their_model() -> None:
    world = World(agent("a", breaks()), agent("b", whole()))

    for _ in range(FAILURES_TO_OPEN):
        await ask(world, stream=True)

    assert away(world, "a") == (0.0, {"m-at-a": 5.0})


async def test_one_prompt_that_breaks_every_stream_of_the_only_backend_counts_once() -> None:
    world = World(agent("a", breaks()))

    for _ in range(10):
        await ask(world, "poison", stream=True)

    assert away(world, "a") == NOBODY


async def test_a_stream_that_goes_silent_counts_against_its_model() -> None:
    silent = ScriptedResponse(b'data: {"choices":[{}]}\n\n', asyncio.Event())
    server = ServerConfig(idle_timeout_seconds=3)
    world = World(agent("a", silent), agent("b", whole()), server=server)

    for _ in range(FAILURES_TO_OPEN):
        await hasten(ask(world, stream=True), 1)

    assert away(world, "a") == (0.0, {"m-at-a": 5.0})


@pytest.mark.parametrize("stream", [True, False])
async def test_only_a_stream_says_when_it_begins(stream: bool) -> None:
    """A whole answer has the request's time-out only: a slow one is no failure of the backend."""
    never = ScriptedResponse(asyncio.Event(), headers=JSON)
    server = ServerConfig(request_timeout_seconds=5, first_byte_timeout_seconds=9)
    world = World(agent("a", never), agent("b", whole()), server=server)

    for _ in range(FAILURES_TO_OPEN):
        await hasten(ask(world, stream=stream), 1)

    assert away(world, "a") == ((0.0, {"m-at-a": 5.0}) if stream else NOBODY)


async def test_a_client_that_leaves_settles_what_had_failed_by_then() -> None:
    world = World(agent("a", FAILS), agent("b", ScriptedResponse(asyncio.Event(), headers=JSON)))

    for number in range(FAILURES_TO_OPEN):
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            task = tasks.create_task(ask(world, str(number)))
            await until(lambda: world.registry.snapshot("b").in_flight == 1)
            task.cancel()

    assert away(world, "a") == (0.0, {"m-at-a": 5.0})


async def test_an_answer_counts_what_failed_before_it_while_it_is_still_under_way() -> None:
    """Else every request during a long stream would lose an attempt at the failed backend."""
    gate = asyncio.Event()
    stream = ScriptedResponse(b'data: {"choices":[{}]}\n\n', gate)
    world = World(agent("a", FAILS), agent("b", stream), max_concurrent=9)

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        for number in range(FAILURES_TO_OPEN):
            tasks.create_task(ask(world, str(number), stream=True))
        await until(lambda: bool(away(world, "a")[1]))
        gate.set()
