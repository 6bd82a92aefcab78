"""Large requests: written as the socket takes them, and stopped where they may not go on."""

from __future__ import annotations

import asyncio

import pytest

from nexus_core.upstream.base import UpstreamNotSentError, UpstreamRequest
from tests.faults.raw_server import answer_bytes
from tests.upstream.http1.backends import URL, Backend, whole
from tests.waiting import turns


async def test_a_large_body_is_written_as_the_socket_takes_it() -> None:
    backend = Backend()
    body = bytes(range(256)) * 4096
    asking = backend.ask(body)
    await turns()
    assert b"".join(backend.last.written).endswith(body)  # nothing held it up

    await backend.say(answer_bytes(b"hi"))
    assert await whole(await asking) == b"hi"


async def test_an_answer_before_all_of_the_request_is_written_ends_the_connection() -> None:
    backend = Backend()
    first = backend.ask()
    await backend.say(answer_bytes(b"hi"))
    await whole(await first)
    backend.connection.pause_writing()  # the socket is full
    asking = backend.ask(b"x" * (1024 * 1024))
    await turns(2)
    assert len(b"".join(backend.last.written)) < 1024

    await backend.say(answer_bytes(b"too large", status=413))
    answer = await asking

    assert (answer.status, await whole(answer)) == (413, b"too large")
    assert backend.last.is_closing()


async def test_a_body_goes_on_when_the_socket_takes_more() -> None:
    backend = Backend()
    first = backend.ask()
    await backend.say(answer_bytes(b"hi"))
    await whole(await first)
    backend.connection.pause_writing()
    body = bytes(range(256)) * 1024
    asking = backend.ask(body)
    await turns(2)
    backend.connection.resume_writing()

    assert b"".join(backend.last.written).endswith(body)
    await backend.say(answer_bytes(b"hi"))
    await asking


async def test_what_has_left_is_not_stopped_and_is_not_asked_for_again() -> None:
    backend, asked = Backend(), list[str]()

    def may_send() -> bool:
        asked.append("once")
        return len(asked) == 1

    request = UpstreamRequest("POST", URL, (), b"x" * (1024 * 1024), may_send=may_send)
    first = asyncio.ensure_future(backend.engine.send(request, connect_timeout_seconds=1))
    await turns(2)
    backend.engine.stop_unsent()
    await backend.say(answer_bytes(b"hi"))
    assert await whole(await first) == b"hi"

    asking = backend.ask()  # another one, on the same connection
    await turns(2)
    backend.last.buffered = 10
    backend.engine.stop_unsent()
    backend.last.buffered = 0
    await backend.say(answer_bytes(b"hi"))
    assert await whole(await asking) == b"hi"
    assert asked == ["once"]


async def test_what_waits_in_the_transport_is_stopped_as_well() -> None:
    backend, may_send = Backend(), True
    request = UpstreamRequest("POST", URL, (), b"x" * 100_000, may_send=lambda: may_send)
    asking = asyncio.ensure_future(backend.engine.send(request, connect_timeout_seconds=1))
    await turns(2)
    backend.last.buffered = 10
    may_send = False
    backend.engine.stop_unsent()

    with pytest.raises(UpstreamNotSentError):
        await asking
    assert backend.last.is_closing()
