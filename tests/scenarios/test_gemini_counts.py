"""What Google's clients ask beside requests: counts, models, embeddings."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nexus_core.types import ModelDetails, ProbeResult
from tests.contract.scripted_upstream import answers, hang
from tests.scenarios.gemini_api import KEY, SHORT, body_of, sdk
from tests.scenarios.messages import gemini, local
from tests.scenarios.nexus import RESTRICTED, hang_up, running, upstreams

COUNT = "/v1beta/models/m:countTokens"
EMBEDDED = {
    "object": "list",
    "model": "m",
    "data": [
        {"object": "embedding", "index": 1, "embedding": [0.5, 0.25]},
        {"object": "embedding", "index": 0, "embedding": [1.0, 2.0]},
    ],
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}


async def test_google_counts_what_would_go_there() -> None:
    async with (
        upstreams(answers({"totalTokens": 4321})) as (up,),
        running(gemini(up.url, models={"m": "gemini-3.8-flash"})) as nexus,
        sdk(nexus) as ai,
    ):
        counted = await ai.models.count_tokens(model="m", contents="hi")

    assert counted.total_tokens == 4321
    assert up.last.target == "/v1beta/models/gemini-3.8-flash:countTokens"
    sent = json.loads(up.last.body)["generateContentRequest"]
    assert (sent["model"], len(sent["contents"])) == ("models/gemini-3.8-flash", 1)
    assert [value for _, value in up.last.headers if KEY in value] == []
    assert nexus.finished() == []


@pytest.mark.parametrize("script", [answers({"error": "no"}, 404), answers(b"[]"), hang_up])
async def test_nexus_counts_where_google_does_not(script: Any) -> None:
    async with upstreams(script) as (up,), running(gemini(up.url)) as nexus:
        answer = await nexus.http.post(COUNT, json=body_of("02-turn-1"))

    assert answer.json()["totalTokens"] > 100


async def test_a_count_for_a_local_model_stays_here_and_counts_the_tools() -> None:
    body = body_of("02-turn-1")
    whole = {"generateContentRequest": body | {"model": "models/m"}}
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        with_tools = (await nexus.http.post(COUNT, json=whole)).json()["totalTokens"]
        without = (await nexus.http.post(COUNT, json=body | {"tools": []})).json()["totalTokens"]

    assert with_tools > without > 0
    assert up.received == []
    assert not nexus.decided()


async def test_a_restricted_prompt_is_not_sent_to_be_counted() -> None:
    async with upstreams(answers({"totalTokens": 1})) as (up,), running(gemini(up.url)) as nexus:
        answer = await nexus.http.post(COUNT, json=SHORT, headers=RESTRICTED)

    assert answer.json()["totalTokens"] > 1
    assert up.received == []


async def test_googles_client_lists_the_models_page_by_page() -> None:
    names = tuple(f"m{number}" for number in range(60))
    async with (
        upstreams(hang) as (up,),
        running(local(up.url, models=names)) as nexus,
        sdk(nexus) as ai,
    ):
        pages = await ai.models.list()
        found = [one.name async for one in pages]
        few = (await nexus.http.get("/v1beta/models?pageSize=7&pageToken=56")).json()

    assert found == [f"models/{name}" for name in names]
    assert [one["name"] for one in few["models"]] == [f"models/{name}" for name in names[56:]]
    assert "nextPageToken" not in few


async def test_the_older_version_of_the_api_is_served_too() -> None:
    async with (
        upstreams(hang) as (up,),
        running(local(up.url, models=("m", "llama3:70b"))) as nexus,
        sdk(nexus, api_version="v1") as ai,
    ):
        found = [one.name async for one in await ai.models.list()]
        plain = (await nexus.http.get("/v1/models")).json()
        counted = await ai.models.count_tokens(model="llama3:70b", contents="hi")

    assert found == ["models/m", "models/llama3:70b"]
    assert plain["object"] == "list"
    assert counted.total_tokens > 0


async def test_a_model_is_described_with_what_is_known_of_it() -> None:
    name = "org/llama3:70b"
    async with (
        upstreams(hang) as (up,),
        running(local(up.url, models=(name, "nomic-embed-text"))) as nexus,
        sdk(nexus) as ai,
    ):
        details = {name: ModelDetails(context_tokens=32768)}
        registry = nexus.gateway.registry
        probe = ProbeResult(elapsed_ms=1.0, details=details)
        registry.record_probe("gpu", probe, failure_threshold=1, recovery_threshold=1)
        one = await ai.models.get(model=name)
        other = await ai.models.get(model="nomic-embed-text")
        unknown = await nexus.http.get("/v1beta/models/nobody")

    assert (one.name, one.display_name, one.input_token_limit) == (f"models/{name}", name, 32768)
    assert "generateContent" in one.supported_actions
    assert "embedContent" in other.supported_actions
    assert (unknown.status_code, unknown.json()["error"]["status"]) == (404, "NOT_FOUND")


# Embeddings -------------------------------------------------------------------------------------


async def test_embeddings_of_a_chat_backend_are_in_googles_format_and_in_order() -> None:
    async with upstreams(answers(EMBEDDED)) as (up,), running(local(up.url)) as nexus:
        async with sdk(nexus) as ai:
            found = await ai.models.embed_content(
                model="m", contents=["a", "b"], config={"output_dimensionality": 2}
            )
        one = await nexus.http.post(
            "/v1beta/models/m:embedContent", json={"content": {"parts": [{"text": "a"}]}}
        )

    first, second = found.embeddings
    assert (first.values, second.values) == ([1.0, 2.0], [0.5, 0.25])
    assert one.json()["embedding"]["values"] == [1.0, 2.0]
    batch, single = (json.loads(each.body) for each in up.received)
    assert (batch["input"], batch["dimensions"]) == (["a", "b"], 2)
    assert single["input"] == ["a"]


async def test_embeddings_pass_to_google_with_its_own_name_of_the_model() -> None:
    told = {"embeddings": [{"values": [1.0]}]}
    body = {"requests": [{"model": "models/m", "content": {"parts": [{"text": "a"}]}, "x": 1}]}
    async with (
        upstreams(answers(told)) as (up,),
        running(gemini(up.url, models={"m": "gemini-embedding-001"})) as nexus,
    ):
        answer = await nexus.http.post("/v1beta/models/m:batchEmbedContents", json=body)

    assert answer.json() == told
    assert up.last.target == "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    (sent,) = json.loads(up.last.body)["requests"]
    assert (sent["model"], sent["x"]) == ("models/gemini-embedding-001", 1)


async def test_only_texts_are_embedded_elsewhere() -> None:
    image = {"parts": [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]}
    async with upstreams(hang) as (up,), running(local(up.url)) as nexus:
        answer = await nexus.http.post("/v1beta/models/m:embedContent", json={"content": image})

    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
    assert up.received == []
