"""New connections: whose addresses are tried when, and whose certificates are taken."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Awaitable, Callable

import pytest

from nexus_core.upstream.base import UpstreamConnectError, UpstreamRequest
from nexus_core.upstream.http1 import Http1Engine
from nexus_core.upstream.http1 import dial as dial_room
from nexus_core.upstream.http1.dial import Dialer
from nexus_core.upstream.http1.request_head import Origin
from tests.contract.test_proxies import Tls, tls
from tests.waiting import pass_time, settled, until

__all__ = ["tls"]

V6, V4 = socket.AF_INET6, socket.AF_INET
PLACE = Origin("backend.test", 80, False)


class Net:
    """Addresses, each with what becomes of a connection to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *found: tuple[int, str, object]) -> None:
        self.tried: list[str] = []
        self.sockets: list[socket.socket] = []
        self._fates = {name: fate for _, name, fate in found}
        loop = asyncio.get_running_loop()

        async def look_up(*_: object, **__: object) -> list[tuple[object, ...]]:
            return [(family, socket.SOCK_STREAM, 6, "", (name, 80)) for family, name, _ in found]

        async def connect(made: socket.socket, address: tuple[str, int]) -> None:
            self.tried.append(address[0])
            self.sockets.append(made)
            fate = self._fates[address[0]]
            if isinstance(fate, int):
                raise OSError(fate, os.strerror(fate))
            if isinstance(fate, asyncio.Event):
                await fate.wait()

        monkeypatch.setattr(loop, "getaddrinfo", look_up)
        monkeypatch.setattr(loop, "sock_connect", connect)
        monkeypatch.setattr(loop, "create_connection", self._take)

    async def _take(self, make: Callable[[], object], *, sock: socket.socket, **_: object) -> None:
        make()
        sock.close()

    async def dial(self) -> None:
        await Dialer().connect(PLACE, asyncio.Protocol)


async def test_the_first_address_is_used_and_no_other_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = Net(monkeypatch, (V6, "six", None), (V4, "four", None))
    await net.dial()

    assert net.tried == ["six"]


async def test_a_refusal_leads_to_the_next_address_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = Net(monkeypatch, (V6, "six", errno.ECONNREFUSED), (V4, "four", None))
    async with asyncio.timeout(0.2):  # less than an address has for itself
        await net.dial()

    assert net.tried == ["six", "four"]


async def test_a_silent_address_gets_company_and_loses(monkeypatch: pytest.MonkeyPatch) -> None:
    never = asyncio.Event()
    net = Net(monkeypatch, (V6, "six", never), (V4, "four", None))
    dialling = asyncio.ensure_future(net.dial())
    await settled()
    assert net.tried == ["six"]

    pass_time(0.3)
    await dialling
    assert net.tried == ["six", "four"]
    await until(lambda: all(each.fileno() == -1 for each in net.sockets))


async def test_of_two_that_answer_together_one_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    both = asyncio.Event()
    net = Net(monkeypatch, (V6, "six", both), (V4, "four", both))
    dialling = asyncio.ensure_future(net.dial())
    await settled()
    pass_time(0.3)
    await settled()
    both.set()
    await dialling

    await until(lambda: [each.fileno() for each in net.sockets] == [-1, -1])


async def test_families_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = errno.ECONNREFUSED
    found = [(V6, "6a", refused), (V6, "6b", refused), (V4, "4a", refused), (V4, "4b", refused)]
    net = Net(monkeypatch, *found)
    with pytest.raises(ConnectionRefusedError):
        await net.dial()

    assert net.tried == ["6a", "4a", "6b", "4b"]


async def test_a_lack_of_descriptors_is_told_whatever_the_others_did(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    net = Net(monkeypatch, (V6, "six", errno.EMFILE), (V4, "four", errno.ECONNREFUSED))
    with pytest.raises(OSError, match="Too many open files"):
        await net.dial()


async def test_a_cancelled_attempt_leaves_no_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    never = asyncio.Event()
    net = Net(monkeypatch, (V6, "six", never), (V4, "four", never))
    dialling = asyncio.ensure_future(net.dial())
    await settled()
    pass_time(0.3)
    await settled()
    dialling.cancel()
    await asyncio.wait([dialling])
    await settled()

    assert [each.fileno() for each in net.sockets] == [-1, -1]


# TLS


async def ask(tls: Tls, host: str) -> int:
    """The status that a TLS server on loopback gives under this name."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()  # until the client has closed it
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls.context)
    engine = Http1Engine()
    async with server:
        port = server.sockets[0].getsockname()[1]
        try:
            request = UpstreamRequest("GET", f"https://{host}:{port}/", ())
            response = await engine.send(request, connect_timeout_seconds=5)
            return response.status
        finally:
            await engine.close()


def trusting(tls: Tls) -> Callable[[], ssl.SSLContext]:
    return lambda: ssl.create_default_context(cafile=str(tls.file))


async def test_a_certificate_that_is_trusted_and_bears_the_name_is_taken(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial_room, "_trusting", trusting(tls))

    assert await ask(tls, "127.0.0.1") == 200


async def test_a_certificate_of_another_name_is_refused(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dial_room, "_trusting", trusting(tls))

    with pytest.raises(UpstreamConnectError, match=r"^TLS failed: Hostname mismatch"):
        await ask(tls, "localhost")


async def test_a_certificate_that_nobody_vouches_for_is_refused(tls: Tls) -> None:
    with pytest.raises(UpstreamConnectError, match=r"^TLS failed: self-signed certificate"):
        await ask(tls, "127.0.0.1")


async def test_certificates_are_read_once_however_many_connect(
    tls: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = 0

    def read() -> ssl.SSLContext:
        nonlocal count
        count += 1
        return trusting(tls)()

    monkeypatch.setattr(dial_room, "_trusting", read)
    dialer = Dialer()
    net = Net(monkeypatch, (V4, "four", None))
    secure = Origin("backend.test", 443, True)
    connecting: list[Awaitable[None]] = [dialer.connect(secure, asyncio.Protocol) for _ in "abc"]
    await asyncio.gather(*connecting)

    assert (count, len(net.tried)) == (1, 3)
