"""A stream is asked for its usage where it costs something, and the client does not notice."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from nexus_core.config import BackendConfig
from nexus_core.types import BackendType
from tests.contract.bodies import chat
from tests.contract.scripted_upstream import ScriptedUpstream, answers, streams
from tests.providers.samples import ANTHROPIC, GOOGLE
from tests.scenarios.money import DONE, SPOKEN, ledger, priced, settled, usage_chunk, vendor
from tests.scenarios.nexus import CHAT, Nexus, cloud, upstreams

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
