"""What goes wrong at Anthropic and Google, through the whole proxy."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import httpx
import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig
from nexus_core.types import HealthCause, HealthStatus
from tests.contract.scripted_upstream import Exchange, Script, ScriptedUpstream, answers
from tests.vendors.live import KEY, backend, nexus_with
from tests.vendors.samples import ANTHROPIC, GOOGLE, TEXT, Provider, both
from tests.waiting import until

SPARE_ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "choices": [{"message": {"role": "assistant", "content": "spare"}, "finish_reason": "stop"}],
}


def of(provider: Provider, upstream: ScriptedUpstream) -> BackendConfig:
    return backend(provider.type, upstream.url, provider.model, priority=90)


def spare_of(upstream: ScriptedUpstream) -> BackendConfig:
    upstream.script = answers(SPARE_ANSWER)
    return backend(BackendType.VLLM, upstream.url, "m", priority=10, api_key="sk-spare")


def error_of(answer: httpx.Response) -> dict[str, Any]:
    error: dict[str, Any] = answer.json()["error"]
    assert set(error) >= {"message", "type", "param", "code"}
    return error


@both
async def test_a_whole_answer_says_where_it_comes_from(
    provider: Provider, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(
        provider.answer,
        headers=[("Set-Cookie", "a=b"), ("X-Nexus-Backend", "forged"), ("request-id", "req_1")],
    )

    async with nexus_with(of(provider, upstream)) as nexus:
        answer = await nexus.chat(temperature=0.5)

    assert answer.json()["choices"][0]["message"]["content"] == TEXT
    assert answer.headers["x-nexus-backend"] == provider.type.value
    assert answer.headers["x-nexus-backend-type"] == "cloud"
    assert answer.headers["x-nexus-route-reason"] == "capability-match"
    assert answer.headers["x-nexus-privacy-zone"] == "open"
    assert answer.headers["x-nexus-model"] == provider.model
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["request-id"] == "req_1"
    assert "set-cookie" not in answer.headers


@both
@pytest.mark.parametrize("stream", [False, True])
async def test_only_nexus_own_key_goes_upstream_and_only_in_its_header(
    provider: Provider, upstream: ScriptedUpstream, stream: bool
) -> None:
    mine = {
        "Authorization": "Bearer sk-client-1",
        "x-api-key": "sk-client-2",
        "x-goog-api-key": "sk-client-3",
        "Cookie": "session=sk-client-4",
    }
    upstream.script = answers(provider.error(400, "no"), 400)

    async with nexus_with(of(provider, upstream)) as nexus:
        await nexus.chat(headers=mine, stream=stream)

    (received,) = upstream.received
    assert received.target == (provider.stream_path if stream else provider.path)
    assert received.header(provider.key_header) == KEY
    assert [name for name, value in received.headers if KEY in value] == [provider.key_header]
    assert b"sk-client" not in repr(received.headers).encode() + received.body


@both
async def test_a_400_passes_on_in_the_providers_words_and_is_not_retried(
    provider: Provider, upstream: ScriptedUpstream, spare: ScriptedUpstream
) -> None:
    upstream.script = answers(provider.error(400, f"no such thing, {KEY}"), 400)

    async with nexus_with(of(provider, upstream), spare_of(spare)) as nexus:
        answer = await nexus.chat()

    assert answer.status_code == 400
    assert error_of(answer)["message"] == "no such thing, [key]"
    assert error_of(answer)["type"].lower() == "provider_says"
    assert answer.headers["x-nexus-backend"] == provider.type.value
    assert spare.received == []


@both
@pytest.mark.parametrize("stream", [False, True])
async def test_a_429_passes_on_with_the_time_to_wait_and_gives_the_model_a_cooldown(
    provider: Provider, upstream: ScriptedUpstream, stream: bool
) -> None:
    body, headers = provider.busy
    upstream.script = answers(body, 429, headers)

    async with nexus_with(of(provider, upstream)) as nexus:
        answer = await nexus.chat(stream=stream)
        snapshot = nexus.gateway.registry.snapshot(provider.type.value)
        again = await nexus.chat(stream=stream)

    assert answer.status_code == 429
    assert answer.headers["retry-after"] in {"6", "7"}
    assert error_of(answer)["message"] == "slow down"
    assert snapshot.cooldown is None
    assert len(snapshot.cooldowns) == 1
    assert again.status_code == 503
    assert len(upstream.received) == 1


@both
@pytest.mark.parametrize("status", [408, 429, 500, 503, 529])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_may_be_better_elsewhere_fails_over(
    provider: Provider,
    upstream: ScriptedUpstream,
    spare: ScriptedUpstream,
    status: int,
    stream: bool,
) -> None:
    upstream.script = answers(provider.error(status, "not now"), status)

    async with nexus_with(of(provider, upstream), spare_of(spare)) as nexus:
        answer = await nexus.chat()

    assert answer.status_code == 200
    assert answer.headers["x-nexus-route-reason"] == "backend-failover"
    assert spare.last.header("authorization") == "Bearer sk-spare"
    assert KEY not in repr(spare.last.headers)


@both
async def test_with_nobody_left_an_overload_passes_on(
    provider: Provider, upstream: ScriptedUpstream
) -> None:
    upstream.script = answers(provider.error(529, "Overloaded"), 529)

    async with nexus_with(of(provider, upstream)) as nexus:
        answer = await nexus.chat()

    assert answer.status_code == 529
    assert error_of(answer)["message"] == "Overloaded"


@both
@pytest.mark.parametrize("status", [None, 401, 403])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_refused_key_is_a_502_in_nexus_own_words_and_ends_the_backends_service(
    provider: Provider, upstream: ScriptedUpstream, status: int | None, stream: bool
) -> None:
    own_status, body = provider.wrong_key
    told = json.dumps(body).replace("%KEY%", KEY).encode()
    upstream.script = answers(told, status or own_status)

    async with nexus_with(of(provider, upstream)) as nexus:
        snapshot = partial(nexus.gateway.registry.snapshot, provider.type.value)
        upstream.listing = upstream.script  # a 403 has to be told to a probe as well
        answer = await nexus.chat(stream=stream)
        if status == 403:
            await until(lambda: snapshot().health is HealthStatus.UNHEALTHY)

    assert answer.status_code == 502
    assert error_of(answer)["code"] == "upstream_auth_failed"
    assert f'backend "{provider.type.value}" refused its API key' in error_of(answer)["message"]
    assert "PROVIDER_KEY" in error_of(answer)["message"]
    assert KEY not in answer.text
    assert (snapshot().health, snapshot().cause) == (HealthStatus.UNHEALTHY, HealthCause.AUTH)


@both
@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_502_and_is_not_followed(
    provider: Provider, upstream: ScriptedUpstream, spare: ScriptedUpstream, status: int
) -> None:
    upstream.script = answers(b"", status, [("Location", f"{spare.url}/v1/messages")])

    async with nexus_with(of(provider, upstream)) as nexus:
        answer = await nexus.chat()

    assert answer.status_code == 502
    assert "location" not in answer.headers
    assert spare.received == []


RUBBISH = [
    (provider, body)
    for provider in (ANTHROPIC, GOOGLE)
    for body in (*provider.rubbish, b"<html>", b"", b"[1]", b'"text"', b"{" * 99_999, b"\xff\xfe")
]


@pytest.mark.parametrize(("provider", "body"), RUBBISH)
async def test_rubbish_is_a_502_and_another_backend_is_asked(
    upstream: ScriptedUpstream, spare: ScriptedUpstream, provider: Provider, body: Any
) -> None:
    upstream.script = answers(body)

    async with nexus_with(of(provider, upstream)) as nexus:
        alone = await nexus.chat()
    async with nexus_with(of(provider, upstream), spare_of(spare)) as nexus:
        answer = await nexus.chat()

    assert alone.status_code == 502
    assert error_of(alone)["code"] == "upstream_error"
    assert answer.json()["choices"][0]["message"]["content"] == "spare"


def endless(status: int, kind: str) -> Script:
    """A body that never ends, sent until the other side has had enough."""

    async def script(exchange: Exchange) -> None:
        head = [("Content-Type", kind), ("Transfer-Encoding", "chunked")]
        await exchange.send_head(status, head)
        while not exchange.closed.is_set():
            await exchange.send_chunk(b'{"type": "x' * 4096)

    return script


@both
@pytest.mark.parametrize("status", [200, 500])
async def test_a_body_without_end_is_given_up(
    provider: Provider, upstream: ScriptedUpstream, status: int
) -> None:
    upstream.script = endless(status, "application/json")

    async with nexus_with(of(provider, upstream), server={"max_response_bytes": 100_000}) as nexus:
        answer = await nexus.chat()
        await upstream.last.closed.wait()

    assert answer.status_code == 502
    assert "bytes" in error_of(answer)["message"]


@both
async def test_an_answer_that_ends_early_is_a_502(
    provider: Provider, upstream: ScriptedUpstream
) -> None:
    async def script(exchange: Exchange) -> None:
        whole = json.dumps(provider.answer).encode()
        head = [("Content-Type", "application/json"), ("Content-Length", str(len(whole)))]
        await exchange.send_head(200, head)
        await exchange.send(whole[:-9])
        exchange.writer.close()

    upstream.script = script

    async with nexus_with(of(provider, upstream)) as nexus:
        answer = await nexus.chat()

    assert answer.status_code == 502


@pytest.mark.parametrize(
    ("provider", "path", "body"),
    [
        (ANTHROPIC, "/v1/embeddings", {"model": "m", "input": "x"}),
        (ANTHROPIC, "/v1/completions", {"model": "m", "prompt": "x"}),
        (GOOGLE, "/v1/completions", {"model": "m", "prompt": "x"}),
    ],
)
async def test_what_a_provider_has_no_endpoint_for_is_not_sent(
    upstream: ScriptedUpstream, provider: Provider, path: str, body: dict[str, Any]
) -> None:
    async with nexus_with(of(provider, upstream)) as nexus:
        answer = await nexus.http.post(path, json=body)

    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (404, "endpoint_not_supported")
    assert (error["type"], error["param"]) == ("invalid_request_error", "model")
    assert path in error["message"]
    assert "/v1/chat/completions" in error["message"]
    assert answer.headers["x-should-retry"] == "false"
    assert upstream.received == []


async def test_audio_that_a_provider_does_not_hear_is_a_422_that_names_the_field(
    upstream: ScriptedUpstream,
) -> None:
    sound = {"type": "input_audio", "input_audio": {"data": "UklGRgAA", "format": "wav"}}
    heard = [{"role": "user", "content": [{"type": "text", "text": "hear"}, sound]}]

    async with nexus_with(of(ANTHROPIC, upstream)) as nexus:
        answer = await nexus.chat(messages=heard)
        foretold = await nexus.http.post("/nexus/explain", json={"model": "m", "messages": heard})

    error = error_of(answer)
    assert (answer.status_code, error["code"]) == (422, "unsupported_parameter")
    assert error["param"] == "messages[0].content[1]"
    assert answer.headers["x-should-retry"] == "false"
    assert foretold.json()["refused"] == {
        "status": 422,
        "code": "unsupported_parameter",
        "message": error["message"],
        "context": None,
    }
    assert upstream.received == []


@both
@pytest.mark.parametrize("length", [10, 40_000], ids=["short", "long"])
async def test_a_request_that_is_refused_sets_no_money_aside(
    provider: Provider, upstream: ScriptedUpstream, length: int
) -> None:
    said = [{"role": "user", "content": "x" * length}]

    async with nexus_with(of(provider, upstream)) as nexus:
        undoable = await nexus.chat(messages=said, audio={"voice": "alloy", "format": "mp3"})
        misshapen = await nexus.chat(messages=said, temperature="hot")
        budget = nexus.gateway.cost_tracker.budget
        held = [snapshot.in_flight for snapshot in nexus.gateway.registry.snapshots()]

    assert (undoable.status_code, misshapen.status_code) == (422, 400)
    assert (budget.reserved_nano_usd, budget.spent_nano_usd, held) == (0, 0, [0])
    assert upstream.received == []
