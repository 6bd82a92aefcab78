"""POST /v1/messages/count_tokens: who counts, and that nothing is spent; the list of models."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.contract.scripted_upstream import answers, hang
from tests.scenarios.messages import body_of, claude, headers_of, local, sdk
from tests.scenarios.nexus import RESTRICTED, Nexus, hang_up, running, upstreams

PATH = "/v1/messages/count_tokens?beta=true"
COUNTED = body_of("10-count-tokens") | {"tools": body_of("02-turn-1")["tools"]}


async def count(nexus: Nexus, body: dict[str, Any], **headers: str) -> httpx.Response:
    return await nexus.http.post(PATH, json=body, headers=headers_of("10-count-tokens") | headers)


async def test_anthropic_counts_what_would_go_there() -> None:
    async with (
        upstreams(answers({"input_tokens": 4321})) as (up,),
        running(claude(up.url, models={"m": "claude-opus-5"})) as nexus,
    ):
        answer = await count(nexus, COUNTED)

    assert answer.json() == {"input_tokens": 4321}
    assert up.last.target == "/v1/messages/count_tokens"
    assert json.loads(up.last.body)["model"] == "claude-opus-5"
    assert "token-counting-2024-11-01" in (up.last.header("anthropic-beta") or "")
    assert nexus.finished() == []


@pytest.mark.parametrize("script", [answers({"error": "no"}, 404), answers(b"[]"), hang_up])
async def test_nexus_counts_where_the_backend_does_not(script: Any) -> None:
    async with upstreams(script) as (up,), running(claude(up.url)) as nexus:
        answer = await count(nexus, COUNTED)

    assert answer.status_code == 200
    assert answer.json()["input_tokens"] > 100


async def test_a_count_for_a_local_model_stays_here_and_counts_the_tools() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        with_tools = (await count(nexus, COUNTED)).json()["input_tokens"]
        without = (await count(nexus, COUNTED | {"tools": []})).json()["input_tokens"]

    assert with_tools > without > 0
    assert up.received == []
    assert not nexus.decided()
    assert not nexus.finished()


async def test_a_restricted_prompt_is_not_sent_to_be_counted() -> None:
    async with upstreams(answers({"input_tokens": 1})) as (up,), running(claude(up.url)) as nexus:
        answer = await count(nexus, COUNTED, **RESTRICTED)

    assert answer.json()["input_tokens"] > 1
    assert up.received == []


@pytest.mark.parametrize("path", [PATH, "/v1beta/models/m:countTokens"])
async def test_a_prompt_is_counted_at_any_length_that_a_request_may_have(path: str) -> None:
    long = "word " * 300_000  # more than a command may have
    message = {"role": "user", "content": long, "parts": [{"text": long}]}
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.post(
            path, json={"model": "m", "messages": [message], "contents": [message]}
        )

    (tokens,) = answer.json().values()
    assert tokens > 300_000


async def test_fifteen_at_once_are_counted() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus, sdk(nexus) as client:
        body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        one: Any = client.messages.count_tokens
        counts = await asyncio.gather(*(one(**body) for _ in range(15)))

    assert {found.input_tokens > 0 for found in counts} == {True}


async def test_anthropics_client_lists_the_models() -> None:
    async with (
        upstreams(hang) as (up,),
        running(local(up.url, models=("m", "n"))) as nexus,
        sdk(nexus) as client,
    ):
        found = [model async for model in client.models.list(limit=1000)]
        plain = (await nexus.http.get("/v1/models")).json()

    assert [(one.id, one.display_name, one.type) for one in found] == [
        ("m", "m", "model"),
        ("n", "n", "model"),
    ]
    assert plain["object"] == "list"


async def test_anthropics_client_reads_one_model() -> None:
    async with (
        upstreams(hang) as (up,),
        running(local(up.url)) as nexus,
        sdk(nexus) as client,
    ):
        found = await client.models.retrieve("m")

    assert (found.id, found.display_name, found.type) == ("m", "m", "model")
    assert found.created_at.year >= 1970


async def test_a_count_for_an_unknown_model_is_not_found() -> None:
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await count(nexus, COUNTED | {"model": "nobody"})

    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")
