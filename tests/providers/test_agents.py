"""Promises of every agent, over all types of backends."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig
from nexus_core.dialects import gemini as google
from nexus_core.dialects.anthropic import models as anthropic
from nexus_core.dialects.openai_chat.request import PATHS, read_request
from nexus_core.dialects.request import Request
from nexus_core.providers import AgentSettings, create_agent
from nexus_core.providers.base import InferenceAgent
from nexus_core.providers.prepared import prepared
from nexus_core.types import DialectName, HealthCause, Operation, PrivacyZone
from nexus_core.upstream.base import UpstreamNotSentError, UpstreamRequest, UpstreamResponse, always
from nexus_core.upstream.httpx_engine import HttpxEngine
from tests.providers.auth.test_key_header import HEADERS, KEY

OPENAI_FORMAT = [t for t in BackendType if t.spec.dialect is DialectName.OPENAI_CHAT]


FREE = {  # what a server tells of its models, without one of them doing anything
    ("GET", "/api/ps"),
    ("POST", "/api/show"),
    ("GET", "/props"),
    ("GET", "/state"),
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


def google_listing(*names: object) -> httpx.Response:
    methods = ["generateContent"]
    models = [{"name": f"models/{n}", "supportedGenerationMethods": methods} for n in names]
    return httpx.Response(200, json={"models": models})


@dataclass(frozen=True, slots=True)
class Api:
    """Where one kind of API differs from the others."""

    key_headers: dict[str, str]
    listing: Callable[..., httpx.Response] = listing
    models_path: str = "/v1/models"
    chat_path: str = "/v1/chat/completions"
    stream_target: str = "/v1/chat/completions"


def base_of(kind: BackendType) -> str:
    """What stands below a bare host where the type's own URL has it."""
    return urlsplit(kind.spec.url or kind.spec.url_example or "").path or "/v1"


def openai_api(kind: BackendType) -> Api:
    chat = f"{base_of(kind)}/chat/completions"
    return Api(
        dict([HEADERS[kind.spec.auth]]),
        models_path=f"{base_of(kind)}/models",
        chat_path=chat,
        stream_target=chat,
    )


OWN_APIS = {
    BackendType.ANTHROPIC: Api(
        {"x-api-key": KEY, "anthropic-version": "2023-06-01"},
        chat_path="/v1/messages",
        stream_target="/v1/messages",
    ),
    BackendType.GOOGLE: Api(
        {"x-goog-api-key": KEY},
        google_listing,
        models_path="/v1beta/models",
        chat_path="/v1beta/models/m:generateContent",
        stream_target="/v1beta/models/m:streamGenerateContent?alt=sse",
    ),
}
APIS = [(kind, OWN_APIS.get(kind) or openai_api(kind)) for kind in BackendType]
apis = pytest.mark.parametrize(("kind", "api"), APIS, ids=[kind.value for kind, _ in APIS])
LISTED = [(kind, api) for kind, api in APIS if not kind.spec.has_deployments]
listed_apis = pytest.mark.parametrize(("kind", "api"), LISTED, ids=[k.value for k, _ in LISTED])


def chat(*, stream: bool = False) -> Request:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], "stream": stream}
    return read_request(Operation.CHAT, json.dumps(body).encode())


@pytest.mark.parametrize("kind", OPENAI_FORMAT)
@pytest.mark.parametrize("operation", Operation)
async def test_a_request_in_openais_format_is_sent_as_it_is(
    kind: BackendType, operation: Operation
) -> None:
    backend = Backend(httpx.Response(200, json={}))
    body = b'{"x": 1.0, "model": "m", "messages": [{"role": "user"}], "prompt": "x", "input": "x"}'
    agent = agent_for(kind, backend)

    call = agent.prepare(read_request(operation, body), "m")
    response = await agent.send(call, always)
    await response.close()

    (request,) = backend.requests
    assert str(request.url) == f"http://backend.test{base_of(kind)}{PATHS[operation][3:]}"
    assert request.content == body


class Asking:
    """An engine that asks whether it may send, as soon as it is told to."""

    async def send(
        self, request: UpstreamRequest, *, connect_timeout_seconds: float
    ) -> UpstreamResponse:
        assert not request.may_send()
        raise UpstreamNotSentError

    def stop_unsent(self) -> None: ...

    async def close(self) -> None: ...


