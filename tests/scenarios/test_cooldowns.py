"""How far a failure reaches over real sockets, and every way in which a cooldown ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from nexus_core.fleet.circuit import FAILURES_TO_OPEN
from nexus_core.types import HealthStatus
from tests.contract.scripted_upstream import Exchange, Script, answers
from tests.scenarios.nexus import (
    CHAT,
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
from tests.waiting import until

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
