"""Bodies over a socket: compressed, mislabelled, hostile, slow; on the data plane and elsewhere."""

from __future__ import annotations

import asyncio
import codecs
import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest

from nexus_core.api.asgi import body as receipt
from nexus_core.api.asgi import encoding
from nexus_core.api.asgi.encoding import MAX_MEMBERS, STEP_BYTES, Inflater, as_utf8
from nexus_core.api.asgi.zstd import is_available
from nexus_core.config.schema import Config, ServerConfig
from nexus_core.errors import InvalidRequestError
from nexus_core.gateway import Gateway
from tests.api.in_thread import in_thread
from tests.api.listen.test_server import BODY, nexus, post, status, talk
from tests.contract.bodies import ANSWER, chat
from tests.contract.scripted_upstream import answers
from tests.scenarios.nexus import backend, running, upstreams
from tests.waiting import hasten, take_time

LIMIT = 2 * 1024 * 1024


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where a Nexus without backends takes bodies up to LIMIT."""
    with in_thread(lambda: Gateway(Config(server=ServerConfig(max_body_bytes=LIMIT)))) as found:
        yield found


def raw_deflate(data: bytes) -> bytes:
    made = zlib.compressobj(wbits=-15)
    return made.compress(data) + made.flush()


def in_members(data: bytes) -> bytes:
    middle = len(data) // 2
    return gzip.compress(data[:middle]) + gzip.compress(b"") + gzip.compress(data[middle:])


def as_it_is(data: bytes) -> bytes:
    return data


READ: list[tuple[str, bytes, Callable[[bytes], bytes]]] = [
    ("gzip", b"Content-Encoding: gzip", gzip.compress),
    ("GZIP", b"Content-Encoding: GZip", gzip.compress),
    ("x-gzip", b"Content-Encoding: x-gzip", gzip.compress),
    ("members", b"Content-Encoding: gzip", in_members),
    ("and identity", b"Content-Encoding: identity, gzip", gzip.compress),
    ("deflate", b"Content-Encoding: deflate", zlib.compress),
    ("raw deflate", b"Content-Encoding: deflate", raw_deflate),
    ("stored", b"Content-Encoding: gzip", lambda data: gzip.compress(data, 0)),
    ("identity", b"Content-Encoding: identity", as_it_is),
    ("empty", b"Content-Encoding:", as_it_is),
    ("utf-8", b"Content-Type: application/json; charset=utf-8", as_it_is),
    # A charset says nothing about JSON (RFC 8259 section 11), and neither does a form's type.
    ("latin-1", b"Content-Type: application/json; charset=iso-8859-1", as_it_is),
    ("utf-16 said", b"Content-Type: application/json; charset=utf-16", as_it_is),
    ("a form", b"Content-Type: application/x-www-form-urlencoded", as_it_is),
    ("text", b"Content-Type: text/plain", as_it_is),
    ("no type", b"X-Other: 1", as_it_is),
    ("a mark", b"Content-Type: application/json", lambda data: b"\xef\xbb\xbf" + data),
    ("a mark within", b"Content-Encoding: gzip", lambda d: gzip.compress(b"\xef\xbb\xbf" + d)),
]


@pytest.mark.parametrize("is_chunked", [False, True])
async def test_a_body_is_read_however_it_is_wrapped(is_chunked: bool) -> None:
    """And the backend gets it plain, with no label of the wrapping."""
    plain = json.dumps(chat("m", note="grüße 🦙"), ensure_ascii=False).encode()
    async with upstreams(answers(ANSWER)) as (up,), running(backend("a", up.url)) as served:
        for name, label, write in READ:
            answer = await talk(
                served.http.base_url.port or 0, labelled(label, write(plain), is_chunked)
            )

            assert status(answer) == 200, name
            assert up.last.body == plain, name
            assert up.last.header("content-encoding") is None, name
        assert len(up.received) == len(READ)


def labelled(label: bytes, body: bytes, is_chunked: bool) -> bytes:
    lines = [b"POST /v1/chat/completions HTTP/1.1", b"Host: localhost", b"Connection: close", label]
    if is_chunked:
        lines.append(b"Transfer-Encoding: chunked")
        body = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    else:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", b""]) + body


BOMB = gzip.compress(b" " * 8 * 1024 * 1024)
CUT = gzip.compress(BODY)[:-9]

# With a decoder, one that ends after its mark.
ZSTD: tuple[int, bytes] = (400, b"truncated") if is_available() else (415, b"'zstd'")

REFUSED: list[tuple[str, bytes, bytes, int, bytes]] = [
    ("a bomb", b"gzip", BOMB, 413, b"the body is larger than"),
    ("a bomb within a bomb", b"gzip", gzip.compress(BOMB * 2), 400, b"gzip"),
    (
        "a deflated bomb",
        b"deflate",
        zlib.compress(b" " * 8 * 1024 * 1024),
        413,
        b"the body is larger than",
    ),
    ("cut in its data", b"gzip", gzip.compress(BODY)[:20], 400, b"truncated"),
    ("cut in its checksum", b"gzip", gzip.compress(BODY)[:-4], 400, b"truncated"),
    ("cut in its head", b"gzip", b"\x1f\x8b\x08", 400, b"truncated"),
    ("plain after all", b"gzip", BODY, 400, b"not valid gzip"),
    ("garbage", b"gzip", b"\xff" * 100, 400, b"not valid gzip"),
    ("a wrong checksum", b"gzip", gzip.compress(BODY)[:-8] + b"\0" * 8, 400, b"not valid gzip"),
    ("something behind", b"gzip", gzip.compress(BODY) + b"x", 400, b"gzip"),
    ("members without end", b"gzip", gzip.compress(b"") * (MAX_MEMBERS + 1), 400, b"members"),
    ("plain deflate", b"deflate", BODY, 400, b"not valid deflate"),
    ("deflate with more behind", b"deflate", zlib.compress(BODY) + b"x", 400, b"after the end"),
    ("brotli", b"br", b"\x0b\x02\x80", 415, b"'br'"),
    ("zstandard", b"zstd", b"\x28\xb5\x2f\xfd", *ZSTD),
    ("compress", b"compress", b"\x1f\x9d", 415, b"'compress'"),
    ("twice", b"gzip, gzip", gzip.compress(gzip.compress(BODY)), 415, b"'gzip, gzip'"),
    ("two of them", b"deflate, gzip", BODY, 415, b"'deflate, gzip'"),
    ("unheard of", b"x-y\xff", BODY, 415, b"x-y"),
    ("not said", b"identity", gzip.compress(BODY), 400, b"Content-Encoding: gzip"),
    ("zstandard, not said", b"identity", b"\x28\xb5\x2f\xfd" + BODY, 400, b"zstd"),
    ("utf-16", b"identity", BODY.decode().encode("utf-16"), 400, b"UTF-8"),
    ("utf-16 without its mark", b"identity", BODY.decode().encode("utf-16-be"), 400, b"UTF-8"),
    ("latin-1", b"identity", b'{"model": "\xe4"}', 400, b"not UTF-8 at byte 11"),
]


@pytest.mark.parametrize(
    ("encoding", "sent", "expected", "said"),
    [case[1:] for case in REFUSED],
    ids=[case[0] for case in REFUSED],
)
@pytest.mark.parametrize("path", [b"/v1/chat/completions", b"/nexus/explain", b"/nexus/zones/open"])
async def test_what_cannot_be_read_is_named(
    port: int, encoding: bytes, sent: bytes, expected: int, said: bytes, path: bytes
) -> None:
    lines = [b"POST %b HTTP/1.1" % path, b"Host: localhost", b"Connection: close"]
    lines += [b"Content-Type: application/json", b"Content-Encoding: " + encoding]
    head = b"\r\n".join([*lines, b"Content-Length: %d" % len(sent), b"", b""])

    answer = await talk(port, head + sent)

    fields, _, body = answer.partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert status(answer) == expected
    assert error["type"] == "invalid_request_error"
    assert said.decode() in error["message"]
    assert (b"\r\naccept-encoding: gzip, deflate" in fields) == (expected == 415)
    if expected == 415:
        assert (error["code"], error["param"]) == (
            "unsupported_content_encoding",
            "Content-Encoding",
        )


def test_a_bomb_is_not_inflated_beyond_the_limit() -> None:
    bomb = gzip.compress(b" " * 64 * 1024 * 1024)
    tracemalloc.start()
    try:
        parts = Inflater("gzip").feed(bomb)
        taken = sum(len(next(parts)) for _ in range(4))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert 0 < taken <= 4 * STEP_BYTES
    assert peak < 4 * STEP_BYTES


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("write", [gzip.compress, zlib.compress, raw_deflate, in_members])
def test_where_a_body_is_split_makes_no_difference(
    encoding: str, write: Callable[[bytes], bytes]
) -> None:
    is_gzip = write in (gzip.compress, in_members)
    if is_gzip != (encoding == "gzip"):
        with pytest.raises(InvalidRequestError):
            list(Inflater(encoding).feed(write(BODY)))
        return
    sent = write(BODY * 20)
    for at in range(len(sent)):
        inflating = Inflater(encoding)

        found = b"".join([*inflating.feed(sent[:at]), *inflating.feed(sent[at:])])
        inflating.finish()

        assert found == BODY * 20


# --- the control plane has the limits of the data plane ---------------------------------------

COMMAND = [b"Host: localhost", b"Connection: close", b"Content-Type: application/json"]

# Every kind of path that FastAPI serves, or would refuse by itself.
PLACES = [
    b"GET /health",
    b"GET /v1/models",
    b"GET /v1/models/m",
    b"GET /v1/stats",
    b"GET /metrics",
    b"GET /docs",
    b"GET /openapi.json",
    b"GET /nexus/state",
    b"GET /nexus/events",
    b"GET /nexus/requests",
    b"POST /nexus/zones/open",
    b"POST /nexus/backends/none",
    b"POST /nexus/backends/none/probe",
    b"POST /nexus/capture",
    b"POST /nexus/reload",
    b"POST /nexus/save",
    b"POST /nexus/explain",
    b"POST /nexus/send",
    b"POST /nexus/requests/x/replay",
    b"POST /nexus/state",
    b"PUT /nexus/state",
    b"DELETE /v1/models/m",
    b"OPTIONS /nexus/state",
    b"POST /nowhere",
    b"POST /v1/responses/r/cancel",
    b"POST /v1/messages/count_tokens",
    b"POST /v1beta/models/m:countTokens",
    b"POST /api/show",
    b"POST /api/pull",
    b"POST /api/blobs/sha256:0",
    b"PATCH /nowhere",
]


@pytest.mark.parametrize("is_declared", [True, False])
@pytest.mark.parametrize("place", PLACES)
async def test_no_path_takes_a_body_over_the_limit(
    port: int, place: bytes, is_declared: bool
) -> None:
    size = LIMIT + 1
    length = b"Content-Length: %d" % size if is_declared else b"Transfer-Encoding: chunked"
    head = b"\r\n".join([place + b" HTTP/1.1", *COMMAND, length, b"", b""])
    whole = b"x" * size if is_declared else b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n"

    answer = await talk(port, head, whole)

    assert status(answer) == 413
    assert b"payload_too_large" in answer.lower()  # in the shape of errors of each API


STATS = b"GET /v1/stats HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def test_no_path_waits_for_a_body_that_does_not_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(receipt, "RECEIPT_TIMEOUT_SECONDS", 3)
    heads = [
        b"\r\n".join([place + b" HTTP/1.1", *COMMAND, b"Content-Length: 9", b"", b""])
        for place in PLACES
    ]

    async with nexus(max_body_bytes=LIMIT) as port:
        await talk(port, STATS)  # by now all routes are loaded, in a thread, which takes real time
        told = await hasten(asyncio.gather(*(talk(port, head + b"{") for head in heads)), 0.5)

    assert [status(answer) for answer in told] == [400] * len(PLACES)
    assert all(b"did not arrive within" in answer for answer in told)


async def test_the_head_and_the_body_share_one_time() -> None:
    """What trickles in has 30 s for all of it, not for each part."""
    head = post(length=len(BODY))
    async with nexus(max_body_bytes=LIMIT) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for part in (head[:9], head[9:40], head[40:]):
            writer.write(part)
            await take_time(8)
        writer.write(BODY[:5])
        await take_time(8)
        answer = await hasten(reader.read(), 1)
        writer.close()

    assert status(answer) == 400
    assert b"did not arrive within" in answer


async def test_a_body_that_nobody_reads_does_not_become_the_next_request(port: int) -> None:
    smuggled = b"GET /nexus/state HTTP/1.1\r\nHost: localhost\r\n\r\n"
    lines = [b"GET /health HTTP/1.1", b"Host: localhost", b"Content-Length: %d" % len(smuggled)]
    last = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    answer = await talk(port, b"\r\n".join([*lines, b"", b""]) + smuggled + last)

    assert answer.count(b"HTTP/1.1 200") == 2
    assert b"started_at" not in answer


async def test_a_command_is_never_as_long_as_a_prompt(port: int) -> None:
    """A body of brackets takes twenty times its length once it is parsed."""
    size = receipt.MAX_COMMAND_BYTES + 1
    head = [b"POST /nexus/zones/open HTTP/1.1", *COMMAND, b"Content-Length: %d" % size]
    prompt = [b"POST /nexus/explain HTTP/1.1", *COMMAND, b"Content-Length: %d" % size]

    refused = await talk(port, b"\r\n".join([*head, b"", b""]), b"[" * size)
    read = await talk(port, b"\r\n".join([*prompt, b"", b""]), b"[" * size)

    assert status(refused) == 413
    assert b"max_body_bytes" not in refused  # to raise it would not help
    assert status(read) == 400
    assert b"not valid JSON" in read


HOSTILE: list[tuple[str, bytes]] = [
    ("nothing", b""),
    ("deep lists", b"[" * 200_000),
    ("deep objects", b'{"a":' * 100_000),
    ("deep and whole", b'{"enabled":' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    ("a long number", b'{"enabled": ' + b"1" * 10_000 + b"}"),
    ("a large exponent", b'{"enabled": 1e999999}'),
    ("NaN", b'{"enabled": NaN}'),
    ("an infinity", b'{"enabled": -Infinity}'),
    ("a key twice", b'{"enabled": true, "enabled": false}'),
    ("a key twice within", b'{"enabled": {"a": 1, "a": 2}}'),
    ("half a surrogate", b'{"enabled": "\\ud800"}'),
    ("half a surrogate as key", b'{"enabled": true, "\\udfff": 1}'),
    ("a raw surrogate", b'{"enabled": "\xed\xa0\x80"}'),
    ("not UTF-8", b'{"enabled": "\xff"}'),
    ("a NUL", b'{"enabled": "\0"}'),
    ("a list", b"[]"),
    ("a word", b"true"),
    ("two values", b'{"enabled": true} {}'),
    ("cut off", b'{"enabled": tr'),
    ("a comment", b'{"enabled": true /* yes */}'),
    ("the wrong type", b'{"enabled": 1}'),
    ("more than is known", b'{"enabled": true, "x": {}}'),
    ("many keys", b"{" + b",".join(b'"k%d": 1' % n for n in range(50_000)) + b"}"),
]


@pytest.mark.parametrize("sent", [case[1] for case in HOSTILE], ids=[case[0] for case in HOSTILE])
async def test_hostile_json_is_a_400_that_says_so(port: int, sent: bytes) -> None:
    paths = (
        b"/nexus/zones/open",
        b"/nexus/capture",
        b"/nexus/backends/none",
        b"/nexus/requests/x/replay",
        b"/nexus/reload",
        b"/nexus/explain",
        b"/nexus/send",
    )
    for path in paths:
        lines = [b"POST %b HTTP/1.1" % path, *COMMAND, b"Content-Length: %d" % len(sent)]
        answer = await talk(port, b"\r\n".join([*lines, b"", b""]) + sent)

        error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
        assert status(answer) == 400, path
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_request")
        assert "error parsing the body" not in error["message"]


async def test_a_client_that_leaves_in_the_middle_of_a_command_is_no_failure(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    head = b"\r\n".join([b"POST /nexus/reload HTTP/1.1", *COMMAND, b"Content-Length: 99", b"", b""])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head + b"{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()

    assert status(await talk(port, post(length=len(BODY)) + BODY)) == 404

    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("beginning", sorted(encoding._PLAIN_BEGINNINGS))
def test_what_is_not_looked_at_begins_with_no_mark(beginning: bytes) -> None:
    marks = (codecs.BOM_UTF8[:2], *encoding._BEGINNINGS)

    assert beginning not in marks
    assert as_utf8(beginning + b"}") == beginning + b"}"
