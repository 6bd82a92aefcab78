"""New connections: look a name up, try its addresses, agree on TLS."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Iterable
from itertools import chain, zip_longest

from nexus_core import descriptors
from nexus_core.upstream.http1.request_head import Origin

_HEAD_START_SECONDS = 0.25  # of an address before the next one is tried beside it: RFC 8305
_FOR_CERTIFICATES = 16  # descriptors; without any, a context would be made that trusts nobody

# Family, kind, protocol and address, as of getaddrinfo
Address = tuple[int, int, int, tuple[object, ...]]


class Dialer:
    """Makes connections, with the system's certificates and each host's name verified."""

    def __init__(self) -> None:
        self._tls: ssl.SSLContext | None = None  # once it was needed: it takes 20 ms to make
        self._making = asyncio.Lock()

    async def connect(self, origin: Origin, make: Callable[[], asyncio.Protocol]) -> None:
        """Connect, and tell the protocol that `make` gives.

        Raises:
            OSError: nobody is there, or TLS failed.
        """
        loop = asyncio.get_running_loop()
        tls = await self._context() if origin.is_tls else None
        connected = await _first_of(await _addresses(origin.host, origin.port))
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            await loop.create_connection(
                make,
                sock=connected,
                ssl=tls,
                server_hostname=origin.host.rstrip(".") if origin.is_tls else None,
            )
        except BaseException:
            connected.close()
            raise

    async def _context(self) -> ssl.SSLContext:
        async with self._making:
            if self._tls is None:
                self._tls = await asyncio.to_thread(_trusting)
            return self._tls


def _trusting() -> ssl.SSLContext:
    """
    Raises:
        OSError: there are too few descriptors to read the certificates.
    """
    descriptors.require(_FOR_CERTIFICATES)
    context = ssl.create_default_context()
    context.set_alpn_protocols(("http/1.1",))
    return context


async def _addresses(host: str, port: int) -> list[Address]:
    """The addresses of a host, its families taking turns.

    Raises:
        OSError: there is no such host.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses: list[Address] = [
        (family, kind, protocol, address) for family, kind, protocol, _, address in found
    ]
    if not addresses:
        raise socket.gaierror(socket.EAI_NONAME, "no address")
    first = [each for each in addresses if each[0] == addresses[0][0]]
    others = [each for each in addresses if each[0] != addresses[0][0]]
    return [each for each in chain(*zip_longest(first, others)) if each is not None]


async def _first_of(addresses: Iterable[Address]) -> socket.socket:
    """The connection to the first address that answers. RFC 8305, Happy Eyeballs.

    Raises:
        OSError: none does.
    """
    left = iter(addresses)
    attempts: set[asyncio.Future[socket.socket]] = set()
    failure: BaseException | None = None
    try:
        while True:
            address = next(left, None)
            if address is not None:
                attempts.add(asyncio.ensure_future(_connected(address)))
            elif not attempts:
                raise failure or OSError("no address")
            await asyncio.wait(
                attempts,
                timeout=None if address is None else _HEAD_START_SECONDS,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for attempt in [each for each in attempts if each.done()]:
                attempts.discard(attempt)
                error = attempt.exception()
                if error is None:
                    return attempt.result()
                if not descriptors.is_shortage(failure):
                    failure = error
    finally:
        for attempt in attempts:
            attempt.add_done_callback(_close)
            attempt.cancel()


async def _connected(address: Address) -> socket.socket:
    family, kind, protocol, name = address
    made = socket.socket(family, kind, protocol)
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, name)
    except BaseException:
        made.close()
        raise
    return made


def _close(attempt: asyncio.Future[socket.socket]) -> None:
    """Close what another attempt was faster than."""
    if not attempt.cancelled() and attempt.exception() is None:
        attempt.result().close()
