"""What the X-Nexus headers say, which headers pass, and which credentials never do."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from .bodies import ANSWER, DONE, FIRST, STOP, THERE, chat
from .conftest import BACKEND_KEY, StartNexus
from .nexus_process import backend_table, config_text
from .scripted_upstream import Exchange, Script, ScriptedUpstream, answers, streams

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT = "/v1/chat/completions"
CLIENT_SECRETS = {
    "Authorization": "Bearer client-secret-1",
    "x-api-key": "client-secret-2",
    "x-goog-api-key": "client-secret-3",
    "Cookie": "session=client-secret-4",
    "Proxy-Authorization": "Basic client-secret-5",
    "api-key": "client-secret-6",
    "OpenAI-Organization": "client-secret-7",
}


def nexus_headers(answer: httpx.Response) -> dict[str, str]:
    found = {k: v for k, v in answer.headers.items() if k.startswith("x-nexus-")}
    assert found.pop("x-nexus-request-id")
    assert float(found.pop("x-nexus-overhead-ms")) >= 0
    return found


LOCAL = {
    "x-nexus-backend": "local",
    "x-nexus-backend-type": "local",
    "x-nexus-route-reason": "capability-match",
    "x-nexus-privacy-zone": "restricted",
    "x-nexus-model": "llama3:70b",
}
CLOUD = {
    "x-nexus-backend": "cloud",
    "x-nexus-backend-type": "cloud",
    "x-nexus-route-reason": "capability-match",
    "x-nexus-privacy-zone": "open",
    "x-nexus-model": "gpt-4o",
}


@pytest.mark.parametrize(("model", "expected"), [("llama3:70b", LOCAL), ("gpt-4o", CLOUD)])
@pytest.mark.parametrize("is_streaming", [False, True])
async def test_every_answer_says_where_it_comes_from(
    http: httpx.AsyncClient,
    upstream: ScriptedUpstream,
    model: str,
    expected: dict[str, str],
    is_streaming: bool,
) -> None:
    upstream.script = streams([FIRST, STOP, DONE]) if is_streaming else answers(ANSWER)

    answer = await http.post(CHAT, json=chat(model, stream=is_streaming))

    told = nexus_headers(answer)
    told.pop("x-nexus-cost-estimated", None)  # only where a price is known
    assert told == expected


async def test_the_headers_are_there_while_the_upstream_still_holds_back_its_text(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    gate = asyncio.Event()
    upstream.script = streams([FIRST, gate, THERE, STOP, DONE])

    async with http.stream("POST", CHAT, json=chat(stream=True)) as answer:
        told = nexus_headers(answer)
        gate.set()
        text = await answer.aread()

    assert told == LOCAL
    assert text.endswith(DONE)


async def test_the_error_of_a_backend_says_where_it_comes_from(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers({"error": {"message": "no"}}, 400)

    assert nexus_headers(await http.post(CHAT, json=chat())) == LOCAL


async def test_each_request_has_an_id_of_its_own(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(ANSWER)

    ids = [(await http.post(CHAT, json=chat())).headers["x-nexus-request-id"] for _ in range(5)]

    assert len(set(ids)) == 5


async def test_a_restricted_request_says_so_where_a_restriction_changed_the_choice(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(ANSWER)
    nexus = await start_nexus(
        config_text(
            backend_table("preferred", upstream.url, ["m"], zone="open", priority=90),
            backend_table("kept-here", upstream.url, ["m"], priority=10),
        )
    )

    async with httpx.AsyncClient(base_url=nexus.url) as client:
        demand = {"X-Nexus-Privacy-Zone": "restricted"}
        restricted = await client.post(CHAT, json=chat("m"), headers=demand)
        free = await client.post(CHAT, json=chat("m"))
        pinned = await client.post(CHAT, json=chat("m"), headers={"X-Nexus-Backend": "kept-here"})

    assert restricted.headers["x-nexus-backend"] == "kept-here"
    assert restricted.headers["x-nexus-route-reason"] == "privacy-requirement"
    assert free.headers["x-nexus-backend"] == "preferred"
    assert pinned.headers["x-nexus-backend"] == "kept-here"


@pytest.mark.parametrize("model", ["llama3:70b", "gpt-4o"])
async def test_no_credential_of_the_client_reaches_a_backend(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, model: str
) -> None:
    upstream.script = answers(ANSWER)

    answer = await http.post(CHAT, json=chat(model), headers=CLIENT_SECRETS)

    assert answer.status_code == 200
    assert "client-secret" not in repr(upstream.last.headers)
    own = upstream.last.header("authorization")
    assert own == (f"Bearer {BACKEND_KEY}" if model == "gpt-4o" else None)


async def test_the_demands_of_the_client_stay_with_nexus(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(ANSWER)

    await http.post(CHAT, json=chat(), headers={"X-Nexus-Privacy-Zone": "restricted"})

    names = [name for name, _ in upstream.last.headers]
    assert not [name for name in names if name.startswith("x-nexus-")]
    assert len(names) == len(set(names))
    assert upstream.last.header("accept-encoding") == "identity"
    assert upstream.last.header("content-type") == "application/json"


async def test_response_headers_pass_by_allow_list(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(
        ANSWER,
        headers=[
            ("Set-Cookie", "session=upstream"),
            ("X-Nexus-Backend", "forged"),
            ("X-Nexus-Cost-Estimated", "$0.0000"),
            ("X-Powered-By", "upstream"),
            ("Access-Control-Allow-Origin", "*"),
            ("Retry-After", "7"),
            ("x-ratelimit-remaining-requests", "59"),
            ("x-request-id", "req_upstream"),
        ],
    )

    answer = await http.post(CHAT, json=chat())

    assert nexus_headers(answer) == LOCAL
    assert not {"set-cookie", "x-powered-by", "access-control-allow-origin"} & set(answer.headers)
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["x-ratelimit-remaining-requests"] == "59"
    assert answer.headers["x-request-id"] == "req_upstream"


def says_key(status: int) -> Script:
    """An answer that repeats the key it was sent, as providers do."""
    return answers(
        {"error": {"message": f"Incorrect API key provided: {BACKEND_KEY}."}},
        status,
        headers=[("x-request-id", f"req-{BACKEND_KEY}")],
    )


async def stream_with_key(exchange: Exchange) -> None:
    told = b'data: {"choices":[{"index":0,"delta":{"content":"' + BACKEND_KEY.encode() + b'"}}]}'
    parts = [FIRST, told[:70], told[70:] + b"\n\n", STOP, DONE]
    await streams(parts)(exchange)


@pytest.mark.parametrize("script", [says_key(400), says_key(200), stream_with_key])
async def test_a_key_is_cut_out_of_whatever_the_upstream_says(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, script: Script
) -> None:
    upstream.script = script

    answer = await http.post(CHAT, json=chat("gpt-4o", stream=script is stream_with_key))

    assert upstream.last.header("authorization") == f"Bearer {BACKEND_KEY}"
    assert BACKEND_KEY not in answer.text
    assert BACKEND_KEY not in repr(answer.headers)
    if script is not stream_with_key:
        assert "Incorrect API key provided: " in json.loads(answer.content)["error"]["message"]
