"""What a reply writes to its connection, and when it waits."""

from __future__ import annotations

import asyncio

import pytest
from uvicorn.protocols.http.flow_control import FlowControl

from nexus_core.api.auth import Caller
from nexus_core.api.inference.arrival import Arrival
from nexus_core.api.listen.wire_reply import WireReply
from nexus_core.dialects.inbound import CHAT_PATH, INBOUND
from nexus_core.errors import UpstreamFailedError
from nexus_core.proxy.reply import SelectedRoute
from nexus_core.types import RouteReason
from tests.made_up_backends import snapshot
from tests.waiting import turns

SELECTED = SelectedRoute(snapshot("a"), "m", RouteReason.CAPABILITY_MATCH)
STREAM = (("content-type", "text/event-stream"),)
JSON = (("content-type", "application/json"),)


class Wire(asyncio.Transport):
    """Keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes.append(bytes(data))

    def close(self) -> None:
        self.is_closed = True


class Connection:
    """The client's connection."""

    def __init__(self) -> None:
        self.transport = Wire()
        self.flow = FlowControl(self.transport)
        self.answers = 0

    def on_response_complete(self) -> None:
        self.answers += 1


def reply_on(connection: Connection, *, keep_alive: bool = True) -> WireReply:
    arrival = Arrival(INBOUND[CHAT_PATH], CHAT_PATH, [], Caller(None), "r1")
    return WireReply(arrival, connection, b"date: now\r\n", keep_alive=keep_alive)


async def test_a_whole_answer_is_one_write() -> None:
    connection = Connection()
    reply = reply_on(connection)

    reply.start(200, JSON, SELECTED, length=2)
    begun = list(connection.transport.writes)
    reply.send(b"{}")
    reply.finish()

    assert begun == []
    (written,) = connection.transport.writes
    assert written.startswith(
        b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-type: application/json\r\ncontent-length: 2\r\n"
        b"x-nexus-request-id: r1\r\nx-nexus-backend: a\r\n"
    )
    assert written.endswith(b"\r\n\r\n{}")
    assert connection.answers == 1
    assert not connection.transport.is_closed


async def test_the_head_of_a_long_answer_is_not_copied_together_with_it() -> None:
    connection = Connection()
    reply, body = reply_on(connection), b"x" * 1_000_000

    reply.start(200, JSON, SELECTED, length=len(body))
    reply.send(body)
    reply.finish()

    assert [len(part) == len(body) for part in connection.transport.writes] == [False, True]


async def test_a_stream_goes_out_in_chunks_the_first_with_the_head() -> None:
    connection = Connection()
    reply = reply_on(connection)

    reply.start(200, STREAM, SELECTED, length=None)
    for part in (b"data: 1\n\n", b"", b"data: 22222222\n\n"):
        reply.send(part)
        await reply.drain()
    reply.finish()

    first, second, last = connection.transport.writes
    assert first.endswith(b"transfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n")
    assert second == b"10\r\ndata: 22222222\n\n\r\n"
    assert last == b"0\r\n\r\n"
    assert connection.answers == 1


async def test_the_end_of_a_stream_is_one_write() -> None:
    connection = Connection()
    reply = reply_on(connection)

    reply.start(200, STREAM, SELECTED, length=None)
    await reply.drain()
    reply.send(b"data: 1\n\n")
    reply.finish()

    assert connection.transport.writes[1:] == [b"9\r\ndata: 1\n\n\r\n0\r\n\r\n"]


async def test_a_part_that_was_not_written_is_forgotten_for_a_refusal() -> None:
    connection = Connection()
    reply = reply_on(connection)
    reply.start(200, JSON, SELECTED, length=9)
    reply.send(b"{")

    reply.refuse(UpstreamFailedError("broke"), SELECTED)

    (written,) = connection.transport.writes
    assert written.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")


async def test_a_head_that_nothing_follows_is_sent_where_the_answer_waits() -> None:
    connection = Connection()
    reply = reply_on(connection)
    reply.start(200, STREAM, SELECTED, length=None)

    await reply.drain()
    await reply.drain()

    assert len(connection.transport.writes) == 1
    assert reply.has_begun


async def test_an_answer_of_no_bytes_is_its_head() -> None:
    connection = Connection()
    reply = reply_on(connection)

    reply.start(200, JSON, SELECTED, length=0)
    reply.send(b"")
    reply.finish()

    (written,) = connection.transport.writes
    assert b"content-length: 0\r\n" in written
    assert written.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("is_stream", [True, False])
async def test_a_connection_that_is_not_kept_ends_with_the_answer(is_stream: bool) -> None:
    connection = Connection()
    reply = reply_on(connection, keep_alive=False)

    reply.start(200, JSON, SELECTED, length=None if is_stream else 2)
    reply.send(b"{}")
    is_closed_early = connection.transport.is_closed
    reply.finish()

    assert b"\r\nconnection: close\r\n" in connection.transport.writes[0]
    assert not is_closed_early
    assert connection.transport.is_closed


async def test_a_failure_inside_a_stream_is_an_event_of_its_own() -> None:
    connection = Connection()
    reply = reply_on(connection)
    reply.start(200, STREAM, SELECTED, length=None)
    reply.send(b'data: {"x')

    reply.send_error_event(UpstreamFailedError("broke"))

    (written,) = connection.transport.writes
    *_, begun, _size, told, end, _, _ = written.split(b"\r\n")
    assert begun == b'data: {"x'
    assert told.startswith(b'\n\ndata: {"error"')
    assert end == b"0"


async def test_a_refusal_is_a_whole_answer_with_the_route_that_caused_it() -> None:
    connection = Connection()
    reply = reply_on(connection)

    reply.refuse(UpstreamFailedError("broke"), SELECTED)

    (written,) = connection.transport.writes
    head, _, body = written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
    assert head.endswith(b"content-length: %d" % len(body))
    assert b"\r\nx-nexus-backend: a\r\n" in head
    assert connection.answers == 1


async def test_it_waits_while_the_client_does_not_read() -> None:
    connection = Connection()
    reply = reply_on(connection)
    reply.start(200, STREAM, SELECTED, length=None)
    reply.send(b"data: 1\n\n")
    connection.flow.pause_writing()

    async with asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(reply.drain())
        await turns(5)
        waited = not waiting.done()
        connection.flow.resume_writing()

    assert waited


async def test_nothing_is_written_for_a_client_that_is_gone() -> None:
    connection = Connection()
    reply = reply_on(connection)
    reply.start(200, STREAM, SELECTED, length=None)
    reply.disconnected = True
    connection.flow.pause_writing()

    reply.send(b"data: 1\n\n")
    await reply.drain()
    reply.finish()

    assert connection.transport.writes == []
