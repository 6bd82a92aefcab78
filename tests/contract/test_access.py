"""Who may ask: client keys; without them loopback names only, and no foreign web page."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import openai
import pytest
import pytest_asyncio

from .bodies import ANSWER, chat
from .conftest import StartNexus
from .nexus_process import NexusProcess, backend_table, config_text
from .scripted_upstream import ScriptedUpstream, answers

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT = "/v1/chat/completions"
KEYS = "first:sk-client-one,sk-client-two"
GUARDED = ["/v1/models", "/v1/models/m", "/v1/stats", "/metrics"]


@pytest_asyncio.fixture(loop_scope="session")
async def keyed(start_nexus: StartNexus, upstream: ScriptedUpstream) -> NexusProcess:
    upstream.script = answers(ANSWER)
    config = config_text(backend_table("one", upstream.url, ["m"]))
    return await start_nexus(config, NEXUS_API_KEYS=KEYS)


@pytest_asyncio.fixture(loop_scope="session")
async def keyed_http(keyed: NexusProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=keyed.url) as client:
        yield client


async def test_with_keys_set_every_call_but_health_needs_one(
    keyed_http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    refused = [
        await keyed_http.post(CHAT, json=chat("m"), headers=httpx.Headers(headers))
        for headers in (
            {},
            {"Authorization": "Bearer sk-wrong"},
            {"Authorization": "Bearer"},
            {"Authorization": "Basic sk-client-one"},
            {"Authorization": "Bearer sk-client-on"},
            {"Authorization": "Bearer sk-client-one,sk-client-two"},
            {"Authorization": "Bearer first:sk-client-one"},
            {b"Authorization": b"Bearer sk-client-\xff"},
        )
    ]
    refused += [await keyed_http.get(path) for path in GUARDED]
    health = await keyed_http.get("/health")

    assert [answer.status_code for answer in refused] == [401] * len(refused)
    assert {tuple(answer.json()) for answer in refused} == {("error",)}
    assert health.status_code == 200
    assert upstream.received == []


async def test_each_key_opens(
    keyed: NexusProcess, keyed_http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    for key in ("sk-client-one", "sk-client-two"):
        answer = await keyed_http.post(
            CHAT, json=chat("m"), headers={"Authorization": f"Bearer {key}"}
        )
        assert answer.status_code == 200
        assert key not in repr(upstream.last.headers)
        assert key not in keyed.stderr


async def test_the_openai_client_knows_the_refusal(keyed: NexusProcess) -> None:
    async with openai.AsyncOpenAI(
        base_url=f"{keyed.url}/v1", api_key="sk-wrong", max_retries=0
    ) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.models.list()

    assert caught.value.code == "invalid_api_key"
    assert "sk-wrong" not in str(caught.value)


async def test_with_keys_any_host_name_may_be_used(keyed_http: httpx.AsyncClient) -> None:
    headers = {"Authorization": "Bearer sk-client-one", "Host": "gateway.example"}

    assert (await keyed_http.get("/v1/models", headers=headers)).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example"])
@pytest.mark.parametrize("path", ["/v1/models", CHAT])
async def test_without_keys_a_foreign_host_is_a_403(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, host: str, path: str
) -> None:
    method = "POST" if path == CHAT else "GET"

    answer = await http.request(method, path, json=chat(), headers={"Host": host})

    assert answer.status_code == 403
    assert answer.json()["error"]["message"]
    assert upstream.received == []


@pytest.mark.parametrize("host", ["localhost", "LocalHost:80", "127.0.0.1", "[::1]:8000"])
async def test_without_keys_the_loopback_names_are_welcome(
    http: httpx.AsyncClient, host: str
) -> None:
    assert (await http.get("/v1/models", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
async def test_without_keys_a_foreign_page_is_a_403(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, headers: dict[str, str]
) -> None:
    answer = await http.post(CHAT, json=chat(), headers=headers)

    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers
    assert upstream.received == []


async def test_a_preflight_is_not_answered_with_a_permission(http: httpx.AsyncClient) -> None:
    answer = await http.options(
        CHAT,
        headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},
    )

    assert answer.status_code >= 400
    assert not [name for name in answer.headers if name.startswith("access-control-")]
