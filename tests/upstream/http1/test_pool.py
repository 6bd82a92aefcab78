"""Idle connections: which one is used, and when they end."""

from __future__ import annotations

import asyncio
import socket

from nexus_core.upstream.http1.connection import Connection
from nexus_core.upstream.transport_errors import KEEP_ALIVE_SECONDS
from tests.faults.raw_server import answer_bytes
from tests.upstream.http1.backends import Backend, FakeTransport, whole
from tests.waiting import pass_time, settled, turns


async def talk(backend: Backend, count: int = 1) -> None:
    """So many exchanges at once."""
    before = [len(each.written) for each in backend.transports]
    asking = [backend.ask() for _ in range(count)]
    await settled()
    for number, transport in enumerate(backend.transports):
        if number >= len(before) or len(transport.written) > before[number]:
            transport.protocol.data_received(answer_bytes(b"hi"))
    for each in asking:
        assert await whole(await each) == b"hi"


async def test_connections_are_shared_one_after_the_other() -> None:
    backend = Backend()
    await talk(backend, 3)
    await talk(backend, 3)
    await talk(backend)

    assert [len(each.written) for each in backend.transports] == [2, 2, 3]  # the last one again


async def test_another_port_or_scheme_is_another_place() -> None:
    backend = Backend()
    for url in ("http://a", "http://a:81", "https://a"):
        asking = backend.ask(url=url)
        await backend.say(answer_bytes(b"hi"))
        await asking
    again = backend.ask(url="http://A/elsewhere")
    await settled()
    again.cancel()

    assert [len(each.written) for each in backend.transports] == [2, 1, 1]


async def test_an_idle_connection_ends_after_its_time_and_not_before() -> None:
    backend = Backend()
    await talk(backend, 2)
    pass_time(KEEP_ALIVE_SECONDS / 2)
    await talk(backend)  # one of them
    pass_time(KEEP_ALIVE_SECONDS / 2)
    await turns(2)
    assert [each.is_closing() for each in backend.transports] == [True, False]

    pass_time(KEEP_ALIVE_SECONDS)
    await turns(2)
    assert [each.is_closing() for each in backend.transports] == [True, True]
    await settled()
    await talk(backend)
    assert len(backend.transports) == 3


async def test_a_connection_that_is_too_old_is_not_used_even_if_nobody_swept() -> None:
    backend = Backend()
    await talk(backend)
    pass_time(KEEP_ALIVE_SECONDS + 1)
    asking = backend.ask()  # in the same turn
    await settled()
    backend.last.protocol.data_received(answer_bytes(b"hi"))
    await asking

    assert len(backend.transports) == 2


async def test_a_lost_connection_is_forgotten() -> None:
    backend = Backend()
    await talk(backend)
    backend.last.end()
    await settled()
    await talk(backend)

    assert len(backend.transports) == 2


async def test_bytes_on_an_idle_connection_end_it() -> None:
    backend = Backend()
    await talk(backend)
    backend.last.protocol.data_received(answer_bytes(b"forged"))
    await talk(backend)

    assert len(backend.transports) == 2


async def test_closing_ends_idle_connections_and_leaves_no_timer() -> None:
    backend = Backend()
    await talk(backend, 2)
    await backend.engine.close()
    await settled()

    assert all(each.is_closing() for each in backend.transports)
    loop = asyncio.get_running_loop()
    timers = [each for each in loop._scheduled if not each.cancelled()]  # type: ignore[attr-defined]
    assert not [each for each in timers if "Pool" in repr(each)]


def at_socket(backend: Backend, wire: socket.socket) -> Connection:
    """The backend's connection, as if it were this socket's."""
    transport = FakeTransport(backend.connection)
    transport.get_extra_info = lambda name, default=None: wire  # type: ignore[method-assign]
    backend.connection.connection_made(transport)
    return backend.connection


async def test_what_the_loop_has_not_seen_yet_ends_an_idle_connection() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        backend = Backend()
        await talk(backend)
        connection = at_socket(backend, ours)

        assert connection.is_usable()
        theirs.send(b"nobody asked")
        assert not connection.is_usable()


async def test_a_connection_closed_right_behind_any_of_its_answers_is_not_used_again() -> None:
    """Some servers close after so many answers, and say so in none of them."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        backend = Backend()
        await talk(backend)
        connection = at_socket(backend, ours)

        assert connection.is_usable()  # for a second answer
        assert connection.is_usable()  # for a third one, behind which it closes
        theirs.close()
        assert not connection.is_usable()
