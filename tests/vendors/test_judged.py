"""Failures that Anthropic and Google tell under a good status: judged as their status would be."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, ServerConfig
from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.providers import create_agent
from nexus_core.providers.http import AgentSettings
from nexus_core.proxy.deadlines import Deadlines
from nexus_core.proxy.exchange import AttemptFailedError, Exchange
from nexus_core.proxy.judge.fault import FailureKind
from nexus_core.proxy.retry_after import retry_after_seconds
from nexus_core.types import Operation
from nexus_core.upstream import create_engine
from tests.contract.scripted_upstream import Script, ScriptedUpstream, answers, streams
from tests.vendors.live import KEY, backend, nexus_with
from tests.vendors.samples import ANTHROPIC, GOOGLE, Provider, both, event
from tests.vendors.test_errors import error_of, of, spare_of


def anthropic(kind: str, message: str = "said") -> dict[str, Any]:
    return {"type": "error", "error": {"type": kind, "message": message}}


def google(code: int, status: str, message: str = "said", **more: Any) -> dict[str, Any]:
    return {"error": {"code": code, "status": status, "message": message, **more}}


TOLD: list[tuple[Provider, Any, int, FailureKind]] = [
    (ANTHROPIC, anthropic("overloaded_error"), 529, FailureKind.FAILED),
    (ANTHROPIC, anthropic("rate_limit_error"), 429, FailureKind.BUSY),
    (ANTHROPIC, anthropic("billing_error"), 402, FailureKind.NO_CREDIT),
    (ANTHROPIC, anthropic("permission_error"), 403, FailureKind.FORBIDDEN),
    (ANTHROPIC, anthropic("api_error"), 500, FailureKind.FAILED),
    (GOOGLE, google(503, "UNAVAILABLE"), 503, FailureKind.FAILED),
    (GOOGLE, [google(429, "RESOURCE_EXHAUSTED")], 429, FailureKind.BUSY),
    (GOOGLE, google(403, "PERMISSION_DENIED"), 403, FailureKind.FORBIDDEN),
]


async def failure_of(provider: Provider, url: str, *, stream: bool) -> AttemptFailedError:
    """How one exchange with the provider fails."""
    config: BackendConfig = backend(provider.type, url, provider.model)
    engine = create_engine("http1")
    agent = create_agent(config, engine, AgentSettings())
    body = {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "x"}]}
    request = read_request(Operation.CHAT, json.dumps(body).encode())
    exchange = Exchange(agent, ServerConfig(), Deadlines(), lambda: True)
    try:
        with pytest.raises(AttemptFailedError) as caught:
            await exchange.open(agent.prepare(request, provider.model), 60)
        return caught.value
    finally:
        await exchange.close()
        await engine.close()


@pytest.mark.parametrize(("provider", "body", "status", "kind"), TOLD)
@pytest.mark.parametrize("form", ["whole", "event", "body of a stream"])
async def test_an_error_under_a_good_status_counts_as_its_status(
    upstream: ScriptedUpstream,
    spare: ScriptedUpstream,
    provider: Provider,
    body: Any,
    status: int,
    kind: FailureKind,
    form: str,
) -> None:
    upstream.script = streams([event(body)]) if form == "event" else answers(body)
    stream = form != "whole"

    failed = await failure_of(provider, upstream.url, stream=stream)
    async with nexus_with(of(provider, upstream), spare_of(spare)) as nexus:
        another = await nexus.chat()
    async with nexus_with(of(provider, upstream)) as nexus:
        alone = await nexus.chat(stream=stream)

    assert (failed.failure.kind, failed.failure.status) == (kind, status)
    assert another.headers["x-nexus-route-reason"] == "backend-failover"
    assert alone.status_code == status
    assert "said" in error_of(alone)["message"]


@pytest.mark.parametrize(
    ("provider", "body"),
    [
        (ANTHROPIC, anthropic("invalid_request_error", f"messages: too many, {KEY}")),
        (GOOGLE, google(400, "INVALID_ARGUMENT", f"too many, {KEY}")),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_about_the_request_passes_on_and_is_not_retried(
    upstream: ScriptedUpstream, spare: ScriptedUpstream, provider: Provider, body: Any, stream: bool
) -> None:
    upstream.script = streams([event(body)]) if stream else answers(body)

    async with nexus_with(of(provider, upstream), spare_of(spare)) as nexus:
        answer = await nexus.chat(stream=stream)

    assert answer.status_code == 400
    assert "too many, [key]" in error_of(answer)["message"]
    assert spare.received == []


@both
async def test_a_wrong_key_told_in_a_stream_is_a_refused_key(
    provider: Provider, upstream: ScriptedUpstream
) -> None:
    upstream.script = streams([event(provider.wrong_key[1])])

    async with nexus_with(of(provider, upstream)) as nexus:
        answer = await nexus.chat(stream=True)

    assert (answer.status_code, error_of(answer)["code"]) == (502, "upstream_auth_failed")


@pytest.mark.parametrize("stream", [False, True])
async def test_a_wait_that_google_tells_inside_is_passed_on_rounded_up(
    upstream: ScriptedUpstream, stream: bool
) -> None:
    info = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"}
    body = google(429, "RESOURCE_EXHAUSTED", details=[info])
    upstream.script = streams([event(body)]) if stream else answers(body)

    failed = await failure_of(GOOGLE, upstream.url, stream=stream)
    async with nexus_with(of(GOOGLE, upstream)) as nexus:
        answer = await nexus.chat(stream=stream)

    assert retry_after_seconds(failed.failure.headers, 0.0) == 34.07
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "35")


FAILED_MODELS = [
    "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL",
    "MISSING_THOUGHT_SIGNATURE",
    "MALFORMED_RESPONSE",
]


@pytest.mark.parametrize("reason", FAILED_MODELS)
@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_model_spoilt_counts_against_nobody_and_fails_over(
    upstream: ScriptedUpstream, spare: ScriptedUpstream, reason: str, stream: bool
) -> None:
    body = {"candidates": [{"finishReason": reason, "finishMessage": "print(x)"}]}
    upstream.script = streams([event(body)]) if stream else answers(body)

    failed = await failure_of(GOOGLE, upstream.url, stream=stream)
    async with nexus_with(of(GOOGLE, upstream), spare_of(spare)) as nexus:
        answer = await nexus.chat()

    assert (failed.failure.kind, failed.failure.status) == (FailureKind.REFUSED_CONTENT, 502)
    assert reason in failed.failure.why
    assert answer.headers["x-nexus-route-reason"] == "backend-failover"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_blocked_prompt_is_an_answer(upstream: ScriptedUpstream, stream: bool) -> None:
    body = {"promptFeedback": {"blockReason": "SAFETY"}}
    upstream.script = streams([event(body)]) if stream else answers(body)

    async with nexus_with(of(GOOGLE, upstream)) as nexus:
        answer = await nexus.chat(stream=stream)

    assert answer.status_code == 200
    assert "content_filter" in answer.text


def begun(provider: Provider, then: bytes) -> Script:
    """The provider's first event, which tells no more than a role, then this."""
    return streams([provider.events[0], then])


