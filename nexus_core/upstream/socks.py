"""Connections through a SOCKS5 proxy.

httpcore has a pool of its own for SOCKS. It sets no limit to what a proxy takes to answer, leaves
the connection open when the proxy refuses, and keeps what was cancelled in the pool for good.

https://www.rfc-editor.org/rfc/rfc1928  https://www.rfc-editor.org/rfc/rfc1929
"""

from __future__ import annotations

import ipaddress

import httpcore

from nexus_core.upstream.proxy_network import ProxyNetwork

_VERSION, _CONNECT = b"\x05", b"\x01"
_OPEN, _PASSWORD, _NONE = 0, 2, 255  # ways to say who one is
_REPLIES = {
    1: "general failure",
    2: "not allowed by proxy rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "time to live expired",
    7: "command not supported",
    8: "address type not supported",
}


class SocksProxy(ProxyNetwork):
    """The network through one SOCKS5 proxy, which resolves host names."""

    async def _ask_for(self, stream: httpcore.AsyncNetworkStream, host: str, port: int) -> None:
        try:
            await self._introduce(stream)
            await _connect(stream, host, port)
        except (httpcore.ReadError, httpcore.WriteError) as error:
            raise httpcore.ProxyError("closed the connection") from error

    async def _introduce(self, stream: httpcore.AsyncNetworkStream) -> None:
        """Agree on a way to say who asks, and say it."""
        user = self._proxy.user
        ways = bytes([_OPEN]) if user is None else bytes([_OPEN, _PASSWORD])
        await stream.write(_VERSION + bytes([len(ways)]) + ways)
        version, way = await _read(stream, 2)
        if version != _VERSION[0]:
            raise httpcore.ProxyError("does not answer as a SOCKS5 proxy")
        if way == _NONE or way not in ways:
            if user is None:
                raise httpcore.ProxyError(
                    "requires a user name and password; put them in the URL in ALL_PROXY"
                )
            raise httpcore.ProxyError("does not accept a user name and password")
        if way == _PASSWORD:
            pair = [(user or "").encode()[:255], (self._proxy.password or "").encode()[:255]]
            await stream.write(b"\x01" + b"".join(bytes([len(text)]) + text for text in pair))
            _, verdict = await _read(stream, 2)
            if verdict != 0:
                raise httpcore.ProxyError("rejects the user name and password")


async def _connect(stream: httpcore.AsyncNetworkStream, host: str, port: int) -> None:
    """Have the proxy connect to the host."""
    await stream.write(_VERSION + _CONNECT + b"\x00" + _address(host) + port.to_bytes(2))
    version, code, _, kind = await _read(stream, 4)
    if version != _VERSION[0]:
        raise httpcore.ProxyError("does not answer as a SOCKS5 proxy")
    if code != 0:
        raise httpcore.ProxyError(f"could not connect: {_REPLIES.get(code, 'no reason given')}")
    # Where it connects from, which nobody needs: what follows is the backend's.
    length = {1: 4, 4: 16}.get(kind) or (await _read(stream, 1))[0]
    await _read(stream, length + 2)


def _address(host: str) -> bytes:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.encode("ascii")[:255]
        return b"\x03" + bytes([len(name)]) + name
    return (b"\x01" if address.version == 4 else b"\x04") + address.packed


async def _read(stream: httpcore.AsyncNetworkStream, count: int) -> bytes:
    """So many bytes.

    Raises:
        httpcore.ProxyError: the connection ended before.
    """
    data = b""
    while len(data) < count:
        more = await stream.read(count - len(data))
        if not more:
            raise httpcore.ProxyError("closed the connection")
        data += more
    return data
