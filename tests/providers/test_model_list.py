"""Lists of models in the shapes that servers give them, and what is well without one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig
from nexus_core.providers import AgentSettings, create_agent
from nexus_core.providers.model_list import Refusal, read_page, read_refusal
from nexus_core.types import HealthCause, PrivacyZone, ProbeResult
from nexus_core.upstream.httpx_engine import HttpxEngine

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"

SHAPES: list[tuple[str, object, tuple[str, ...]]] = [
    ("OpenAI", {"object": "list", "data": [{"id": "a"}, {"id": "b"}]}, ("a", "b")),
    ("OpenAI, empty", {"object": "list", "data": []}, ()),
    ("a fresh Ollama", {"object": "list", "data": None}, ()),
    ("Go without the empty field", {"object": "list"}, ()),
    ("Go's nil list, bare", None, ()),
    ("Ollama /api/tags", {"models": [{"name": "l:8b", "model": "l:8b"}]}, ("l:8b",)),
    ("Ollama /api/tags, fresh", {"models": None}, ()),
    ("a name for people", {"models": [{"name": "Llama 3", "model": "llama3"}]}, ("llama3",)),
    ("LM Studio", {"models": [{"key": "qwen", "display_name": "Qwen"}]}, ("qwen",)),
    ("Together", [{"id": "meta/a", "display_name": "A"}, {"id": "b"}], ("meta/a", "b")),
    ("GitHub's catalog", [{"id": "openai/gpt-4.1", "name": "GPT"}], ("openai/gpt-4.1",)),
    (
        "GitHub's first catalog",
        [{"id": "azureml://registries/x/models/gpt-4o/versions/2", "name": "gpt-4o"}],
        ("gpt-4o",),
    ),
    ("an empty array", [], ()),
    ("Cohere", {"models": [{"name": "command-r", "endpoints": ["chat"]}]}, ("command-r",)),
    ("xAI", {"models": [{"id": "grok-4", "aliases": []}]}, ("grok-4",)),
    (
        "Cloudflare",
        {"success": True, "errors": [], "result": [{"id": UUID, "name": "@cf/meta/llama"}]},
        ("@cf/meta/llama",),
    ),
    ("TGI /info", {"model_id": "mistral/7b", "max_total_tokens": 2048}, ("mistral/7b",)),
    ("plain strings", {"data": ["a", "b"]}, ("a", "b")),
    ("a bare list of strings", ["a", "b"], ("a", "b")),
    ("one object", {"data": {"id": "only"}}, ("only",)),
    ("a list in a list", {"data": {"models": [{"id": "a"}]}}, ("a",)),
    (
        "llama.cpp lists twice",
        {"models": [{"name": "m.gguf", "model": "m.gguf"}], "data": [{"id": "m.gguf"}]},
        ("m.gguf",),
    ),
    ("one of the two is empty", {"data": [], "models": [{"name": "a"}]}, ("a",)),
    ("entries without a name", {"data": [{}, {"id": None}, 3, {"id": "a"}]}, ("a",)),
]


@pytest.mark.parametrize(
    ("answer", "names"), [shape[1:] for shape in SHAPES], ids=[s[0] for s in SHAPES]
)
def test_a_list_is_read_in_every_shape(answer: object, names: tuple[str, ...]) -> None:
    assert read_page(answer).names == names


@pytest.mark.parametrize(
    "answer",
    [
        {},
        "models",
        3,
        {"data": 3},
        {"error": {"message": "no"}},
        {"data": None, "error": "no"},
        {"result": None, "success": False, "errors": [{"code": 10000}]},
        {"status": "ok"},
        {"data": {"data": {"data": {"data": ["deep"]}}}},
    ],
)
def test_what_is_no_list_is_none(answer: object) -> None:
    with pytest.raises(ValueError, match="the answer is"):
        read_page(answer)


@pytest.mark.parametrize(
    ("fields", "query"),
    [
        ({"has_more": True, "last_id": "a"}, (("after", "a"),)),
        ({"has_more": False, "last_id": "a"}, ()),
        ({"has_more": True}, ()),
        ({"next_page_token": "t"}, (("page_token", "t"),)),
        ({"nextPageToken": "t"}, (("pageToken", "t"),)),
        ({"next_cursor": "c"}, (("cursor", "c"),)),
        ({"next": "https://h/v1/models?cursor=c&limit=2"}, (("cursor", "c"), ("limit", "2"))),
        ({"next": "/v1/models?page=2"}, (("page", "2"),)),
        ({"links": {"next": "?page=3"}}, (("page", "3"),)),
        ({"next": None}, ()),
        ({"next": "http://[bad"}, ()),
        ({"result_info": {"page": 1, "per_page": 50, "total_count": 51}}, (("page", "2"),)),
        ({"result_info": {"page": 2, "per_page": 50, "total_count": 51}}, ()),
        ({"result_info": {"page": "1"}}, ()),
    ],
)
def test_a_page_says_how_the_next_is_asked_for(
    fields: dict[str, Any], query: tuple[tuple[str, str], ...]
) -> None:
    assert read_page({"data": [{"id": "a"}]} | fields).next_query == query


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["data", "models", "id", "name", "next", "result_info", "error"]), inner
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_any_answer_is_a_list_or_none(answer: object) -> None:
    try:
        page = read_page(answer)
    except ValueError:
        return

    assert all(isinstance(name, str) for name in page.names)


SCOPES = "You have insufficient permissions for this operation. Missing scopes: api.model.read."


@pytest.mark.parametrize(
    ("status", "body", "refusal"),
    [
        (401, "", Refusal.KEY),
        (403, "", Refusal.KEY),
        (403, "<html>Forbidden</html>", Refusal.KEY),
        (403, f'{{"error": {{"message": "{SCOPES}"}}}}', Refusal.LISTING),
        (401, f'{{"error": {{"message": "{SCOPES}"}}}}', Refusal.LISTING),
        (403, '{"error": {"code": "insufficient_permissions"}}', Refusal.LISTING),
        (401, '{"error": {"code": "insufficient_permissions"}}', Refusal.KEY),
        (400, '{"error": "Incorrect API key provided: xa***"}', Refusal.KEY),  # xAI
        (400, '{"error": {"message": "API key not valid. Please pass a valid API key."}}',
         Refusal.KEY),
        (200, '{"base_resp": {"status_code": 1004, "status_msg": "login fail"}}', Refusal.KEY),
        (200, '{"success": false, "errors": [{"message": "Authentication error"}]}', Refusal.KEY),
        (400, '{"error": "models cannot be listed"}', Refusal.NONE),
        (404, "404 page not found", Refusal.NONE),
        (405, "", Refusal.NONE),
        (429, '{"error": "no api key in the world has more"}', Refusal.NONE),
        (500, "authentication failed", Refusal.NONE),
        (200, "<html>authentication failed</html>", Refusal.NONE),
    ],
)  # fmt: skip
def test_what_an_answer_without_a_list_says_of_the_key(
    status: int, body: str, refusal: Refusal
) -> None:
    assert read_refusal(status, body.encode()) is refusal


class Backend(httpx.AsyncBaseTransport):
    """Answers every question for models alike."""

    def __init__(self, status: int, body: str) -> None:
        self.status, self.body = status, body
        self.paths: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        return httpx.Response(self.status, text=self.body)


async def probe(
    backend: httpx.AsyncBaseTransport,
    *,
    models: dict[str, str] | None = None,
    kind: BackendType = BackendType.OPENAI,
) -> ProbeResult:
    config = BackendConfig(
        name="b",
        url="http://backend.test/api/paas/v4",
        type=kind,
        zone=PrivacyZone.OPEN,
        models=models,
        api_key_env="B_KEY",
        api_key="sk-0123456789abcdef",
    )
    agent = create_agent(config, HttpxEngine(backend), AgentSettings())
    return await agent.probe(timeout_seconds=5)


ANSWERS = [
    (404, "404 page not found"),
    (400, '{"error": "no such route"}'),
    (402, "{}"),
    (405, ""),
    (410, ""),
    (429, ""),
    (500, "oops"),
    (501, ""),
    (529, "{}"),
    (302, ""),
    (200, "<html>"),
    (200, '{"status": "ok"}'),
    (200, ""),
    (403, f'{{"error": {{"message": "{SCOPES}"}}}}'),
]


@pytest.mark.parametrize(("status", "body"), ANSWERS)
@pytest.mark.parametrize("kind", BackendType)
async def test_a_configured_model_needs_no_list(kind: BackendType, status: int, body: str) -> None:
    result = await probe(Backend(status, body), models={"m": "m"}, kind=kind)

    assert result.ok
    assert result.models is None
    assert result.detail is not None
    assert result.detail.endswith("; using the configured models")


@pytest.mark.parametrize(
    ("status", "ok", "never", "told"),
    [
        (404, True, True, '/v4/models answers 404; no known models: set models = ["…"]'),
        (400, True, True, "set models"),
        (410, True, True, "set models"),
        (501, True, True, "set models"),
        (429, True, False, "models are requested again"),
        (500, False, False, "/api/paas/v4/models answers 500"),
        (503, False, False, "answers 503"),
        (302, False, False, "answers 302"),
        (200, False, False, "/api/paas/v4/models: "),
    ],
)  # fmt: skip
async def test_without_a_list_and_without_models_it_says_so(
    status: int, ok: bool, never: bool, told: str
) -> None:
    result = await probe(Backend(status, "x"))

    assert (result.ok, result.never_lists, result.models) == (ok, never, None)
    assert told in (result.detail or "")


@pytest.mark.parametrize("models", [None, {"m": "m"}])
@pytest.mark.parametrize("status", [502, 503, 504, 521, 530])
async def test_a_server_that_says_it_is_not_there_is_not_well(
    status: int, models: dict[str, str] | None
) -> None:
    result = await probe(Backend(status, '{"error": "loading"}'), models=models)

    assert (result.ok, result.cause) == (False, HealthCause.UNREACHABLE)
    assert result.detail == f"/api/paas/v4/models answers {status}"


@pytest.mark.parametrize("models", [None, {"m": "m"}])
@pytest.mark.parametrize(
    ("status", "body"), [(401, ""), (403, ""), (400, '{"error": "Incorrect API key provided"}')]
)
async def test_a_refused_key_is_one_whatever_is_configured(
    status: int, body: str, models: dict[str, str] | None
) -> None:
    result = await probe(Backend(status, body), models=models)

    assert (result.ok, result.cause) == (False, HealthCause.AUTH)
    assert result.detail == f"{status}: check B_KEY"


@pytest.mark.parametrize(
    ("kind", "path", "answer", "names"),
    [
        (BackendType.OLLAMA, "/api/tags", {"models": [{"name": "l:latest"}]}, ("l:latest", "l")),
        (BackendType.LMSTUDIO, "/api/v1/models", {"models": [{"key": "q"}]}, ("q",)),
        (BackendType.GENERIC, "/info", {"model_id": "m"}, ("m",)),
    ],
)
async def test_a_server_that_lists_elsewhere_is_asked_there(
    kind: BackendType, path: str, answer: object, names: tuple[str, ...]
) -> None:
    class Elsewhere(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            found = request.url.path.endswith(path)
            return httpx.Response(200, json=answer) if found else httpx.Response(404)

    result = await probe(Elsewhere(), kind=kind)

    assert result.models == names
