"""Bodies in zstd, where there is a decoder: whole, in pieces, in frames, cut, and as bombs."""

from __future__ import annotations

import json
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.api.asgi.encoding import STEP_BYTES
from nexus_core.api.asgi.zstd import MAX_FRAMES, ZstdInflater, is_available
from nexus_core.config.schema import Config, ServerConfig
from nexus_core.errors import InvalidRequestError
from nexus_core.gateway import Gateway
from tests.api.in_thread import in_thread
from tests.api.listen.test_server import status, talk
from tests.contract.bodies import ANSWER, chat
from tests.contract.scripted_upstream import answers
from tests.scenarios.nexus import backend, running, upstreams

pytestmark = pytest.mark.skipif(
    not is_available(), reason="zstd needs Python 3.14, or the extra `zstd`"
)
LIMIT = 2 * 1024 * 1024


def zstd() -> Any:
    try:
        return import_module("compression.zstd")
    except ImportError:
        return import_module("backports.zstd")


def request(sent: bytes) -> bytes:
    lines = [b"POST /v1/chat/completions HTTP/1.1", b"Host: localhost", b"Connection: close"]
    lines += [b"Content-Encoding: zstd", b"Content-Length: %d" % len(sent)]
    return b"\r\n".join([*lines, b"", b""]) + sent


async def test_the_backend_gets_it_plain() -> None:
    plain = json.dumps(chat("m", note="grüße" * 1000), ensure_ascii=False).encode()
    async with upstreams(answers(ANSWER)) as (up,), running(backend("a", up.url)) as served:
        answer = await talk(served.http.base_url.port or 0, request(zstd().compress(plain)))

    assert status(answer) == 200
    assert up.last.body == plain
    assert up.last.header("content-encoding") is None


async def test_a_bomb_is_too_large() -> None:
    bomb = zstd().compress(b" " * 64 * 1024 * 1024)
    with in_thread(lambda: Gateway(Config(server=ServerConfig(max_body_bytes=LIMIT)))) as port:
        answer = await talk(port, request(bomb))

    assert len(bomb) < 10_000
    assert status(answer) == 413


@given(st.binary(max_size=5000), st.integers(1, 100), st.integers(1, 3))
def test_it_is_the_same_however_it_is_cut(data: bytes, size: int, frames: int) -> None:
    written = zstd().compress(data) * frames
    inflater = ZstdInflater(STEP_BYTES)

    parts = [
        part
        for at in range(0, len(written), size)
        for part in inflater.feed(written[at : at + size])
    ]
    inflater.finish()

    assert b"".join(parts) == data * frames


def test_no_part_is_larger_than_a_step() -> None:
    inflater = ZstdInflater(1000)

    parts = list(inflater.feed(zstd().compress(b"x" * 50_500)))

    assert max(map(len, parts)) <= 1000
    assert sum(map(len, parts)) == 50_500


def whole() -> bytes:
    written: bytes = zstd().compress(b"x" * 1000)
    return written


def read(sent: bytes) -> None:
    inflater = ZstdInflater(STEP_BYTES)
    list(inflater.feed(sent))
    inflater.finish()


def test_what_is_no_zstd_is_told() -> None:
    empty: bytes = zstd().compress(b"")
    for sent, said in (
        (whole()[:-3], "truncated"),
        (whole() + b"x", "truncated|not valid"),
        (b'{"model": "m", "messages": []}', "not valid"),
        (empty * (MAX_FRAMES + 1), "frames"),
    ):
        with pytest.raises(InvalidRequestError, match=said):
            read(sent)


def test_a_window_over_8_mib_is_refused() -> None:
    parameters = {zstd().CompressionParameter.window_log: 25}
    made = zstd().ZstdCompressor(options=parameters)
    written = made.compress(b"x" * 100) + made.flush()

    with pytest.raises(InvalidRequestError, match="not valid zstd"):
        list(ZstdInflater(STEP_BYTES).feed(written))
