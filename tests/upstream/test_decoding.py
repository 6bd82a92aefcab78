"""Compressed bodies that nobody asked for, wherever their bytes are split."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from contextlib import suppress
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.upstream.base import UpstreamProtocolError, UpstreamResponse
from nexus_core.upstream.decoding import decoded, inflate_whole
from tests.proxy.fakes import ScriptedResponse, split_at
from tests.upstream.test_engines import pieces_of
from tests.waiting import turns

BODY = b'{"choices": [' + b'"' + bytes(range(97, 123)) * 40 + b'"]}'


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def decode(response: ScriptedResponse, limit: int) -> UpstreamResponse:
    return decoded(cast("UpstreamResponse", response), limit)


async def read(parts: list[bytes], label: str, limit: int = 1_000_000) -> bytes:
    response = ScriptedResponse(*parts, headers=(("content-encoding", label),))
    return b"".join(await pieces_of(decode(response, limit)))


@pytest.mark.parametrize(
    ("label", "packed"),
    [
        ("gzip", gzip.compress(BODY)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
        ("gzip", gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])),
        ("gzip", BODY),
    ],
    ids=["gzip", "deflate", "raw deflate", "two members", "plain"],
)
async def test_a_body_is_the_same_wherever_it_is_split(label: str, packed: bytes) -> None:
    for position in range(len(packed) + 1):
        parts = [part for part in split_at(packed, position) if part]

        assert await read(parts, label) == BODY, position


@pytest.mark.parametrize("limit", [0, 1, 1000, len(BODY) - 1])
async def test_nothing_comes_out_beyond_the_limit(limit: int) -> None:
    packed = gzip.compress(BODY)

    with pytest.raises(UpstreamProtocolError, match=f"over {limit} bytes"):
        await read([packed], "gzip", limit)
    with pytest.raises(UpstreamProtocolError, match=f"over {limit} bytes"):
        inflate_whole(packed, limit)
    assert await read([packed], "gzip", len(BODY)) == BODY
    assert inflate_whole(packed, len(BODY)) == BODY


async def test_a_bomb_comes_in_pieces_of_bounded_size() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    response = ScriptedResponse(bomb, headers=(("content-encoding", "gzip"),))

    sizes = [len(piece) for piece in await pieces_of(decode(response, 10_000_000))]

    assert (sum(sizes), max(sizes) <= 64 * 1024) == (10_000_000, True)


@given(st.binary(max_size=200), st.sampled_from(("gzip", "deflate", "br", "zstd", "x")))
async def test_rubbish_is_an_error_or_passes_and_never_crashes(data: bytes, label: str) -> None:
    with suppress(UpstreamProtocolError):
        assert isinstance(await read([data], label), bytes)


async def test_cancelling_a_read_loses_nothing_of_what_is_decompressed() -> None:
    gate, packed = asyncio.Event(), gzip.compress(BODY)
    response = ScriptedResponse(
        packed[:9], gate, packed[9:], headers=(("content-encoding", "gzip"),)
    )
    plain = decode(response, 10_000)
    reading = asyncio.ensure_future(plain.read())
    await turns(3)
    reading.cancel()
    await asyncio.wait([reading])
    gate.set()

    assert b"".join(await pieces_of(plain)) == BODY


async def test_no_label_costs_nothing() -> None:
    response = ScriptedResponse(BODY, headers=(("content-type", "application/json"),))

    assert cast("object", decode(response, 10)) is response