async def test_an_error_after_anthropics_first_event_still_fails_over(
    upstream: ScriptedUpstream, spare: ScriptedUpstream
) -> None:
    upstream.script = begun(ANTHROPIC, ANTHROPIC.error_event)
    spare_config = spare_of(spare)
    spare.script = streams(
        [
            b'data: {"choices":[{"index":0,"delta":{"content":"spare"}}]}\n\n',
            b"data: [DONE]\n\n",
        ]
    )

    async with nexus_with(of(ANTHROPIC, upstream), spare_config) as nexus:
        answer = await nexus.chat(stream=True)

    assert answer.headers["x-nexus-route-reason"] == "backend-failover"
    assert b"spare" in answer.content


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, b"{}", FailureKind.REFUSED_KEY),
        (402, b"{}", FailureKind.NO_CREDIT),
        (403, b'{"error": {"message": "not in your region"}}', FailureKind.FORBIDDEN),
        (403, b'{"error": {"message": "Invalid API key"}}', FailureKind.REFUSED_KEY),
        (403, b'{"error": {"message": "flagged by moderation"}}', FailureKind.REFUSED_CONTENT),
        (429, b'{"error": {"message": "slow"}}', FailureKind.BUSY),
        (429, b'{"error": {"message": "your organization is busy"}}', FailureKind.ACCOUNT_BUSY),
        (429, b'{"error": {"code": "insufficient_quota"}}', FailureKind.NO_CREDIT),
        (500, b"oops", FailureKind.FAILED),
        (529, b"", FailureKind.FAILED),
    ],
)
async def test_a_status_line_has_its_kind(
    upstream: ScriptedUpstream, status: int, body: bytes, kind: FailureKind
) -> None:
    upstream.script = answers(body, status)
    plain = replace(ANTHROPIC, type=BackendType.OPENAI, model="m")

    failed = await failure_of(plain, upstream.url, stream=False)

    assert (failed.failure.kind, failed.failure.status) == (kind, status)
