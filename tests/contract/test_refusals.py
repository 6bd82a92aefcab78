"""What a client must not send, and how it is told: status, envelope, what is at fault."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest

from .bodies import ANSWER, chat
from .conftest import MAX_BODY_BYTES, StartNexus
from .nexus_process import NexusProcess, backend_table, config_text
from .scripted_upstream import ScriptedUpstream, answers

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHAT = "/v1/chat/completions"
HELLO = b'"messages":[{"role":"user","content":"x"}]'

BAD_BODIES = {
    "empty": b"",
    "not JSON": b"model=llama3",
    "cut off": b'{"model":"llama3:70b",' + HELLO,
    "trailing": b'{"model":"llama3:70b",' + HELLO + b"} {}",
    "an array": b"[]",
    "a number": b"1",
    "null": b"null",
    "duplicate model": b'{"model":"llama3:70b",' + HELLO + b',"model":"gpt-4o"}',
    "duplicate by escape": b'{"model":"llama3:70b",' + HELLO + b',"m\\u006fdel":"gpt-4o"}',
    "duplicate other key": b'{"model":"llama3:70b","n":1,' + HELLO + b',"n":2}',
    "NaN": b'{"model":"llama3:70b",' + HELLO + b',"temperature":NaN}',
    "Infinity": b'{"model":"llama3:70b",' + HELLO + b',"top_p":[-Infinity]}',
    "too deep": b'{"model":"llama3:70b",' + HELLO + b',"x":' + b"[" * 90_000,
    "too deep and closed": b'{"model":"llama3:70b",'
    + HELLO
    + b',"x":'
    + (b"[" * 90_000 + b"]" * 90_000 + b"}"),
    "an endless number": b'{"model":"llama3:70b",' + HELLO + b',"n":' + b"9" * 10_000 + b"}",
    "not UTF-8": b'{"model":"llama3:70b","messages":[{"role":"user","content":"\xff"}]}',
    "UTF-16": json.dumps(chat()).encode("utf-16"),
    "a lone surrogate for a model": b'{"model":"\\ud800",' + HELLO + b"}",
}

BAD_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"messages": chat()["messages"]}, "model"),
    "model null": (chat() | {"model": None}, "model"),
    "model a number": (chat() | {"model": 4}, "model"),
    "model empty": (chat() | {"model": ""}, "model"),
    "no messages": ({"model": "llama3:70b"}, "messages"),
    "messages a string": (chat(messages="hello"), "messages"),
    "messages empty": (chat(messages=[]), "messages"),
    "a message that is none": (chat(messages=["hello"]), "messages"),
    "a message without role": (chat(messages=[{"content": "x"}]), "messages"),
    "stream a string": (chat(stream="yes"), "stream"),
}

BAD_HEADERS = [
    ("X-Nexus-Privacy-Zone", "secret"),
    ("X-Nexus-Privacy-Zone", ""),
    ("X-Nexus-Min-Tier", "5"),
    ("X-Nexus-Min-Tier", "-1"),
    ("X-Nexus-Min-Tier", "two"),
    ("X-Nexus-Min-Tier", "1.5"),
    ("X-Nexus-Priority", "urgent"),
    ("X-Nexus-Flexible", "maybe"),
    ("X-Nexus-Backend", "nobody"),
]


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """The error, after a look at the envelope."""
    body = answer.json()
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    assert {"message", "type", "param", "code"} <= set(error)
    assert isinstance(error["message"], str)
    assert error["message"]
    return error


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
async def test_a_body_that_is_no_request_is_a_400(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, body: bytes
) -> None:
    answer = await http.post(CHAT, content=body)

    assert answer.status_code == 400
    assert error_of(answer)["type"] == "invalid_request_error"
    assert upstream.received == []


@pytest.mark.parametrize(("body", "param"), BAD_FIELDS.values(), ids=BAD_FIELDS)
async def test_a_bad_field_is_a_400_that_names_it(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, body: dict[str, Any], param: str
) -> None:
    answer = await http.post(CHAT, json=body)

    assert answer.status_code == 400
    assert error_of(answer)["type"] == "invalid_request_error"
    assert str(error_of(answer)["param"]).startswith(param)
    assert upstream.received == []


async def test_a_legacy_completion_needs_a_prompt(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/completions", json={"model": "llama3:70b"})

    assert answer.status_code == 400
    assert error_of(answer)["param"] == "prompt"


@pytest.mark.parametrize(("name", "value"), BAD_HEADERS)
async def test_a_bad_header_is_a_400_that_names_it(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, name: str, value: str
) -> None:
    answer = await http.post(CHAT, json=chat(), headers={name: value})

    assert answer.status_code == 400
    error = error_of(answer)
    assert error["type"] == "invalid_request_error"
    assert name.lower() in f"{error['param']} {error['message']}".lower()
    assert upstream.received == []


@pytest.mark.parametrize("values", [("restricted", "open"), ("open", "restricted")])
async def test_of_two_privacy_demands_the_stricter_wins(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, values: tuple[str, str]
) -> None:
    upstream.script = answers(ANSWER)
    headers = [("X-Nexus-Privacy-Zone", value) for value in values]

    answer = await http.post(CHAT, json=chat("gpt-4o"), headers=headers)

    assert answer.status_code == 503
    assert error_of(answer)["code"] == "privacy_constraint_violation"
    assert upstream.received == []


async def test_an_unknown_model_is_a_404_with_near_names(
    openai_client: openai.AsyncOpenAI, upstream: ScriptedUpstream
) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        await openai_client.chat.completions.create(
            model="llama3:70", messages=[{"role": "user", "content": "x"}]
        )

    assert caught.value.code == "model_not_found"
    assert "llama3:70b" in str(caught.value)
    assert upstream.received == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_another_method_is_a_405(http: httpx.AsyncClient, method: str) -> None:
    answer = await http.request(method, CHAT)

    assert answer.status_code == 405
    assert "POST" in answer.headers["allow"]
    error_of(answer)


async def test_an_unknown_path_is_a_404_in_the_same_envelope(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/audio/speech", json={})

    assert answer.status_code == 404
    error_of(answer)


async def test_a_body_of_the_full_size_passes(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(ANSWER)
    frame = b'{"model":"llama3:70b","messages":[{"role":"user","content":"%b"}]}'
    body = frame % (b"x" * (MAX_BODY_BYTES - len(frame) + 2))
    assert len(body) == MAX_BODY_BYTES

    answer = await http.post(CHAT, content=body)

    assert answer.status_code == 200
    assert upstream.last.body == body


async def test_a_declared_length_over_the_limit_is_a_413_before_the_body_comes(
    shared_nexus: NexusProcess, upstream: ScriptedUpstream
) -> None:
    host = shared_nexus.url.removeprefix("http://")
    port = int(host.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {CHAT} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"

    writer.write(head.encode())
    async with asyncio.timeout(5):
        status_line = await reader.readline()
    writer.close()
    await writer.wait_closed()

    assert status_line.split()[1] == b"413"
    assert upstream.received == []


async def test_a_chunked_body_over_the_limit_is_a_413(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 4096 + 2):
            yield b" " * 4096

    answer = await http.post(CHAT, content=parts())

    assert answer.status_code == 413
    error_of(answer)
    assert upstream.received == []


async def test_a_sent_body_over_the_limit_is_a_413_that_the_client_can_read(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    answer = await http.post(CHAT, json=chat(messages=[{"role": "user", "content": "x" * 600_000}]))

    assert answer.status_code == 413
    assert str(MAX_BODY_BYTES) in error_of(answer)["message"]
    assert upstream.received == []


async def test_a_tier_that_no_backend_meets_is_a_503_with_the_backends(
    http: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    answer = await http.post(CHAT, json=chat(), headers={"X-Nexus-Min-Tier": "4"})

    assert answer.status_code == 503
    error = error_of(answer)
    assert (error["type"], error["code"]) == ("service_unavailable", "no_capable_backend")
    assert error["context"] == {
        "required_tier": 4,
        "available_backends": [
            {"name": "local", "status": "healthy", "zone": "restricted", "tier": 2}
        ],
        "eta_seconds": None,
    }
    assert upstream.received == []


@pytest.mark.parametrize(
    ("model", "headers"),
    [("gpt-4o", {"X-Nexus-Privacy-Zone": "restricted"}), ("secret-notes", {})],
    ids=["by header", "by policy"],
)
async def test_a_restricted_request_for_an_open_backend_is_a_503(
    http: httpx.AsyncClient, upstream: ScriptedUpstream, model: str, headers: dict[str, str]
) -> None:
    answer = await http.post(CHAT, json=chat(model), headers=headers)

    assert answer.status_code == 503
    error = error_of(answer)
    assert error["code"] == "privacy_constraint_violation"
    assert [backend["name"] for backend in error["context"]["available_backends"]] == ["cloud"]
    assert upstream.received == []


async def test_a_full_backend_is_a_503_and_a_free_one_overflow(
    start_nexus: StartNexus, upstream: ScriptedUpstream
) -> None:
    nexus = await start_nexus(
        config_text(
            backend_table("first", upstream.url, ["m", "only"], max_concurrent=1, priority=90),
            backend_table("second", upstream.url, ["m"], priority=10),
        )
    )
    async with (
        httpx.AsyncClient(base_url=nexus.url) as client,
        asyncio.TaskGroup() as tasks,
    ):
        holding = tasks.create_task(client.post(CHAT, json=chat("only")))
        await upstream.wait_for_requests(1)
        upstream.script = answers(ANSWER)

        overflown = await client.post(CHAT, json=chat("m"))
        refused = await client.post(CHAT, json=chat("only"))
        holding.cancel()

    assert overflown.headers["x-nexus-backend"] == "second"
    assert overflown.headers["x-nexus-route-reason"] == "capacity-overflow"
    assert refused.status_code == 503
    error = error_of(refused)
    assert error["code"] == "capacity_exceeded"
    assert error["context"]["available_backends"] == [
        {"name": "first", "status": "at_capacity", "zone": "restricted", "tier": None}
    ]
