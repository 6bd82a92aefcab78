"""What can be asked without a prompt: /health, /v1/models, /v1/stats."""

from __future__ import annotations

import asyncio

import httpx
import openai
import pytest

from .bodies import ANSWER, chat
from .conftest import StartNexus
from .nexus_process import backend_table, config_text
from .scripted_upstream import NO_MODELS, ScriptedUpstream, answers

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT = "/v1/chat/completions"


async def test_health_answers_200(http: httpx.AsyncClient) -> None:
    answer = await http.get("/health")

    assert answer.status_code == 200
    assert answer.json()["status"]


async def test_the_openai_client_lists_models_and_aliases(
    openai_client: openai.AsyncOpenAI,
) -> None:
    models = [model async for model in openai_client.models.list()]

    assert {"llama3:70b", "asked-name", "gpt-4o"} <= {model.id for model in models}
    assert "org/own-näme" not in {model.id for model in models}
    assert {model.object for model in models} == {"model"}


async def test_the_openai_client_retrieves_one_model(openai_client: openai.AsyncOpenAI) -> None:
    model = await openai_client.models.retrieve("llama3:70b")

    assert (model.id, model.object) == ("llama3:70b", "model")


async def test_an_unknown_model_cannot_be_retrieved(openai_client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await openai_client.models.retrieve("llama3:71b")

    assert caught.value.code == "model_not_found"


async def test_models_with_a_slash_can_be_retrieved(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    nexus = await start_nexus(config_text(backend_table("one", upstream.url, ["org/model"])))

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        plain = await client.get("/v1/models/org/model")
        encoded = await client.get("/v1/models/org%2Fmodel")

    assert [plain.status_code, encoded.status_code] == [200, 200]
    assert plain.json()["id"] == "org/model"


async def test_models_are_discovered_from_a_backend_that_names_none(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    found = [{"id": "found-here", "object": "model", "created": 0, "owned_by": "x"}]
    upstream.listing = answers({"object": "list", "data": found})
    upstream.script = answers(ANSWER)
    table = backend_table("one", upstream.url, []).replace("models = []\n", "")
    nexus = await start_nexus(config_text(table, more="[health_check]\ninterval_seconds = 30\n"))

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        answer = await client.post(CHAT, json=chat("found-here"))
        listed = await client.get("/v1/models")

    assert answer.status_code == 200
    assert [model["id"] for model in listed.json()["data"]] == ["found-here"]


async def test_a_backend_becomes_unhealthy_and_well_again_by_its_probes(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    upstream.listing = answers({"error": {"message": "loading"}}, 503)
    upstream.script = answers(ANSWER)
    checks = "[health_check]\ninterval_seconds = 0.05\nfailure_threshold = 2\n"
    nexus = await start_nexus(config_text(backend_table("one", upstream.url, ["m"]), more=checks))

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        await upstream.wait_for_probes(4)
        refused = await client.post(CHAT, json=chat("m"))
        upstream.listing = NO_MODELS
        await upstream.wait_for_probes(len(upstream.probes) + 3)
        answer = await client.post(CHAT, json=chat("m"))

    assert refused.status_code == 503
    assert refused.json()["error"]["context"]["available_backends"][0]["status"] == "unhealthy"
    assert answer.status_code == 200


async def test_stats_count_the_requests(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(ANSWER)
    nexus = await start_nexus(config_text(backend_table("one", upstream.url, ["m"])))

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        await asyncio.gather(*(client.post(CHAT, json=chat("m")) for _ in range(3)))
        stats = await client.get("/v1/stats")

    assert "3" in stats.text
    assert "one" in stats.text
