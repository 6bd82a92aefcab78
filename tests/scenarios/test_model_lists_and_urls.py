"""What is well without a list of models, and where a base URL leads: over real sockets."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from nexus_core.catalog import BackendType
from nexus_core.types import HealthCause, HealthStatus
from tests.contract.scripted_upstream import Exchange, Script, answers
from tests.scenarios.nexus import CHAT, backend, cloud, running, say, told, upstreams


def routes(table: Mapping[str, Script]) -> Script:
    """Answers by path; what is not in the table is a 404 in plain text."""

    async def script(exchange: Exchange) -> None:
        path = exchange.target.partition("?")[0]
        await table.get(path, answers(b"404 page not found", 404))(exchange)

    return script


@pytest.mark.parametrize("listed", [{"object": "list", "data": None}, {"models": None}, []])
async def test_a_server_without_models_yet_is_healthy(listed: object) -> None:
    async with upstreams(say) as (upstream,):
        upstream.listing = answers(listed)
        one = backend("fresh", upstream.url, type=BackendType.OLLAMA)
        async with running(one.model_copy(update={"models": None})) as nexus:
            answer = await nexus.ask()

            assert nexus.backend("fresh").health is HealthStatus.HEALTHY
            assert answer.status_code == 404
            assert answer.json()["error"]["code"] == "model_not_found"


@pytest.mark.parametrize("status", [400, 404, 405, 410, 429, 500, 501])
async def test_without_a_list_configured_models_are_served(status: int) -> None:
    async with upstreams(say) as (upstream,):
        upstream.listing = answers(b"404 page not found", status)
        async with running(cloud("minimax", upstream.url)) as nexus:
            for _ in range(4):
                await nexus.gateway.health.probe("minimax")
            answer = await nexus.ask()

            seen = nexus.backend("minimax")
            assert (seen.health, seen.cause) == (HealthStatus.HEALTHY, HealthCause.NONE)
            assert seen.detail == f"/v1/models answers {status}; using the configured models"
            assert told(answer)[:2] == (200, "minimax")


async def test_without_a_list_and_without_models_it_says_what_to_do() -> None:
    async with upstreams(say) as (upstream,):
        upstream.listing = answers(b"404 page not found", 404)
        one = cloud("minimax", upstream.url).model_copy(update={"models": None})
        async with running(one) as nexus:
            answer = await nexus.ask()

            seen = nexus.backend("minimax")
            assert seen.health is HealthStatus.HEALTHY
            assert seen.detail is not None
            assert 'set models = ["…"]' in seen.detail
            assert answer.status_code == 404


async def test_a_list_that_is_gone_takes_no_model_away() -> None:
    async with upstreams(say) as (upstream,):
        upstream.listing = answers({"data": [{"id": "m"}]})
        one = backend("b", upstream.url).model_copy(update={"models": None})
        async with running(one) as nexus:
            upstream.listing = answers(b"", 404)
            await nexus.gateway.health.probe("b")

            assert told(await nexus.ask())[:2] == (200, "b")


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("", "/v1"),
        ("/v1/", "/v1"),
        ("/api/paas/v4", "/api/paas/v4"),
        ("/v1beta/openai", "/v1beta/openai"),
        ("/openai/v1", "/openai/v1"),
        ("/inference", "/inference"),
        ("/serving-endpoints", "/serving-endpoints"),
        ("/x/chat/completions", "/x"),
        ("/behind/a/path", "/behind/a/path/v1"),
    ],
)
@pytest.mark.parametrize("engine", ["http1", "httpx"])
async def test_a_base_url_is_used_as_its_vendor_prints_it(
    engine: str, path: str, base: str
) -> None:
    listed = answers({"data": [{"id": "m"}]})
    async with upstreams(routes({f"{base}/models": listed, f"{base}/chat/completions": say})) as (
        upstream,
    ):
        upstream.listing = upstream.script
        one = cloud("vendor", upstream.url + path).model_copy(update={"models": None})
        async with running(one, server={"upstream": engine}) as nexus:
            answer = await nexus.ask()

            assert tuple(nexus.backend("vendor").models) == ("m",)
            assert told(answer)[:2] == (200, "vendor")
            targets = {exchange.target for exchange in (*upstream.received, *upstream.probes)}
            assert targets == {f"{base}/models", f"{base}/chat/completions"}


async def test_ollamas_own_paths_are_found_behind_a_path() -> None:
    table = {
        "/ollama/v1/models": answers({"data": [{"id": "m"}]}),
        "/ollama/api/ps": answers({"models": [{"name": "m", "context_length": 4096}]}),
        "/ollama/api/show": answers({"capabilities": ["completion"]}),
        "/ollama/v1/chat/completions": say,
    }
    async with upstreams(routes(table)) as (upstream,):
        url = f"{upstream.url}/ollama"
        one = backend("box", url, type=BackendType.OLLAMA).model_copy(update={"models": None})
        async with running(one) as nexus:
            answer = await nexus.ask()

            assert told(answer)[:2] == (200, "box")
            assert nexus.backend("box").details["m"].context_tokens == 4096


async def test_messages_go_below_a_base_for_anthropics_format() -> None:
    async with upstreams(answers({"error": {"type": "x", "message": "m"}}, 400)) as (upstream,):
        one = cloud("kimi", f"{upstream.url}/anthropic", type=BackendType.ANTHROPIC)
        async with running(one) as nexus:
            await nexus.http.post(CHAT, json=json.loads(CHAT_BODY))

            targets = [exchange.target.partition("?")[0] for exchange in upstream.received]
            assert targets == ["/anthropic/v1/models", "/anthropic/v1/messages"]


CHAT_BODY = '{"model": "m", "messages": [{"role": "user", "content": "x"}]}'
