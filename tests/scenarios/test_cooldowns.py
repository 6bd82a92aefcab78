"""How far a failure reaches over real sockets, and every way in which a cooldown ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from nexus_core.config.schema import QueueConfig
from nexus_core.control.config_file import ConfigControl
from nexus_core.fleet.circuit import FAILURES_TO_OPEN
from nexus_core.observe.events import CooldownBegan, CooldownEnded
from nexus_core.types import CooldownEnd, HealthStatus
from tests.contract.bodies import chat
from tests.contract.scripted_upstream import NO_MODELS, Exchange, Script, ScriptedUpstream, answers
from tests.scenarios.nexus import (
    CHAT,
    Nexus,
    backend,
    cloud,
    error_of,
    in_turn,
    running,
    say,
    told,
    upstreams,
)
from tests.scenarios.test_circuit import OOPS, dead_port, fail
from tests.waiting import pass_time, until

BOTH = ("m", "n")


def busy(seconds: int) -> Script:
    return answers({"error": {"message": "slow"}}, 429, headers=[("Retry-After", str(seconds))])


def by_model(scripts: dict[str, Script]) -> Script:
    async def script(exchange: Exchange) -> None:
        await scripts[json.loads(exchange.body)["model"]](exchange)

    return script


# How far it reaches -------------------------------------------------------------------------------


# What servers really say of one model. Rate limits are per model at OpenAI and Google:
# https://platform.openai.com/docs/api-reference/project-rate-limits
# https://ai.google.dev/gemini-api/docs/rate-limits
OF_ONE_MODEL = {
    "a 429": busy(30),
    "a 429 that does not say how long": answers({"error": {"message": "slow"}}, 429),
    "a 500": OOPS,
    # https://github.com/ollama/ollama: one model is too big, the others are well
    "Ollama: no memory": answers(
        {"error": {"message": "model requires more system memory (7.5 GiB) than is available"}}, 500
    ),
    "Gemini: the quota of one model": answers(
        {"error": {"code": 429, "message": "Quota exceeded", "status": "RESOURCE_EXHAUSTED"}}, 429
    ),
    "llama-swap: the model's process did not start": answers(b"unable to start process", 502),
    "vLLM: the engine of the model died": answers(
        {"error": {"message": "EngineCore encountered an issue", "code": 500}}, 500
    ),
    "Anthropic: one model is overloaded": answers(
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, 529
    ),
}


@pytest.mark.parametrize("script", OF_ONE_MODEL.values(), ids=OF_ONE_MODEL.keys())
async def test_one_model_that_fails_leaves_the_others_of_its_backend_alone(script: Script) -> None:
    async with (
        upstreams(by_model({"m": script, "n": say})) as (only,),
        running(backend("only", only.url, models=BOTH)) as nexus,
    ):
        await fail(nexus, FAILURES_TO_OPEN)
        refused, other = await nexus.ask(), await nexus.ask("n")

    assert refused.status_code == 503
    assert error_of(refused)["code"] == "capacity_exceeded"
    assert "cooldown of m" in error_of(refused)["message"]
    assert told(other) == (200, "only", "capability-match")


# A provider's word on the request itself. In LiteLLM such an answer has cooled down the only
# deployment of a model: https://github.com/BerriAI/litellm/issues/5225
OF_THE_REQUEST = {
    "Azure: the content filter": (
        400,
        {"error": {"message": "The response was filtered", "code": "content_filter"}},
    ),
    "DeepSeek: the pairing of tool calls": (
        400,
        {"error": {"message": "Messages with role 'tool' must be a response to a preceding one"}},
    ),
    "vLLM: too long a prompt": (
        400,
        {"error": {"message": "This model's maximum context length is 4096 tokens", "code": 400}},
    ),
    "OpenAI: no such model": (404, {"error": {"message": "", "code": "model_not_found"}}),
    "Mistral: a bad schema": (422, {"detail": [{"msg": "Field required"}]}),
}


@pytest.mark.parametrize(("status", "body"), OF_THE_REQUEST.values(), ids=OF_THE_REQUEST.keys())
async def test_what_is_wrong_with_a_request_counts_against_nobody(
    status: int, body: dict[str, Any]
) -> None:
    async def script(exchange: Exchange) -> None:
        is_wrong = "user" in json.loads(exchange.body)
        await (answers(body, status) if is_wrong else say)(exchange)

    async with upstreams(script) as (only,), running(backend("only", only.url)) as nexus:
        wrong = [(await nexus.ask(user=f"user {n}")).status_code for n in range(6)]
        good = told(await nexus.ask())

    assert wrong == [status] * 6
    assert good == (200, "only", "capability-match")


# Servers repeat what they were sent in what they say of it: vLLM's validation errors hold the
# input, LM Studio's and llama.cpp's errors the template with the prompt in it.
PHRASES = (
    "insufficient balance, payment required",
    "Your credit balance is too low",
    "too many requests of this account",
    "invalid api key",
)
ECHOES: dict[str, tuple[int, Callable[[str], Any]]] = {
    "vLLM": (400, lambda said: {"error": {"message": f"input_value='{said}'", "code": 400}}),
    "LM Studio": (200, lambda said: {"error": f"Error rendering prompt: {said}"}),
    "xAI": (403, lambda said: {"code": "permission-denied", "error": f"not allowed: {said}"}),
    "a limit": (429, lambda said: {"error": {"message": f"too much: {said}"}}),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("phrase", PHRASES)
@pytest.mark.parametrize(("status", "echo"), ECHOES.values(), ids=ECHOES)
async def test_a_prompt_that_is_repeated_in_an_error_says_nothing_of_the_backend(
    status: int, echo: Callable[[str], Any], phrase: str, stream: bool
) -> None:
    async def script(exchange: Exchange) -> None:
        said = json.loads(exchange.body)["messages"][0]["content"]
        await answers(echo(said), status)(exchange)

    escaped = "".join(f"\\u{ord(char):04x}" for char in phrase)
    async with (
        upstreams(by_model({"m": script, "n": say})) as (only,),
        running(cloud("only", only.url, models=BOTH)) as nexus,
    ):
        for said in (json.dumps(phrase), f'"{escaped}"'):
            messages = f'[{{"role": "user", "content": {said}}}]'
            body = f'{{"model": "m", "stream": {json.dumps(stream)}, "messages": {messages}}}'
            await nexus.http.post(CHAT, content=body, headers={"Content-Type": "application/json"})
            if status == 429:
                nexus.clock.seconds += 2  # the model itself has to wait
        other = await nexus.ask("n")
        cooldowns = nexus.backend("only").cooldowns

    assert told(other) == (200, "only", "capability-match")
    assert len(only.received) == 3
    assert status == 429 or not cooldowns


REFUSES = answers({"error": {"message": "Invalid API key"}}, 403)


@pytest.mark.parametrize("is_refused", [False, True])
async def test_after_a_403_a_probe_says_whether_it_was_the_key(is_refused: bool) -> None:
    async with (
        upstreams(in_turn(REFUSES, say), say) as (first, second),
        running(
            cloud("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        await first.wait_for_probes(1)
        first.listing = REFUSES if is_refused else first.listing
        refused = await nexus.ask()
        await first.wait_for_probes(2)
        await until(lambda: (nexus.backend("first").health is HealthStatus.UNHEALTHY) == is_refused)
        again = await nexus.ask()

    assert told(refused) == (200, "second", "backend-failover")
    assert told(again)[1] == ("second" if is_refused else "first")


async def test_the_wait_that_a_client_is_told_is_that_of_its_model() -> None:
    async with (
        upstreams(by_model({"m": busy(30), "n": busy(12)})) as (only,),
        running(backend("only", only.url, models=BOTH)) as nexus,
    ):
        for model in BOTH:
            await nexus.ask(model)
        refused = [await nexus.ask(model) for model in BOTH]

    assert [answer.headers["retry-after"] for answer in refused] == ["30", "12"]
    contexts = [error_of(answer)["context"] for answer in refused]
    assert [context["eta_seconds"] for context in contexts] == [30, 12]
    assert [one["status"] for context in contexts for one in context["available_backends"]] == [
        "at_capacity"
    ] * 2


async def test_a_name_for_the_same_upstream_model_shares_its_cooldown() -> None:
    names = {"m": "big", "n": "big", "other": "small"}
    async with (
        upstreams(by_model({"big": busy(30), "small": say})) as (only,),
        running(backend("only", only.url, models=names)) as nexus,
    ):
        await nexus.ask("m")
        asked = [(await nexus.ask(model)).status_code for model in names]

    assert asked == [503, 503, 200]
    assert len(only.received) == 2


async def test_a_backend_that_can_not_be_reached_costs_one_attempt_for_all_its_models() -> None:
    async with upstreams(say) as (second,):
        with dead_port(answers_syn=True) as dead:
            async with running(
                backend("dead", dead, priority=90, models=BOTH),
                backend("second", second.url, priority=10, models=BOTH),
            ) as nexus:
                asked = [told(await nexus.ask(model))[1] for model in BOTH * 3]

    assert asked == ["second"] * 6
    assert nexus.gateway.stats.backend("dead").attempts == 1


async def test_a_prompt_that_fails_everywhere_takes_the_model_from_nobody() -> None:
    async def poisoned(exchange: Exchange) -> None:
        is_poison = json.loads(exchange.body).get("user") == "poison"
        await (OOPS if is_poison else say)(exchange)

    async with (
        upstreams(poisoned, poisoned) as (first, second),
        running(
            backend("first", first.url, priority=90), backend("second", second.url, priority=10)
        ) as nexus,
    ):
        poison = [(await nexus.ask(user="poison")).status_code for _ in range(8)]
        good = told(await nexus.ask())

    assert poison == [500] * 8
    assert good == (200, "first", "capability-match")


async def test_a_trial_of_one_model_does_not_hold_up_another_one() -> None:
    async with (
        upstreams(by_model({"m": OOPS, "n": say})) as (only,),
        running(backend("only", only.url, models=BOTH)) as nexus,
    ):
        await fail(nexus, FAILURES_TO_OPEN)
        nexus.clock.seconds += 6
        nexus.gateway.registry.acquire("only", "m")
        beside = [(await nexus.ask(model)).status_code for model in ("n", "m", "n")]
        nexus.gateway.registry.release("only", "m")

    assert beside == [200, 503, 200]


# How it ends --------------------------------------------------------------------------------------


@asynccontextmanager
async def cooling(**sections: Any) -> AsyncIterator[tuple[Nexus, ScriptedUpstream]]:
    """A backend of which one model has a cooldown for an hour, and which is well again."""
    async with (
        upstreams(in_turn(busy(3600), say)) as (only,),
        running(cloud("only", only.url), **sections) as nexus,
    ):
        nexus.gateway.operator.configuration = ConfigControl(
            nexus.gateway, lambda _: nexus.gateway.config, {}
        )
        assert (await nexus.ask()).status_code == 429
        asked = nexus.start()
        if "queue" in sections:
            await until(lambda: nexus.gateway.queued == 1)
            pass_time(sections["queue"].max_wait_seconds)
        assert (await asked).status_code == 503
        yield nexus, only


async def by_api(nexus: Nexus) -> None:
    told = await nexus.switch("backends/only", cooldown=False)
    assert told["message"] == "only: 1 cooldown ended"
    assert told["backend"]["cooldowns"] == {}
    assert "lasts" not in told


async def by_probe(nexus: Nexus) -> None:
    told = await nexus.switch("backends/only/probe")
    assert "1 cooldown ended" in told["message"]


async def by_off_and_on(nexus: Nexus) -> None:
    await nexus.switch("backends/only", enabled=False)
    await nexus.switch("backends/only", enabled=True)


async def by_zone_off_and_on(nexus: Nexus) -> None:
    await nexus.switch("zones/open", enabled=False)
    await nexus.switch("zones/open", enabled=True)


async def by_reload_of_the_same(nexus: Nexus) -> None:
    told = await nexus.switch("reload")
    assert told["message"].endswith("nothing changes; cooldowns ended: 1")


async def by_reload(nexus: Nexus) -> None:
    routing = nexus.gateway.config.routing.model_copy(update={"max_retries": 1})
    nexus.gateway.reload(nexus.gateway.config.model_copy(update={"routing": routing}))


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (by_api, CooldownEnd.CLEARED),
        (by_probe, CooldownEnd.CLEARED),
        (by_off_and_on, CooldownEnd.SWITCHED),
        (by_zone_off_and_on, CooldownEnd.SWITCHED),
        (by_reload_of_the_same, CooldownEnd.RELOADED),
        (by_reload, CooldownEnd.RELOADED),
    ],
)
async def test_an_operator_ends_a_cooldown(
    end: Callable[[Nexus], Awaitable[None]], cause: CooldownEnd
) -> None:
    async with cooling() as (nexus, _):
        await end(nexus)
        answer = await nexus.ask()
        events = nexus.events()

    assert told(answer)[:2] == (200, "only")
    began = [event for event in events if isinstance(event, CooldownBegan)]
    ended = [event for event in events if isinstance(event, CooldownEnded)]
    assert [(one.backend, one.model, one.seconds) for one in began] == [("only", "m", 3600)]
    assert [(one.backend, one.model, one.cause) for one in ended] == [("only", "m", cause)]


async def test_who_waits_is_served_when_an_operator_ends_the_cooldown() -> None:
    async with cooling(queue=QueueConfig(enabled=True, max_wait_seconds=5)) as (nexus, _):
        waiting = await nexus.start_waiting(1)
        await by_api(nexus)
        answer = await waiting

    assert told(answer)[:2] == (200, "only")


async def test_a_probe_that_fails_ends_nothing() -> None:
    async with cooling() as (nexus, only):
        only.listing = answers("loading", 503)
        probed = await nexus.switch("backends/only/probe")
        answer = await nexus.ask()

    assert not probed["ok"]
    assert answer.status_code == 503


async def test_a_health_check_leaves_alone_what_the_backend_asked_for() -> None:
    async with cooling() as (nexus, _):
        await nexus.gateway.health.probe("only")
        answer = await nexus.ask()

    assert answer.status_code == 503


async def test_a_server_that_came_back_behind_its_proxy_is_used_at_once_too() -> None:
    gone, is_up = answers(b"bad gateway", 502), False

    async def chats(exchange: Exchange) -> None:
        await (say if is_up else gone)(exchange)

    async with upstreams(chats) as (only,), running(backend("only", only.url)) as nexus:
        only.listing = gone
        await fail(nexus, FAILURES_TO_OPEN)
        for seconds in (6, 11, 21):  # its trials fail as well
            nexus.clock.seconds += seconds
            await nexus.ask(user=f"trial after {seconds}")
        away = await nexus.ask()
        await nexus.gateway.health.probe("only")
        only.listing, is_up = NO_MODELS, True
        await nexus.gateway.health.probe("only")
        back = await nexus.ask()

    assert away.status_code == 503
    assert told(back)[:2] == (200, "only")


async def test_a_server_that_came_back_is_used_as_soon_as_a_probe_says_so() -> None:
    async with upstreams(say) as (first,):
        url = first.url
    # Closed: nobody listens there now.
    async with running(backend("first", url)) as nexus:
        down, away = await nexus.ask(), await nexus.ask()
        async with ScriptedUpstream(port=int(url.rpartition(":")[2])) as again:
            again.script = say
            still_away = await nexus.ask()
            await nexus.gateway.health.probe("first")  # as the health checks do at their interval
            back = await nexus.ask()

    assert (down.status_code, away.status_code, still_away.status_code) == (502, 503, 503)
    assert "cooldown" in error_of(away)["message"]
    assert told(back) == (200, "first", "capability-match")
    causes = [event.cause for event in nexus.events() if isinstance(event, CooldownEnded)]
    assert causes == [CooldownEnd.PROBED]


# How it shows -------------------------------------------------------------------------------------


async def test_state_and_stats_tell_of_it() -> None:
    async with cooling() as (nexus, _):
        nexus.clock.seconds += 100
        state = (await nexus.http.get("/nexus/state")).json()
        stats = (await nexus.http.get("/v1/stats")).json()

    expected = {
        "seconds": pytest.approx(3500),
        "why": "answered 429",
        "is_circuit_open": False,
        "is_tried": False,
    }
    (listed,) = state["backends"]
    assert listed["cooldown"] is None
    assert listed["cooldowns"] == stats["backends"]["only"]["cooldowns"] == {"m": expected}


async def test_the_event_stream_tells_of_it() -> None:
    async with cooling() as (nexus, _):
        await by_api(nexus)
        kinds: list[str] = []
        since = {"Last-Event-ID": f"{nexus.gateway.event_log.run}-0"}
        async with nexus.http.stream("GET", "/nexus/events", headers=since) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: {") and "Cooldown" in line:
                    kinds.append(json.loads(line.removeprefix("data: "))["type"])
                if len(kinds) == 2:
                    break

    assert kinds == ["CooldownBegan", "CooldownEnded"]


async def test_explain_says_what_keeps_the_request_away_and_when_it_ends() -> None:
    async with cooling() as (nexus, _):
        told = (await nexus.http.post("/nexus/explain", json=chat("m"))).json()

    (stage,) = [one for one in told["models"][0]["stages"] if one["stage"] == "cooldown"]
    (dropped,) = stage["dropped"]
    assert dropped == {"backend": "only", "why": "cooldown of m, 3600 s more: answered 429"}
    assert "only: its cooldown over, in 3600 s → only, capability-match" in told["would_change"]