@apis
async def test_the_engine_can_ask_whether_the_request_may_still_be_sent(
    kind: BackendType, api: Api
) -> None:
    backend = BackendConfig(name="b", url="http://b.test", type=kind, zone=PrivacyZone.OPEN)
    agent = create_agent(backend, Asking(), AgentSettings())
    asked: list[str] = []

    def may_send() -> bool:
        asked.append("once")
        return False

    with pytest.raises(UpstreamNotSentError):
        await agent.send(agent.prepare(chat(), "m"), may_send)

    assert asked == ["once"]


@apis
@pytest.mark.parametrize("stream", [False, True])
async def test_the_backends_own_key_goes_in_its_header_and_never_in_the_url(
    kind: BackendType, api: Api, stream: bool
) -> None:
    backend = Backend(httpx.Response(200, json={}))
    agent = agent_for(kind, backend)

    call = agent.prepare(chat(stream=stream), "m")
    response = await agent.send(call, always)
    await response.close()

    (request,) = backend.requests
    target = api.stream_target if stream else api.chat_path
    assert str(request.url) == f"http://backend.test{target}"
    assert {name: request.headers[name] for name in api.key_headers} == api.key_headers
    assert [name for name, value in request.headers.items() if KEY in value] == [
        name for name, value in api.key_headers.items() if KEY in value
    ]
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["accept"] == ("text/event-stream" if stream else "application/json")
    assert "cookie" not in request.headers
    assert KEY.encode() not in request.content


@apis
async def test_to_prepare_a_request_sends_nothing(kind: BackendType, api: Api) -> None:
    backend = Backend(httpx.Response(200, json={}))

    call = agent_for(kind, backend).prepare(chat(), "m")

    assert backend.requests == []
    assert (call.translation is None) is (kind in OPENAI_FORMAT)


@apis
async def test_without_a_key_none_is_sent(kind: BackendType, api: Api) -> None:
    backend = Backend(api.listing())

    await agent_for(kind, backend, key=None).probe(timeout_seconds=5)

    assert not [name for name in api.key_headers if name in backend.requests[0].headers]


@listed_apis
async def test_a_probe_lists_models_and_asks_no_model_anything(kind: BackendType, api: Api) -> None:
    backend = Backend(api.listing("m1", "m2", "m1"))

    result = await agent_for(kind, backend).probe(timeout_seconds=5)

    assert result.models == ("m1", "m2")
    asked = [(r.method, r.url.path) for r in backend.requests]
    assert asked[0] == ("GET", api.models_path)
    assert set(asked[1:]) <= FREE
    assert KEY not in str(backend.requests[0].url)


async def test_a_list_of_base_models_is_no_list_of_deployments() -> None:
    backend = Backend(listing("gpt-4o", "gpt-4o-mini"))

    result = await agent_for(BackendType.AZURE, backend).probe(timeout_seconds=5)

    assert result.ok
    assert result.models is None
    assert "the configured models are used" in (result.detail or "")


FAILING_PROBES: list[tuple[httpx.Response | Exception, HealthCause, str]] = [
    (httpx.Response(401), HealthCause.AUTH, "401: check B_KEY"),
    (httpx.Response(403, text=f"bad key {KEY}"), HealthCause.AUTH, "403: check B_KEY"),
    (httpx.Response(500), HealthCause.UNREACHABLE, "/models answers 500"),
    (httpx.Response(302), HealthCause.UNREACHABLE, "/models answers 302"),
    (httpx.Response(200, text="<html>"), HealthCause.UNREACHABLE, "/models: "),
    (httpx.Response(200, json={"page": []}), HealthCause.UNREACHABLE, "/models: "),
    (
        httpx.Response(200, json={"data": 3, "models": 3}),
        HealthCause.UNREACHABLE,
        "/models: ",
    ),
    (httpx.Response(200, text="[" * 99_999), HealthCause.UNREACHABLE, "nested too deep"),
    (httpx.ConnectError("no"), HealthCause.UNREACHABLE, ""),
    (httpx.ReadError(f"broken, {KEY}"), HealthCause.UNREACHABLE, ""),
]


