"""Compressed bodies that nobody asked for, wherever their bytes are split."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import AsyncGenerator
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.upstream.base import UpstreamProtocolError
from nexus_core.upstream.decoding import decoded, inflate_whole
from tests.proxy.fakes import ScriptedResponse, split_at

BODY = b'{"choices": [' + b'"' + bytes(range(97, 123)) * 40 + b'"]}'


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


async def read(parts: list[bytes], label: str, limit: int = 1_000_000) -> bytes:
    response = ScriptedResponse(*parts, headers=(("content-encoding", label),))
    pieces: AsyncGenerator[bytes] = decoded(response, limit).chunks()
    return b"".join([piece async for piece in pieces])


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

    sizes = [len(piece) async for piece in decoded(response, 10_000_000).chunks()]

    assert (sum(sizes), max(sizes) <= 64 * 1024) == (10_000_000, True)


@given(st.binary(max_size=200), st.sampled_from(("gzip", "deflate", "br", "zstd", "x")))
async def test_rubbish_is_an_error_or_passes_and_never_crashes(data: bytes, label: str) -> None:
    with suppress(UpstreamProtocolError):
        assert isinstance(await read([data], label), bytes)


async def test_no_label_costs_nothing() -> None:
    response = ScriptedResponse(BODY, headers=(("content-type", "application/json"),))

    assert decoded(response, 10) is response
