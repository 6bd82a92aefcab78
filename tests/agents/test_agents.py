"""Promises of every agent, over all types of OpenAI-format backends."""

import httpx
import pytest

from nexus_core.agents import AgentSettings, create_agent
from nexus_core.agents.base import InferenceAgent
from nexus_core.config import BackendConfig
from nexus_core.translation.openai import read_request
from nexus_core.types import BackendType, Endpoint, HealthCause, PrivacyZone
from nexus_core.upstream.httpx_engine import HttpxEngine

KEY = "sk-0123456789abcdef"
OPENAI_FORMAT = [t for t in BackendType if t not in (BackendType.ANTHROPIC, BackendType.GOOGLE)]


FREE = {  # what a server tells of its models, without one of them doing anything
    ("GET", "/api/ps"),
    ("POST", "/api/show"),
    ("GET", "/props"),
    ("GET", "/api/v1/models"),
}


class Backend(httpx.AsyncBaseTransport):
    """Answers every request with one answer, and keeps the requests."""

    def __init__(self, answer: httpx.Response | Exception) -> None:
        self.answer = answer
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        self.requests.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def agent_for(kind: BackendType, backend: Backend, key: str | None = KEY) -> InferenceAgent:
    config = BackendConfig(
        name="b",
        url="http://backend.test",
        type=kind,
        zone=PrivacyZone.OPEN,
        api_key_env="B_KEY" if key else None,
        api_key=key,
    )
    return create_agent(config, HttpxEngine(backend), AgentSettings(connect_timeout_seconds=1))


def listing(*names: object) -> httpx.Response:
    return httpx.Response(200, json={"object": "list", "data": [{"id": n} for n in names]})


@pytest.mark.parametrize("kind", OPENAI_FORMAT)
@pytest.mark.parametrize("endpoint", Endpoint)
async def test_a_request_is_sent_as_it_is_with_the_backends_own_key(
    kind: BackendType, endpoint: Endpoint
) -> None:
    backend = Backend(httpx.Response(200, json={}))
    body = b'{"x": 1.0, "model": "m", "messages": [{"role": "user"}], "prompt": "x", "input": "x"}'
    agent = agent_for(kind, backend)

    response = await agent.send(agent.prepare(endpoint, read_request(endpoint, body), "m"))
    await response.close()

    (request,) = backend.requests
    assert str(request.url) == f"http://backend.test{endpoint.value}"
    assert request.content == body
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept-encoding"] == "identity"
    assert "cookie" not in request.headers


@pytest.mark.parametrize("kind", OPENAI_FORMAT)
async def test_without_a_key_none_is_sent(kind: BackendType) -> None:
    backend = Backend(listing())

    await agent_for(kind, backend, key=None).probe(timeout_seconds=5)

    assert "authorization" not in backend.requests[0].headers


@pytest.mark.parametrize("kind", OPENAI_FORMAT)
async def test_a_probe_lists_models_and_asks_no_model_anything(kind: BackendType) -> None:
    backend = Backend(listing("m1", "m2", "m1"))

    result = await agent_for(kind, backend).probe(timeout_seconds=5)

    assert result.models == ("m1", "m2")
    asked = [(r.method, r.url.path) for r in backend.requests]
    assert asked[0] == ("GET", "/v1/models")
    assert set(asked[1:]) <= FREE


@pytest.mark.parametrize(
    ("answer", "cause", "detail"),
    [
        (httpx.Response(401), HealthCause.AUTH, "401: check B_KEY"),
        (httpx.Response(403, text=f"bad key {KEY}"), HealthCause.AUTH, "403: check B_KEY"),
        (httpx.Response(500), HealthCause.UNREACHABLE, "/v1/models answers 500"),
        (httpx.Response(302), HealthCause.UNREACHABLE, "/v1/models answers 302"),
        (httpx.Response(200, text="<html>"), HealthCause.UNREACHABLE, "/v1/models: "),
        (httpx.Response(200, json=[]), HealthCause.UNREACHABLE, "not a list of models"),
        (httpx.Response(200, json={"data": 3}), HealthCause.UNREACHABLE, "not a list of models"),
        (httpx.Response(200, text="[" * 99_999), HealthCause.UNREACHABLE, "nested too deep"),
        (httpx.ConnectError("no"), HealthCause.UNREACHABLE, ""),
    ],
)
async def test_a_probe_that_fails_says_why_and_never_raises(
    answer: httpx.Response | Exception, cause: HealthCause, detail: str
) -> None:
    result = await agent_for(BackendType.OPENAI, Backend(answer)).probe(timeout_seconds=5)

    assert not result.ok
    assert result.cause is cause
    assert result.detail is not None
    assert detail in result.detail
    assert KEY not in result.detail


async def test_names_that_are_no_names_are_left_out() -> None:
    backend = Backend(listing("ok", 3, None, "", "x" * 257))

    result = await agent_for(BackendType.VLLM, backend).probe(timeout_seconds=5)

    assert result.models == ("ok",)


async def test_ollama_models_may_be_asked_for_without_the_latest_tag() -> None:
    backend = Backend(listing("llama3:latest", "qwen:7b"))

    result = await agent_for(BackendType.OLLAMA, backend).probe(timeout_seconds=5)

    assert result.models == ("llama3:latest", "qwen:7b", "llama3")
