"""Ollama's API to a backend that is an Ollama: the bytes pass, and what it knows is told."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nexus_core.observe.events import TokenUsage
from nexus_core.types import PrivacyZone
from tests.contract.bodies import ANSWER
from tests.contract.scripted_upstream import Exchange, Script, answers, hang, streams
from tests.scenarios.messages import local, openai
from tests.scenarios.nexus import RESTRICTED, running, upstreams
from tests.scenarios.ollama_api import (
    CHAT,
    COUNTS,
    EMBED,
    EMBEDDINGS,
    GENERATE,
    SHORT,
    STREAM,
    ask,
    client,
    last,
    line,
    lines_of,
    native,
    piece,
)

USAGE = TokenUsage(prompt_tokens=26, completion_tokens=9)
RICH = {
    "messages": [{"role": "user", "content": 'say "model": "m"', "images": ["iVBORw0KGgo="]}],
    "options": {"num_ctx": 8192, "temperature": 0.1},
    "keep_alive": "10m",
    "format": {"type": "object"},
    "think": "high",
    "model": "m",
    "new_field": [1, 2.50],
}


def by_path(**scripts: Script) -> Script:
    """A server that has an answer for the last part of each path."""

    async def script(exchange: Exchange) -> None:
        await scripts[exchange.target.rpartition("/")[2]](exchange)

    return script


async def test_a_chat_reaches_ollama_as_it_came_but_for_the_model() -> None:
    body = json.dumps(RICH, indent=1).encode()
    async with (
        upstreams(streams(STREAM)) as (up,),
        running(native(up.url, models={"m": "llama3:8b"})) as nexus,
    ):
        answer = await nexus.http.post(CHAT, content=body)

    assert answer.content == b"".join(STREAM)
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert "x-nexus-dropped-params" not in answer.headers
    assert up.last.target == CHAT
    renamed = body.replace(b'"model": "m",\n', b'"model": "llama3:8b",\n')
    assert up.last.body == renamed != body
    (finished,) = nexus.finished()
    assert finished.usage == USAGE


async def test_a_stream_in_two_parts_passes_with_its_counts() -> None:
    told = b"".join(STREAM)
    async with upstreams(hang) as (up,), running(native(up.url)) as nexus:
        for cut in range(1, len(told), 11):
            up.script = streams([told[:cut], told[cut:]])
            answer = await ask(nexus, CHAT, SHORT)
            assert answer.content == told

    assert {one.usage for one in nexus.finished()} == {USAGE}


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        (CHAT, SHORT, json.loads(last(content="Hello."))),
        (
            GENERATE,
            {"model": "m", "prompt": "x", "raw": True, "context": [1], "template": "t"},
            {"model": "m", "created_at": "x", "response": "Hi", "done": True, **COUNTS},
        ),
        (EMBED, {"model": "m", "input": ["a"]}, {"model": "m", "embeddings": [[0.5]], **COUNTS}),
        (EMBEDDINGS, {"model": "m", "prompt": "a"}, {"embedding": [0.5]}),
    ],
)
async def test_whole_answers_of_every_path_pass(
    path: str, body: dict[str, Any], told: dict[str, Any]
) -> None:
    async with upstreams(answers(told)) as (up,), running(native(up.url)) as nexus:
        answer = await ask(nexus, path, body | {"stream": False})

    assert answer.json() == told
    assert up.last.target == path
    assert json.loads(up.last.body) == body | {"stream": False}
    if "eval_count" in told:
        assert nexus.finished()[0].usage == USAGE


async def test_a_model_is_loaded_by_the_ollama_itself() -> None:
    loaded = line(message={"role": "assistant", "content": ""}, done=True, done_reason="load")
    async with (
        upstreams(streams([loaded])) as (up,),
        running(native(up.url)) as nexus,
        client(nexus) as sdk,
    ):
        answer = [part async for part in await sdk.chat("m", stream=True, keep_alive="1h")]

    assert [part.done_reason for part in answer] == ["load"]
    assert json.loads(up.last.body)["keep_alive"] == "1h"


async def test_an_error_of_ollamas_passes_with_its_status() -> None:
    told = {"error": '"m" does not support tools'}
    async with upstreams(answers(told, 400)) as (up,), running(native(up.url)) as nexus:
        answer = await ask(nexus, CHAT, SHORT)

    assert (answer.status_code, answer.json()) == (400, told)


async def test_an_error_in_place_of_a_stream_goes_to_the_next_backend() -> None:
    async with (
        upstreams(streams([b'{"error":"out of memory"}\n']), answers(ANSWER)) as (up, other),
        running(native(up.url, priority=90), local(other.url, priority=10)) as nexus,
    ):
        answer = await ask(nexus, CHAT, SHORT | {"stream": False})
        streamed = await ask(nexus, CHAT, SHORT)

    assert answer.headers["x-nexus-route-reason"] == "backend-failover"
    assert answer.json()["message"]["content"] == "Hello there."
    assert streamed.headers["x-nexus-backend"] == "gpu"
    assert lines_of(streamed.content)[-1]["done"] is True


async def test_an_error_in_mid_stream_passes_and_counts_as_failed() -> None:
    told = piece("Hel") + b'{"error":"out of memory"}\n'
    async with upstreams(streams([told])) as (up,), running(native(up.url)) as nexus:
        answer = await ask(nexus, CHAT, SHORT)

    assert answer.content == told
    (finished,) = nexus.finished()
    assert finished.error_code is not None


async def test_a_stream_that_breaks_off_in_a_line_ends_with_an_error_of_its_own() -> None:
    whole = piece("Hel")
    async with (
        upstreams(streams([whole + piece("lo.")[:-20]])) as (up,),
        running(native(up.url)) as nexus,
    ):
        answer = await ask(nexus, CHAT, SHORT)

    assert answer.content.startswith(whole)
    assert "error" in json.loads(answer.content.splitlines()[-1])


async def test_the_upstream_ends_when_the_client_leaves() -> None:
    async with (
        upstreams(streams([piece("Hel"), asyncio.Event()])) as (up,),
        running(native(up.url)) as nexus,
    ):
        async with nexus.http.stream("POST", CHAT, json=SHORT) as answer:
            assert await anext(answer.aiter_bytes()) == piece("Hel")
        await up.received[0].closed.wait()


async def test_a_restricted_chat_does_not_pass_to_an_open_ollama() -> None:
    async with upstreams(hang) as (up,), running(native(up.url, zone=PrivacyZone.OPEN)) as nexus:
        answer = await ask(nexus, CHAT, SHORT, **RESTRICTED)

    assert (answer.status_code, answer.json()["code"]) == (503, "privacy_constraint_violation")
    assert [one.target for one in up.received if one.method == "POST"] == []


# What only an Ollama knows ----------------------------------------------------------------------

DETAILS = {
    "parent_model": "",
    "format": "gguf",
    "family": "llama",
    "families": ["llama"],
    "parameter_size": "8.0B",
    "quantization_level": "Q4_K_M",
}
TAG = {
    "name": "llama3:8b",
    "model": "llama3:8b",
    "modified_at": "2026-11-01T10:00:00.5Z",
    "size": 4_661_224_676,
    "digest": "365c0bd3c000a25d28ddbf732fe1c6add414de7275464c4e4d1c3b5fcb5d8ad1",
    "details": DETAILS,
}
LOADED = TAG | {
    "expires_at": "2026-11-30T12:00:00Z",
    "size_vram": 4_000_000_000,
    "context_length": 8192,
}
SHOWN = {
    "modelfile": "FROM x",
    "parameters": "stop x",
    "template": "{{ .Prompt }}",
    "details": DETAILS,
    "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
    "capabilities": ["completion", "tools", "thinking", "insert"],
    "modified_at": "2026-11-01T10:00:00.5Z",
}


async def test_its_own_words_on_its_models_are_told() -> None:
    script = by_path(ps=answers({"models": [LOADED]}), show=answers(SHOWN))
    async with (
        upstreams(script, hang) as (up, other),
        running(
            native(up.url, models={"fast": "llama3:8b"}), openai(other.url, models=("big",))
        ) as nexus,
        client(nexus) as sdk,
    ):
        up.apis = answers({"models": [TAG]})
        (fast, big) = (await sdk.list()).models
        (loaded,) = (await sdk.ps()).models
        shown = await sdk.show("fast")

    assert (fast.model, fast.size, fast.digest) == ("fast", TAG["size"], TAG["digest"])
    assert fast.details is not None
    assert fast.details.quantization_level == "Q4_K_M"
    assert (big.model, big.size) == ("big", 0)
    assert (loaded.name, loaded.size_vram, loaded.context_length) == ("fast", 4_000_000_000, 8192)
    assert shown.capabilities == SHOWN["capabilities"]
    assert shown.template == "{{ .Prompt }}"
    asked = [one for one in up.received if one.method == "POST"]
    assert json.loads(asked[0].body)["model"] == "llama3:8b"
    assert other.received == []


@pytest.mark.parametrize("script", [answers({"error": "no"}, 500), answers(b"[1]"), answers(b"{")])
async def test_what_it_does_not_tell_is_left_to_what_is_known(script: Any) -> None:
    async with upstreams(script) as (up,), running(native(up.url)) as nexus, client(nexus) as sdk:
        up.apis = script
        (one,) = (await sdk.list()).models
        shown = await sdk.show("m")
        loaded = (await sdk.ps()).models

    assert (one.model, one.size) == ("m", 0)
    assert shown.capabilities == ["completion", "vision", "tools"]
    assert list(loaded) == []


async def test_pulling_names_the_machine_to_do_it_on() -> None:
    async with upstreams(hang) as (up,), running(native(up.url)) as nexus:
        answer = await ask(nexus, "/api/pull", {"model": "qwen3:8b"})

    assert answer.status_code == 501
    assert answer.json()["error"] == (
        f"Nexus does not keep models; on the machine of backend ollama-gpu ({up.url}) "
        "run: ollama pull qwen3:8b"
    )


async def test_what_only_ollama_takes_goes_to_an_ollama() -> None:
    told = {"model": "m", "created_at": "x", "response": "Hi", "done": True, **COUNTS}
    async with (
        upstreams(hang, answers(told)) as (gpu, up),
        running(local(gpu.url, priority=90), native(up.url, priority=10)) as nexus,
    ):
        body = {"model": "m", "prompt": "x", "template": "t", "stream": False}
        answer = await ask(nexus, GENERATE, body)

    assert answer.json()["response"] == "Hi"
    assert gpu.received == []


async def test_an_open_ollama_is_not_asked_without_word_from_the_fleets_store() -> None:
    async with (
        upstreams(answers({"models": []})) as (up,),
        running(native(up.url, zone=PrivacyZone.OPEN)) as nexus,
    ):
        await nexus.http.get("/api/tags")
        asked = len(up.received)
        nexus.gateway.registry.set_cut_off("the fleet's store")
        await nexus.http.get("/api/tags")
        await nexus.http.post("/api/show", json={"model": "m"})

        assert len(up.received) == asked > 0
