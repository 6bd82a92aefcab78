"""Limits of created client keys over real sockets: how much, how it is refused, who knows it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anthropic
import openai
import pytest

from nexus_core.config.schema import (
    BudgetConfig,
)
from tests.contract.bodies import chat
from tests.scenarios.client_keys import (
    AUTH,
    MODELS,
    JumpingClock,
    asked,
    bearer,
    command,
    create,
    served,
    shown,
)
from tests.scenarios.money import costs, priced
from tests.scenarios.nexus import (
    CHAT,
    Gate,
    backend,
    cloud,
    error_of,
    say,
    upstreams,
)
from tests.waiting import until

# How much it may use ------------------------------------------------------------------------------


REQUESTS = {
    CHAT: chat(MODELS[0]),
    "/v1/responses": {"model": MODELS[0], "input": "hi"},
    "/v1/messages": {
        "model": MODELS[0],
        "max_tokens": 5,
        "messages": [{"role": "user", "content": "hi"}],
    },
    "/api/chat": {"model": MODELS[0], "messages": [{"role": "user", "content": "hi"}]},
    f"/v1beta/models/{MODELS[0]}:generateContent": {"contents": [{"parts": [{"text": "hi"}]}]},
}


def words_of(path: str, body: dict[str, Any]) -> tuple[str, str]:
    """The message of an error, and how its API calls the kind of it."""
    error = body["error"]
    if path.startswith("/api/"):
        return str(error), "rate_limit_exceeded"
    if path.startswith("/v1beta/"):
        return error["message"], error["status"]
    if path == "/v1/messages":
        return error["message"], error["type"]
    return error["message"], error["code"]


async def test_over_its_requests_a_minute_every_api_says_so_with_a_true_wait() -> None:
    async with served() as (nexus, upstream):
        key = bearer(await create(nexus, rpm=1))
        assert (await nexus.ask(MODELS[0], headers=key)).status_code == 200
        nexus.clock.seconds += 20.5

        for path, body in REQUESTS.items():
            answer = await nexus.http.post(path, json=body, headers=key)

            assert answer.status_code == 429, path
            assert answer.headers["retry-after"] == "40"
            message, kind = words_of(path, answer.json())
            assert "1 requests a minute" in message
            assert kind in {"rate_limit_exceeded", "rate_limit_error", "RESOURCE_EXHAUSTED"}
        assert asked(upstream) == 1
        nexus.clock.seconds += 39
        assert (await nexus.ask(MODELS[0], headers=key)).status_code == 429
        nexus.clock.seconds += 1
        assert (await nexus.ask(MODELS[0], headers=key)).status_code == 200


async def test_a_limit_is_changed_for_the_next_request() -> None:
    async with served() as (nexus, _):
        key = bearer(await create(nexus, rpm=1))
        await nexus.ask(MODELS[0], headers=key)
        assert (await nexus.ask(MODELS[0], headers=key)).status_code == 429

        await command(nexus, "laptop", rpm=None)

        assert (await nexus.ask(MODELS[0], headers=key)).status_code == 200


async def test_tokens_are_estimated_before_and_settled_after() -> None:
    async with served(script=costs(300, 100)) as (nexus, _):
        key = bearer(await create(nexus, tpm=1000))
        assert (await nexus.ask(MODELS[0], headers=key)).status_code == 200
        used = (await shown(nexus))["used"]
        assert (used["tokens_this_minute"], used["tpm_used"]) == (400, 400)
        await nexus.ask(MODELS[0], headers=key)
        await nexus.ask(MODELS[0], headers=key)

        refused = await nexus.ask(MODELS[0], headers=key)

        assert refused.status_code == 429
        assert "1000 tokens a minute" in error_of(refused)["message"]
        wait = int(refused.headers["retry-after"])
        nexus.clock.seconds += wait
        assert (await nexus.ask(MODELS[0], headers=key)).status_code == 200


async def test_a_request_that_nobody_served_gives_its_tokens_back() -> None:
    async with served() as (nexus, _):
        key = bearer(await create(nexus, tpm=1000))

        failed = await nexus.ask("nobody", headers=key)

        assert failed.status_code == 404
        assert (await shown(nexus))["used"]["tpm_used"] == 0


async def test_over_its_requests_at_a_time_is_refused_and_not_queued() -> None:
    gate = Gate()
    async with served(script=gate) as (nexus, upstream):
        key = bearer(await create(nexus, parallel=2))
        first = [nexus.start(MODELS[0], headers=key, stream=stream) for stream in (True, False)]
        await until(lambda: asked(upstream) == 2)
        assert (await shown(nexus))["used"]["under_way"] == 2

        refused = await nexus.ask(MODELS[0], headers=key)

        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        gate.open()
        assert [(await one).status_code for one in first] == [200, 200]
        assert (await nexus.ask(MODELS[0], headers=key)).status_code == 200
        assert (await shown(nexus))["used"]["under_way"] == 0


async def test_who_leaves_and_who_fails_leaves_no_place_taken() -> None:
    gate = Gate()
    async with served(script=gate) as (nexus, upstream):
        key = bearer(await create(nexus, parallel=3))
        for _ in range(20):
            before = len(upstream.received)
            left = [nexus.start(MODELS[0], headers=key, stream=bool(i % 2)) for i in range(3)]
            await upstream.wait_for_requests(before + 3)
            for one in left:
                one.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            await until(lambda: nexus.gateway.forwarder.in_flight == 0)
            assert (await nexus.ask("nobody", headers=key)).status_code == 404

        assert (await shown(nexus))["used"]["under_way"] == 0
        gate.open()
        assert (await nexus.ask(MODELS[0], headers=key)).status_code == 200


async def test_of_many_at_once_exactly_so_many_are_let_in() -> None:
    gate = Gate()
    async with served(script=gate) as (nexus, upstream):
        key = bearer(await create(nexus, parallel=4, rpm=100))

        tasks = [nexus.start(MODELS[0], headers=key) for _ in range(40)]
        await until(lambda: asked(upstream) == 4 and sum(one.done() for one in tasks) == 36)
        gate.open()
        statuses = [(await one).status_code for one in tasks]

        assert (statuses.count(200), statuses.count(429)) == (4, 36)


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
async def test_a_clock_that_is_set_changes_no_limit(jump: float) -> None:
    clock = JumpingClock()
    async with served(clock=clock) as (nexus, _):
        key = bearer(await create(nexus, rpm=1))
        assert (await nexus.ask(MODELS[0], headers=key)).status_code == 200

        clock.ahead = jump

        refused = await nexus.ask(MODELS[0], headers=key)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
        clock.seconds += 60
        assert (await nexus.ask(MODELS[0], headers=key)).status_code == 200


async def test_its_budget_holds_over_a_restart_and_for_nobody_else(tmp_path: Path) -> None:
    async with upstreams(costs(1000, 500), say) as (dear, free):
        fleet = (
            cloud("dear", dear.url, models=("m",)),
            backend("free", free.url, models=("local",)),
        )
        limits = BudgetConfig(monthly_limit_usd=None)
        async with priced(*fleet, folder=tmp_path, auth=AUTH, budget=limits) as nexus:
            secret = await create(nexus, budget=2.0)
            assert (await nexus.ask("m", headers=bearer(secret))).status_code == 200
            used = (await shown(nexus))["used"]
            assert (used["spent_usd"], used["reserved_usd"]) == (2.0, 0)
        async with priced(*fleet, folder=tmp_path, auth=AUTH, budget=limits) as nexus:
            key = bearer(secret)

            spent = await nexus.ask("m", headers=key)
            by_codex = await nexus.http.post(
                "/v1/responses", json={"model": "m", "input": "hi"}, headers=key
            )

            assert (spent.status_code, error_of(spent)["code"]) == (503, "budget_exceeded")
            assert by_codex.status_code == 429
            assert error_of(by_codex)["type"] == "insufficient_quota"
            assert (await nexus.ask("local", headers=key)).status_code == 200
            assert (await nexus.ask("m", headers=bearer("the-ops-key"))).status_code == 200
            await command(nexus, "laptop", budget=50)
            assert (await nexus.ask("m", headers=key)).status_code == 200


# What the vendors' clients make of it -------------------------------------------------------------


async def test_the_vendors_clients_know_the_errors() -> None:
    async with served() as (nexus, _):
        secret = await create(nexus, rpm=1, models="llama*")
        base = str(nexus.http.base_url)
        wrong = "nx-abcdefgh-" + "x" * 43
        turn: Any = [{"role": "user", "content": "hi"}]
        async with (
            openai.AsyncOpenAI(api_key=secret, base_url=f"{base}/v1", max_retries=0) as gpt,
            anthropic.AsyncAnthropic(api_key=secret, base_url=base, max_retries=0) as claude,
        ):

            async def ask_gpt(model: str, client: openai.AsyncOpenAI = gpt) -> None:
                await client.chat.completions.create(model=model, messages=turn)

            async def ask_claude(model: str, client: anthropic.AsyncAnthropic = claude) -> None:
                await client.messages.create(model=model, messages=turn, max_tokens=5)

            with pytest.raises(openai.PermissionDeniedError, match="may not use"):
                await ask_gpt(MODELS[1])
            with pytest.raises(anthropic.PermissionDeniedError, match="may not use"):
                await ask_claude(MODELS[1])
            with pytest.raises(openai.AuthenticationError):
                await ask_gpt(MODELS[0], gpt.with_options(api_key=wrong))
            with pytest.raises(anthropic.AuthenticationError):
                await ask_claude(MODELS[0], claude.with_options(api_key=wrong))
            await ask_gpt(MODELS[0])
            with pytest.raises(openai.RateLimitError) as limited:
                await ask_gpt(MODELS[0])
            with pytest.raises(anthropic.RateLimitError):
                await ask_claude(MODELS[0])

        assert limited.value.code == "rate_limit_exceeded"
        assert limited.value.response.headers["retry-after"] == "60"
