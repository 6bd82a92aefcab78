"""A stream is asked for its usage where it costs something, and the client does not notice."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from nexus_core.catalog import BackendType
from nexus_core.config.schema import BackendConfig, ServerConfig
from tests.contract.bodies import ANSWER, chat
from tests.contract.scripted_upstream import Exchange, Script, ScriptedUpstream, answers, streams
from tests.scenarios.money import DONE, SPOKEN, ledger, priced, settled, usage_chunk, vendor
from tests.scenarios.nexus import CHAT, Nexus, cloud, hang_up, in_turn, say, told, upstreams
from tests.vendors.samples import ANTHROPIC, GOOGLE
from tests.waiting import take_time

WANTS = {"include_usage": True}
BODY = (
    b'{"model": "m",  "stream":true, "messages": [{"role":"user","content":"h\\u00e9"}], "x":1.0}'
)


async def sent_for(nexus: Nexus, up: ScriptedUpstream, body: bytes) -> bytes:
    await nexus.http.post(CHAT, content=body, headers={"Content-Type": "application/json"})
    return up.last.body


async def test_a_priced_backend_is_asked_and_nothing_else_changes(tmp_path: Path) -> None:
    async with (
        upstreams(streams([*SPOKEN, usage_chunk(), DONE])) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        sent = await sent_for(nexus, up, BODY)

    assert sent == b'{"stream_options": {"include_usage": true}, ' + BODY[1:]


@pytest.mark.parametrize("given", [{"include_obfuscation": False}, {}, {"include_usage": False}])
async def test_other_stream_options_are_kept(tmp_path: Path, given: dict[str, Any]) -> None:
    body = json.dumps(chat("m", stream=True, stream_options=given, seed=7)).encode()
    async with (
        upstreams(streams([*SPOKEN, usage_chunk(), DONE])) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        sent = json.loads(await sent_for(nexus, up, body))

    assert sent == json.loads(body) | {"stream_options": given | WANTS}


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ({"type": BackendType.VLLM}, chat("m", stream=True)),
        ({"models": ("mystery",)}, chat("mystery", stream=True)),
        ({}, chat("m")),
        ({}, chat("m", stream=True, stream_options=WANTS)),
    ],
    ids=["local", "unpriced", "whole", "asked-already"],
)
async def test_nobody_else_is_asked(
    tmp_path: Path, more: dict[str, Any], body: dict[str, Any]
) -> None:
    script = streams([*SPOKEN, usage_chunk(), DONE]) if body.get("stream") else answers({})
    content = json.dumps(body).encode()
    async with upstreams(script) as (up,):
        served: BackendConfig = cloud("a", up.url, **more)
        async with priced(served, folder=tmp_path) as nexus:
            sent = await sent_for(nexus, up, content)

    assert sent == content


@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["lf", "crlf"])
async def test_the_chunk_is_invisible_wherever_the_stream_is_split(
    tmp_path: Path, end: bytes
) -> None:
    with_it, without = (
        b"".join(parts).replace(b"\n", end)
        for parts in ((SPOKEN[0], SPOKEN[3], usage_chunk(), DONE), (SPOKEN[0], SPOKEN[3], DONE))
    )
    seen = []
    async with (
        upstreams(answers({})) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        for position in range(1, len(with_it)):
            up.script = streams([with_it[:position], with_it[position:]])
            answer = await nexus.ask(stream=True)
            seen.append(answer.content)
        await settled(nexus, len(seen))

    assert seen == [without] * len(seen)
    rows = ledger(tmp_path)
    assert {row["cost_nano_usd"] for row in rows} == {50_000_000}
    assert {row["is_partial"] for row in rows} == {0}


async def test_the_rest_passes_byte_for_byte(tmp_path: Path) -> None:
    odd = (
        b": a comment\n\n",
        b'data: {"choices":[{"delta":{"content":"h\\u00e9"},"index":0}],"usage":null,"x":1.0}\n\n',
        b"event: ping\ndata: {}\n\n",
        b'data:{"choices":[],"prompt_filter_results":[]}\n\n',
        b'data: {"choices":[{"delta":{},"index":0,"finish_reason":"stop"}], "usage": null}\n\n',
    )
    script = streams([*odd, usage_chunk(), DONE])
    async with upstreams(script) as (up,), priced(cloud("a", up.url), folder=tmp_path) as nexus:
        answer = await nexus.ask(stream=True)

    assert answer.content == b"".join([*odd, DONE])


async def test_a_client_that_asks_gets_it_before_the_end(tmp_path: Path) -> None:
    parts = [*SPOKEN, usage_chunk(), DONE]
    async with (
        upstreams(streams(parts)) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        body = chat("m", stream=True, stream_options=WANTS)
        answer = await nexus.http.post(CHAT, json=body)

    assert answer.content == b"".join(parts)


@pytest.mark.parametrize("provider", [ANTHROPIC, GOOGLE], ids=lambda p: p.type.value)
async def test_a_translated_stream_tells_it_only_who_asks(tmp_path: Path, provider: Any) -> None:
    async with (
        upstreams(streams(provider.events)) as (up,),
        priced(vendor(provider.type, up.url), folder=tmp_path) as nexus,
    ):
        silent = await nexus.ask(stream=True)
        asked = chat("m", stream=True, stream_options=WANTS)
        told = await nexus.http.post(CHAT, json=asked)

    assert b'"usage"' not in silent.content
    *_, last, end = told.text.rstrip("\n").split("\n\n")
    assert json.loads(last.removeprefix("data: "))["usage"]["total_tokens"] == 7
    assert end == "data: [DONE]"
    assert silent.text.endswith("data: [DONE]\n\n")


async def test_the_model_is_renamed_and_the_usage_asked_for_at_once(tmp_path: Path) -> None:
    bodies = itertools.permutations(
        ['"stream": true', '"model": "mine"', '"stream_options": {}', '"messages": [{"role":"u"}]']
    )
    async with upstreams(streams([*SPOKEN, usage_chunk(), DONE])) as (up,):
        served = cloud("a", up.url, models={"mine": "m"})
        async with priced(served, folder=tmp_path) as nexus:
            sent = [
                json.loads(await sent_for(nexus, up, f"{{{', '.join(fields)}}}".encode()))
                for fields in bodies
            ]

    expected = {"stream": True, "model": "m", "stream_options": WANTS}
    assert sent == [expected | {"messages": [{"role": "u"}]}] * 24


def strict(refusal: Script, *, of_all: bool = False) -> Script:
    """A server that takes no stream_options, or nothing at all."""

    async def script(exchange: Exchange) -> None:
        has_options = "stream_options" in json.loads(exchange.body)
        await (refusal if has_options or of_all else streams([*SPOKEN, DONE]))(exchange)

    return script


def told_by_event(fields: dict[str, Any]) -> Script:
    return streams([b": hello\n\n", b"data: " + json.dumps(fields).encode() + b"\n\n"])


MISTRAL = {
    "object": "error",
    "message": {
        "detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"], "input": {}}]
    },
    "type": "invalid_request_error",
}
GROQ = {"error": {"message": "property 'stream_options' is unsupported, did you mean 'stream'?"}}
REFUSALS: dict[str, Script] = {
    "mistral": answers(MISTRAL, 422),
    "groq": answers(GROQ, 400),
    "fastapi": answers({"detail": [{"loc": ["body"], "msg": "Extra inputs not permitted"}]}, 422),
    "says no more": answers({"error": {"message": "Bad Request"}}, 400),
    "nothing at all": answers(b"", 400),
    "an old server": answers(b"create() got an unexpected keyword argument 'stream_options'", 500),
    "under a good status": answers({"error": {**GROQ["error"], "code": 400}}),
    "under a good status, unnumbered": answers(GROQ),
    "an event": told_by_event(GROQ),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_refused_addition_is_left_out_and_that_is_remembered(
    tmp_path: Path, refusal: Script
) -> None:
    async with (
        upstreams(strict(refusal), say) as (up, spare),
        priced(
            cloud("a", up.url, models=("m", "n"), priority=90),
            cloud("spare", spare.url, priority=10),
            folder=tmp_path,
        ) as nexus,
    ):
        first = await nexus.ask(stream=True)
        again = await nexus.ask(stream=True)
        other = await nexus.ask("n", stream=True)
        await settled(nexus, 3)

    assert [told(answer) for answer in (first, again, other)] == [
        (200, "a", "capability-match")
    ] * 3
    assert first.content == again.content == b"".join([*SPOKEN, DONE])
    asked = ["stream_options" in json.loads(exchange.body) for exchange in up.received]
    assert asked == [True, False, False, False]
    assert (spare.received, nexus.failed()) == ([], [])
    assert [event.is_partial for event in nexus.finished()] == [False] * 3


async def test_the_clients_own_options_are_sent_again_and_nothing_else(tmp_path: Path) -> None:
    body = json.dumps(chat("m", stream=True, stream_options={"x": 1}, seed=7)).encode()

    async def script(exchange: Exchange) -> None:
        is_refused = b"include_usage" in exchange.body
        await (REFUSALS["groq"] if is_refused else streams([*SPOKEN, DONE]))(exchange)

    async with upstreams(script) as (up,), priced(cloud("a", up.url), folder=tmp_path) as nexus:
        sent = await sent_for(nexus, up, body)

    assert sent == body


async def test_what_is_refused_without_it_as_well_passes_on_and_is_not_remembered(
    tmp_path: Path,
) -> None:
    script = strict(answers(MISTRAL, 422), of_all=True)
    async with upstreams(script) as (up,), priced(cloud("a", up.url), folder=tmp_path) as nexus:
        refused = await nexus.ask(stream=True)
        up.script = streams([*SPOKEN, usage_chunk(), DONE])
        later = await nexus.ask(stream=True)

    assert (refused.status_code, refused.json()) == (422, MISTRAL)
    assert later.status_code == 200
    asked = ["stream_options" in json.loads(exchange.body) for exchange in up.received]
    assert asked == [True, False, True]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"message": "messages: at least one is needed"}),
        (404, {"message": "no such model"}),
        (400, {"message": "maximum context length is 4096 tokens"}),
    ],
)
async def test_a_refusal_about_something_else_is_not_asked_again(
    tmp_path: Path, status: int, error: dict[str, str]
) -> None:
    async with (
        upstreams(answers({"error": error}, status)) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert (answer.status_code, len(up.received)) == (status, 1)


async def test_the_client_that_asked_for_its_usage_itself_gets_the_refusal(tmp_path: Path) -> None:
    async with (
        upstreams(answers(GROQ, 400)) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        asked = chat("m", stream=True, stream_options=WANTS)
        answer = await nexus.http.post(CHAT, json=asked)

    assert (answer.status_code, answer.json(), len(up.received)) == (400, GROQ, 1)


async def test_a_backend_switched_off_meanwhile_is_not_asked_again(tmp_path: Path) -> None:
    async with (
        upstreams(answers({})) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):

        async def script(exchange: Exchange) -> None:
            nexus.gateway.registry.set_enabled("a", False)
            await answers(GROQ, 400)(exchange)

        up.script = script
        answer = await nexus.ask(stream=True)

    assert answer.status_code == 503
    assert len(up.received) == 1


async def test_a_second_try_that_gets_no_answer_is_not_told_with_the_status_of_the_first(
    tmp_path: Path,
) -> None:
    async with (
        upstreams(in_turn(REFUSALS["groq"], hang_up), say) as (up, spare),
        priced(
            cloud("a", up.url, priority=90),
            cloud("spare", spare.url, priority=10),
            folder=tmp_path,
        ) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert told(answer) == (200, "spare", "backend-failover")
    assert [event.attempt.status for event in nexus.failed()] == [None]


async def test_both_tries_are_within_one_wait_for_the_first_byte(tmp_path: Path) -> None:
    async def script(exchange: Exchange) -> None:
        await take_time(2)
        if b"stream_options" in exchange.body:
            await answers(GROQ, 400)(exchange)
        else:
            await exchange.closed.wait()

    async with upstreams(script) as (up,):
        server = ServerConfig(first_byte_timeout_seconds=3)
        async with priced(cloud("a", up.url), folder=tmp_path, server=server) as nexus:
            answer = await nexus.ask(stream=True)

    assert (answer.status_code, len(up.received)) == (504, 2)


async def test_a_server_that_ignores_it_is_asked_again_and_again(tmp_path: Path) -> None:
    async with (
        upstreams(streams([*SPOKEN, DONE])) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        for _ in range(2):
            answer = await nexus.ask(stream=True)

    assert answer.content == b"".join([*SPOKEN, DONE])
    assert all("stream_options" in json.loads(exchange.body) for exchange in up.received)


async def test_a_server_that_ignores_the_wish_for_a_stream_is_priced_as_it_tells(
    tmp_path: Path,
) -> None:
    async with (
        upstreams(answers(ANSWER)) as (up,),
        priced(cloud("a", up.url), folder=tmp_path) as nexus,
    ):
        answer = await nexus.ask(stream=True)
        await settled(nexus)

    assert answer.content.endswith(DONE)
    (row,) = ledger(tmp_path)
    assert (row["prompt_tokens"], row["completion_tokens"]) == (3, 4)
