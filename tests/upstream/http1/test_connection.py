"""What comes on a connection, byte by byte: where answers begin and end, and what spoils it."""

from __future__ import annotations

import asyncio

import pytest

from nexus_core.upstream.base import (
    MAX_HEAD_BYTES,
    UpstreamProtocolError,
    UpstreamRequest,
)
from nexus_core.upstream.http1.answer import READ_AHEAD_BYTES
from tests.faults.raw_server import CHUNKED, LAST_CHUNK, answer_bytes, chunk_bytes, head_bytes
from tests.upstream.http1.backends import Backend, whole
from tests.waiting import pass_time, settled, turns

OK = b"HTTP/1.1 200 OK\r\n"
IN_CHUNKS = head_bytes(200, [CHUNKED])
OLD = b"HTTP/1.0 200 OK\r\n"


async def is_kept(backend: Backend) -> bool:
    """Whether the next request goes out on the same connection."""
    await settled()
    before = len(backend.transports)
    asking = backend.ask()
    await settled()
    asking.cancel()
    return len(backend.transports) == before


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (answer_bytes(b"hello"), b"hello"),
        (answer_bytes(b""), b""),
        (
            IN_CHUNKS + chunk_bytes(b"hel") + chunk_bytes(b"lo") + LAST_CHUNK,
            b"hello",
        ),
        (
            IN_CHUNKS + b"5;name=value\r\nhello\r\n0\r\nX-Trailer: 1\r\n\r\n",
            b"hello",
        ),
        (IN_CHUNKS + b"5 \t\r\nhello\r\n0  \r\n\r\n", b"hello"),
        (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", b"hello"),
        (b"HTTP/1.1 200\nContent-Length: 5\n\nhello", b"hello"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (OLD + b"Connection: keep-alive\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (head_bytes(100) + head_bytes(103, [("Link", "x")]) + answer_bytes(b"hi"), b"hi"),
        (b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n" + answer_bytes(b"hi"), b"hi"),
        (OK + b"Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    ],
)
async def test_an_answer_is_the_same_wherever_it_is_split(said: bytes, body: bytes) -> None:
    for position in range(len(said) + 1):
        backend = Backend()
        asking = backend.ask()
        await backend.say(*(piece for piece in (said[:position], said[position:]) if piece))
        answer = await asking

        assert await whole(answer) == body, position
        assert "x-trailer" not in dict(answer.headers)
        assert await is_kept(backend), position


async def test_blanks_around_a_value_are_no_part_of_it() -> None:
    backend = Backend()
    asking = backend.ask()
    await backend.say(OK + b"A: \t b c \t \r\nB:\r\nContent-Length: 0\r\n\r\n")

    assert (await asking).headers == (("a", "b c"), ("b", ""), ("content-length", "0"))


async def test_the_answer_to_a_head_has_no_body_whatever_it_says() -> None:
    backend = Backend()
    request = UpstreamRequest("HEAD", "http://backend.test/", ())
    asking = asyncio.ensure_future(backend.engine.send(request, connect_timeout_seconds=5))
    await backend.say(OK + b"Content-Length: 100\r\n\r\n")
    answer = await asking

    assert dict(answer.headers)["content-length"] == "100"
    assert await whole(answer) == b""
    assert not await is_kept(backend)  # the parser would wait for it


async def test_one_read_of_the_socket_is_one_piece() -> None:
    backend = Backend()
    asking = backend.ask()
    events = b"".join(chunk_bytes(b"data: %d\n\n" % number) for number in range(9))
    await backend.say(IN_CHUNKS + events)
    answer = await asking

    assert await answer.read() == b"".join(b"data: %d\n\n" % number for number in range(9))


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (OLD + b"Content-Length: 2\r\n\r\nhi", b"hi"),
        (answer_bytes(b"hi") + b"x", b"hi"),
        (answer_bytes(b"hi") + answer_bytes(b"forged"), b"hi"),
        (OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nhi" + answer_bytes(b"forged"), b"hi"),
        (IN_CHUNKS + chunk_bytes(b"hi") + LAST_CHUNK + b"HTTP", b"hi"),
    ],
)
async def test_what_is_not_clean_behind_its_end_is_not_used_again(said: bytes, body: bytes) -> None:
    for position in range(1, len(said) + 1):
        backend = Backend()
        asking = backend.ask()
        await backend.say(*(piece for piece in (said[:position], said[position:]) if piece))

        assert await whole(await asking) == body, position
        assert not await is_kept(backend), position


@pytest.mark.parametrize(
    "said",
    [
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        OK + b"Content-Length: 5, 5\r\n\r\nhello",
        OK + b"Content-Length: +5\r\n\r\nhello",
        OK + b"Content-Length: 99999999999999999999\r\n\r\nhello",
        OK + b"Transfer-Encoding: gzip\r\n\r\nhello",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"A: b\r\n folded\r\nContent-Length: 0\r\n\r\n",
        OK + b"A: b\rc\r\nContent-Length: 0\r\n\r\n",
        OK + b"A: b\0\r\nContent-Length: 0\r\n\r\n",
        OK + b"A : b\r\nContent-Length: 0\r\n\r\n",
        OK + b"A\xe9: b\r\nContent-Length: 0\r\n\r\n",
        OK + b" A: b\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"RTSP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"ICY 200 OK\r\n\r\n",
        b"\r\n" + answer_bytes(b"hi"),
        b"HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 000 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 1000 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 100 Go\r\nContent-Length: 2\r\n\r\nhi" + answer_bytes(b"hi"),
        b"HTTP/1.1 150 Go\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + answer_bytes(b"hi"),
        b"HTTP/1.1 101 Go\r\n\r\n" + answer_bytes(b"hi"),
        b"HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" + answer_bytes(b"hi"),
    ],
)
async def test_what_could_be_read_in_two_ways_is_not_read(said: bytes) -> None:
    for position in range(len(said)):
        backend = Backend()
        asking = backend.ask()
        await backend.say(*(piece for piece in (said[:position], said[position:]) if piece))

        with pytest.raises(UpstreamProtocolError, match=r"^not HTTP: [ -~]+$"):
            await asking
        assert backend.last.is_closing()


@pytest.mark.parametrize(
    "ending",
    [
        b"-5\r\nhello\r\n",
        b"0x5\r\nhello\r\n",
        b"5\r\nhelloX\r\n",
        b"fffffffffffffffff\r\n",
        b"\r\n",
    ],
)
async def test_a_chunk_that_is_none_ends_the_answer_early(ending: bytes) -> None:
    backend = Backend()
    asking = backend.ask()
    await backend.say(IN_CHUNKS + chunk_bytes(b"good"), ending)
    answer = await asking

    assert (await answer.read()).startswith(b"good")
    with pytest.raises(UpstreamProtocolError, match=r"^the answer ended early$"):
        await whole(answer)
    assert backend.last.is_closing()


@pytest.mark.parametrize("filler", [b"X-Long: " + b"x" * 1000 + b"\r\n", b"x" * 1000])
async def test_neither_trailers_nor_a_chunks_extension_go_on_for_ever(filler: bytes) -> None:
    backend = Backend()
    asking = backend.ask()
    await backend.say(IN_CHUNKS + chunk_bytes(b"good"))
    await backend.say(b"0\r\n" if filler.endswith(b"\r\n") else b"5;")
    for _ in range(2 * MAX_HEAD_BYTES // len(filler)):
        await backend.say(filler)
    answer = await asking

    assert await answer.read() == b"good"
    with pytest.raises(UpstreamProtocolError, match=r"^the answer ended early$"):
        await answer.read()


async def test_interim_answers_do_not_go_on_for_ever() -> None:
    backend = Backend()
    asking = backend.ask()
    for _ in range(2 * MAX_HEAD_BYTES // 1000):
        await backend.say(head_bytes(103, [("Link", "x" * 1000)]))

    with pytest.raises(UpstreamProtocolError, match=r"^the answer's headers are larger"):
        await asking


async def test_a_backend_is_held_up_while_nobody_reads_and_goes_on_afterwards() -> None:
    backend = Backend()
    asking = backend.ask()
    piece = b"x" * (READ_AHEAD_BYTES // 2)
    await backend.say(IN_CHUNKS, chunk_bytes(piece), chunk_bytes(piece))
    answer = await asking
    assert backend.last.reads

    await backend.say(chunk_bytes(b"y"))
    assert not backend.last.reads

    assert await answer.read() == piece + piece + b"y"
    assert backend.last.reads


async def test_a_kept_connection_reads_although_nobody_has_read_the_answer_yet() -> None:
    """Else nobody would see that the backend closes it."""
    backend = Backend()
    asking = backend.ask()
    body = b"x" * (READ_AHEAD_BYTES + 1)
    await backend.say(answer_bytes(body))
    answer = await asking

    assert backend.last.reads
    assert await is_kept(backend)
    assert await whole(answer) == body


async def test_a_cancelled_request_takes_its_connection_with_it() -> None:
    backend = Backend()
    asking = backend.ask()
    await settled()
    asking.cancel()
    await asyncio.wait([asking])

    assert backend.last.is_closing()
    assert asking.cancelled()


async def test_the_rest_of_an_unread_answer_is_nobodys() -> None:
    backend = Backend()
    asking = backend.ask()
    await backend.say(OK + b"Content-Length: 100\r\n\r\nhalf")
    await (await asking).close()

    assert not await is_kept(backend)


async def test_an_answer_that_was_read_may_be_closed_later_and_its_connection_stays() -> None:
    backend = Backend()
    asking = backend.ask()
    await backend.say(answer_bytes(b"hi"))
    answer = await asking
    again = backend.ask()
    await settled()
    await answer.close()

    await backend.say(answer_bytes(b"second"))
    assert await whole(await again) == b"second"
    assert len(backend.transports) == 1
    assert await whole(answer) == b"hi"


async def let_go(backend: Backend) -> None:
    """A stream is read up to its end mark, and closed; its last chunk has not come."""
    asking = backend.ask()
    await backend.say(IN_CHUNKS + chunk_bytes(b"data: [DONE]\n\n"))
    answer = await asking
    assert await answer.read() == b"data: [DONE]\n\n"
    await answer.close(is_read=True)


async def test_a_connection_is_kept_if_only_the_end_of_its_body_comes_late() -> None:
    backend = Backend()
    await let_go(backend)
    await backend.say(LAST_CHUNK)
    pass_time(2)
    await turns(3)

    assert await is_kept(backend)


@pytest.mark.parametrize("said", [chunk_bytes(b"more"), chunk_bytes(b"more") + LAST_CHUNK, b"x"])
async def test_a_connection_is_not_kept_if_anything_else_comes(said: bytes) -> None:
    backend = Backend()
    await let_go(backend)
    await backend.say(said)

    assert not await is_kept(backend)


async def test_a_connection_is_not_kept_if_the_end_does_not_come() -> None:
    backend = Backend()
    await let_go(backend)
    assert not backend.last.is_closing()

    pass_time(1)
    await turns(3)

    assert backend.last.is_closing()


async def test_a_connection_with_unread_bytes_is_not_kept() -> None:
    backend = Backend()
    asking = backend.ask()
    await backend.say(IN_CHUNKS + chunk_bytes(b"data: [DONE]\n\n"))

    await (await asking).close(is_read=True)

    assert backend.last.is_closing()


async def test_a_request_cancelled_as_its_answer_comes_spoils_none_that_follows_it() -> None:
    backend = Backend()
    first = backend.ask()
    await settled()
    second = backend.ask()
    backend.last.protocol.data_received(answer_bytes(b"for the first"))
    first.cancel()
    await settled()
    assert len(backend.transports) == 1

    await backend.say(answer_bytes(b"for the second"))

    assert await whole(await second) == b"for the second"
    assert first.cancelled()


async def test_a_whole_body_that_is_here_is_at_hand_and_one_that_still_comes_is_not() -> None:
    backend = Backend()
    asking = backend.ask()
    await backend.say(OK + b"Content-Length: 4\r\n\r\nsa")
    answer = await asking

    assert answer.at_hand() is None
    await backend.say(b"id")
    assert answer.at_hand() == b"said"
    assert answer.at_hand() == b""
    assert await answer.read() == b""