@apis
@pytest.mark.parametrize(("answer", "cause", "detail"), FAILING_PROBES)
async def test_a_probe_that_fails_says_why_and_never_raises(
    kind: BackendType,
    api: Api,
    answer: httpx.Response | Exception,
    cause: HealthCause,
    detail: str,
) -> None:
    result = await agent_for(kind, Backend(answer)).probe(timeout_seconds=5)

    assert not result.ok
    assert result.cause is cause
    assert result.detail is not None
    assert detail in result.detail
    assert KEY not in result.detail


async def test_a_key_that_google_does_not_know_is_a_400_and_a_refused_key() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]
    error = {"code": 400, "message": f"bad {KEY}", "status": "X", "details": details}
    backend = Backend(httpx.Response(400, json={"error": error}))

    result = await agent_for(BackendType.GOOGLE, backend).probe(timeout_seconds=5)

    assert (result.cause, result.detail) == (HealthCause.AUTH, "401: check B_KEY")


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (BackendType.ANTHROPIC, anthropic.FALLBACK_MODELS),
        (BackendType.GOOGLE, google.FALLBACK_MODELS),
    ],
)
@pytest.mark.parametrize("status", [404, 405, 501])
async def test_where_there_is_no_list_the_built_in_one_is_served(
    kind: BackendType, expected: tuple[str, ...], status: int
) -> None:
    backend = Backend(httpx.Response(status))

    result = await agent_for(kind, backend).probe(timeout_seconds=5)

    assert result.ok
    assert result.models == expected


async def test_a_models_name_is_one_segment_of_googles_path() -> None:
    backend = Backend(httpx.Response(200, json={}))
    agent = agent_for(BackendType.GOOGLE, backend)

    for name in ("models/m", "a/../b?c#d"):
        call = agent.prepare(chat(), name)
        response = await agent.send(call, always)
        await response.close()

    assert [request.url.raw_path.decode() for request in backend.requests] == [
        "/v1beta/models/m:generateContent",
        "/v1beta/models/a%2F..%2Fb%3Fc%23d:generateContent",
    ]


@listed_apis
async def test_names_that_are_no_names_are_left_out(kind: BackendType, api: Api) -> None:
    backend = Backend(api.listing("ok", "", "x" * 257))

    result = await agent_for(kind, backend).probe(timeout_seconds=5)

    assert result.models == ("ok",)


@listed_apis
async def test_of_a_list_beyond_all_measure_the_beginning_is_read(
    kind: BackendType, api: Api
) -> None:
    backend = Backend(api.listing(*map(str, range(10_005))))

    result = await agent_for(kind, backend).probe(timeout_seconds=5)

    assert result.models is not None
    assert len(result.models) == 10_000


@pytest.mark.parametrize("kind", [kind for kind, _ in LISTED if kind in OPENAI_FORMAT])
async def test_what_is_no_text_is_no_name(kind: BackendType) -> None:
    backend = Backend(listing("ok", 3, None))

    result = await agent_for(kind, backend).probe(timeout_seconds=5)

    assert result.models == ("ok",)


async def test_ollama_models_may_be_asked_for_without_the_latest_tag() -> None:
    backend = Backend(listing("llama3:latest", "qwen:7b"))

    result = await agent_for(BackendType.OLLAMA, backend).probe(timeout_seconds=5)

    assert result.models == ("llama3:latest", "qwen:7b", "llama3")


class FirstTranslation:
    """An agent that notes in which threads it translates."""

    translates = True
    passes = frozenset[DialectName]()

    def __init__(self) -> None:
        self.threads: list[threading.Thread] = []

    def prepare(self, request: Request, model: str, *, wants_usage: bool = False) -> Any:
        self.threads.append(threading.current_thread())
        return "a call"


async def test_the_loop_does_not_wait_for_the_first_translation_of_a_kind_of_agent() -> None:
    agent: Any = FirstTranslation()
    short = chat()

    for _ in range(2):
        await prepared(agent, short, "m")

    assert [thread is threading.main_thread() for thread in agent.threads] == [False, True]
