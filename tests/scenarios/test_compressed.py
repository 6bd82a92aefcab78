"""Compressed answers that nobody asked for, whole and as streams, bounded."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import Any

import pytest

from nexus_core.config.schema import ServerConfig
from tests.contract.bodies import ANSWER, DONE, FIRST, HELLO, STOP, chat
from tests.contract.scripted_upstream import Exchange
from tests.scenarios.nexus import (
    CHAT,
    backend,
    cloud,
    error_of,
    running,
    say,
    told,
    upstreams,
)
from tests.scenarios.test_labels import WHOLE_STREAM, labelled
from tests.vendors.samples import ANTHROPIC, GOOGLE, TEXT


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def bits(data: bytes) -> list[bytes]:
    return [data[at : at + 7] for at in range(0, len(data), 7)]


PACKED: dict[str, tuple[str | None, Any]] = {
    "gzip": ("gzip", gzip.compress),
    "x-gzip": ("X-GZip", gzip.compress),
    "deflate": ("deflate", zlib.compress),
    "raw deflate": ("deflate", raw_deflate),
    "gzip under deflate": ("deflate", gzip.compress),
    "zlib under gzip": ("gzip", zlib.compress),
    "two members": ("gzip", lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:])),
    "padding": ("gzip", lambda data: gzip.compress(data) + b"\0" * 8),
    "unlabelled": (None, gzip.compress),
    "identity": ("identity", gzip.compress),
    "labelled and plain": ("gzip", bytes),
    "labelled br and plain": ("br", bytes),
    "deflate and plain": ("deflate", bytes),
}


@pytest.mark.parametrize(("label", "pack"), PACKED.values(), ids=PACKED)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_compressed_answer_nobody_asked_for_is_read(
    label: str | None, pack: Any, stream: bool
) -> None:
    plain = WHOLE_STREAM if stream else json.dumps(ANSWER).encode()
    kind = "text/event-stream" if stream else "application/json"
    headers = [("Content-Type", kind), *([("Content-Encoding", label)] if label else [])]
    async with (
        upstreams(labelled(bits(pack(plain)), *headers)) as (first,),
        running(backend("first", first.url)) as nexus,
    ):
        answer = await nexus.ask(stream=stream)

    assert (answer.status_code, answer.content) == (200, plain)
    assert "content-encoding" not in answer.headers
    assert first.last.header("accept-encoding") == "identity"
    assert not nexus.finished()[0].failed


async def test_pieces_of_a_compressed_stream_pass_as_they_come() -> None:
    packer, gate = zlib.compressobj(wbits=31), asyncio.Event()
    begun = packer.compress(FIRST + HELLO) + packer.flush(zlib.Z_SYNC_FLUSH)
    rest = packer.compress(STOP + DONE) + packer.flush()

    async def script(exchange: Exchange) -> None:
        head = [("Content-Type", "text/event-stream"), ("Content-Encoding", "gzip")]
        await exchange.send_head(200, [*head, ("Transfer-Encoding", "chunked")])
        await exchange.send_chunk(begun)
        await gate.wait()
        await exchange.send_chunk(rest)
        await exchange.send(b"0\r\n\r\n")

    async with (
        upstreams(script) as (first,),
        running(backend("first", first.url)) as nexus,
        nexus.http.stream("POST", CHAT, json=chat("m", stream=True)) as answer,
    ):
        received = b""
        async for part in answer.aiter_raw():
            received += part
            if received == FIRST + HELLO:
                gate.set()

    assert received == FIRST + HELLO + STOP + DONE


@pytest.mark.parametrize("status", [400, 429, 500])
async def test_a_compressed_error_is_read(status: int) -> None:
    error = {"error": {"message": "no, sk-first-0123456789"}}
    packed = gzip.compress(json.dumps(error).encode())
    headers = (("Content-Type", "application/json"), ("Content-Encoding", "gzip"))
    async with (
        upstreams(labelled([packed], *headers, status=status)) as (first,),
        running(cloud("first", first.url)) as nexus,
    ):
        answer = await nexus.ask()

    assert (answer.status_code, error_of(answer)["message"]) == (status, "no, [key]")


SMALL = ServerConfig(max_response_bytes=100_000)
BOMB = gzip.compress(b'{"choices":[{"message":{"content":"' + b"x" * 50_000_000 + b'"}}]}')
EVENT_BOMB = gzip.compress(b'data: {"choices":[{"delta":{"content":"' + b"x" * 50_000_000)
CUT = gzip.compress(json.dumps(ANSWER).encode())[:-9]

UNREADABLE: dict[str, tuple[str | None, bytes, bool]] = {
    "a bomb": ("gzip", BOMB, False),
    "an unlabelled bomb": (None, BOMB, False),
    "a bomb for a stream": ("gzip", BOMB, True),
    "cut": ("gzip", CUT, False),
    "cut and unlabelled": (None, CUT, False),
    "damaged": ("gzip", gzip.compress(b"{}")[:12] + b"\xff" * 20, False),
    "brotli": ("br", b"\x0b\x02\x80{}\x03", False),
    "zstd": ("zstd", b"\x28\xb5\x2f\xfd\x04\x00", True),
    "twice": ("gzip, br", gzip.compress(b"{}"), False),
    "not deflate": ("deflate", b"\xff\xff\xff\xff", False),
}


@pytest.mark.parametrize(("label", "body", "stream"), UNREADABLE.values(), ids=UNREADABLE)
async def test_what_can_not_be_read_or_has_no_end_fails_over(
    label: str | None, body: bytes, stream: bool
) -> None:
    headers = [("Content-Type", "application/json")]
    headers += [("Content-Encoding", label)] if label else []
    async with (
        upstreams(labelled([body], *headers), say) as (first, second),
        running(
            backend("first", first.url, priority=90),
            backend("second", second.url, priority=10),
            server=SMALL,
        ) as nexus,
    ):
        answer = await nexus.ask(stream=stream)

    assert told(answer) == (200, "second", "backend-failover")


async def test_a_bomb_of_a_stream_is_cut_off_at_the_limit() -> None:
    headers = [("Content-Type", "text/event-stream"), ("Content-Encoding", "gzip")]
    async with (
        upstreams(labelled([EVENT_BOMB], *headers)) as (first,),
        running(backend("first", first.url), server=SMALL) as nexus,
    ):
        answer = await nexus.ask(stream=True)

    assert len(answer.content) < 200_000
    assert b"over 100000 bytes" in answer.content
    assert DONE not in answer.content


@pytest.mark.parametrize("provider", [ANTHROPIC, GOOGLE], ids=lambda p: p.type.value)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("label", ["gzip", None])
async def test_a_translated_answer_may_be_compressed_and_mislabelled(
    provider: Any, stream: bool, label: str | None
) -> None:
    plain = b"".join(provider.events) if stream else json.dumps(provider.answer).encode()
    headers = [("Content-Type", "text/plain"), *([("Content-Encoding", label)] if label else [])]
    served = {"type": provider.type, "models": {"m": provider.model}}
    async with (
        upstreams(labelled(bits(gzip.compress(plain)), *headers)) as (first,),
        running(cloud("a", first.url, **served)) as nexus,
    ):
        answer = await nexus.ask(stream=stream)

    assert answer.status_code == 200
    if stream:
        events = [json.loads(line[6:]) for line in answer.text.split("\n\n")[:-2]]
        said = [choice["delta"].get("content") or "" for e in events for choice in e["choices"]]
        assert "".join(said) == TEXT
    else:
        assert answer.json()["choices"][0]["message"]["content"] == TEXT
