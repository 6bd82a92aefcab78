"""Which headers of a backend's answer pass, and what every stream says to those in between."""

from __future__ import annotations

import pytest

from nexus_core.catalog import BackendType
from tests.contract.bodies import ANSWER, STREAM
from tests.contract.scripted_upstream import Script, answers, streams
from tests.scenarios.nexus import backend, cloud, running, upstreams
from tests.vendors.samples import ANTHROPIC, GOOGLE, Provider

PASSED = {
    "x-should-retry": "false",  # openai and anthropic obey it
    "retry-after-ms": "1500",  # openai and anthropic read it before Retry-After
    "x-request-id": "req_1",  # openai shows it
    "request-id": "req_2",  # anthropic shows it
    "openai-processing-ms": "12",
    "cf-ray": "8f-FRA",
    "x-ratelimit-limit-requests": "10",
    "x-ratelimit-reset-tokens": "6m0s",
    "x-ratelimit-reset": "1741305600000",  # OpenRouter
    "ratelimit": '"default";r=50;t=30',  # the draft of the HTTP working group
    "ratelimit-policy": '"default";q=100;w=60',
    "anthropic-ratelimit-tokens-reset": "2027-01-15T08:00:00Z",
}
KEPT = {
    "set-cookie": "a=b",
    "x-nexus-backend": "spoofed",
    "server": "x",
    "openai-organization": "org-secret",
    "access-control-allow-origin": "*",
    "link": "</x>; rel=preload",
    "x-frame-options": "DENY",
    "alt-svc": 'h3=":443"',
}


@pytest.mark.parametrize("status", [200, 429])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_clients_act_upon_passes_and_nothing_else(status: int, stream: bool) -> None:
    headers = [*PASSED.items(), *KEPT.items()]
    script: Script = answers(ANSWER, status, headers)
    if stream and status == 200:
        script = streams(STREAM, headers=headers)
    async with upstreams(script) as (first,), running(backend("a", first.url)) as nexus:
        answer = await nexus.ask(stream=stream)

    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in PASSED} == PASSED
    assert answer.headers["x-nexus-backend"] == "a"
    assert not (KEPT.keys() - {"x-nexus-backend", "server"}) & answer.headers.keys()
    assert answer.headers.get("server") != "x"


async def test_a_header_that_comes_twice_passes_once() -> None:
    headers = [("x-request-id", "one"), ("X-Request-Id", "two"), ("Retry-After", "2")]
    headers += [("Retry-After", "9"), ("x-should-retry", "true"), ("x-should-retry", "false")]
    async with (
        upstreams(answers(ANSWER, 429, headers)) as (first,),
        running(backend("a", first.url)) as nexus,
    ):
        answer = await nexus.ask()

    names = ("x-request-id", "retry-after", "x-should-retry")
    assert [answer.headers.get_list(name) for name in names] == [["one"], ["9"], ["true"]]


SPEAKS: dict[str, tuple[BackendType, str, Script]] = {
    "says nothing": (BackendType.VLLM, "m", streams(STREAM)),
    "says so": (
        BackendType.VLLM,
        "m",
        streams(STREAM, headers=[("Cache-Control", "no-cache"), ("X-Accel-Buffering", "no")]),
    ),
    "says otherwise": (
        BackendType.OPENAI,
        "m",
        streams(STREAM, headers=[("Cache-Control", "max-age=9"), ("X-Accel-Buffering", "yes")]),
    ),
    "whole": (BackendType.VLLM, "m", answers(ANSWER)),
    "anthropic": (BackendType.ANTHROPIC, ANTHROPIC.model, streams(ANTHROPIC.events)),
    "google": (BackendType.GOOGLE, GOOGLE.model, streams(GOOGLE.events)),
}


@pytest.mark.parametrize(("kind", "model", "script"), SPEAKS.values(), ids=SPEAKS)
async def test_every_stream_says_how_it_is_to_be_proxied(
    kind: BackendType, model: str, script: Script
) -> None:
    async with (
        upstreams(script) as (first,),
        running(cloud("a", first.url, type=kind, models={"m": model})) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert answer.status_code == 200
    assert answer.headers.get_list("cache-control") == ["no-cache"]
    assert answer.headers.get_list("x-accel-buffering") == ["no"]


@pytest.mark.parametrize("status", [200, 400])
async def test_what_is_no_stream_says_nothing_of_it(status: int) -> None:
    async with (
        upstreams(answers(ANSWER, status)) as (first,),
        running(backend("a", first.url)) as nexus,
    ):
        answer = await nexus.ask(stream=status == 400)

    assert "x-accel-buffering" not in answer.headers


@pytest.mark.parametrize("provider", [ANTHROPIC, GOOGLE], ids=lambda p: p.type.value)
async def test_a_translated_wait_is_rounded_up(provider: Provider) -> None:
    body, headers = provider.busy
    asked = (("Retry-After", "6.1"),) if headers else ()
    async with (
        upstreams(answers(body, 429, asked)) as (first,),
        running(cloud("a", first.url, type=provider.type, models={"m": provider.model})) as nexus,
    ):
        answer = await nexus.ask()

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
