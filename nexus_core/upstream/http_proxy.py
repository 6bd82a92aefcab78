"""Connections through an HTTP proxy: CONNECT, and who asks.

httpcore's own proxy pool repeats the request's path to the proxy where a tunnel is asked for.

https://www.rfc-editor.org/rfc/rfc9110#name-connect
"""

from __future__ import annotations

import re
import ssl
from base64 import b64encode
from typing import TYPE_CHECKING

import httpcore

from nexus_core.upstream import transport_errors as wording
from nexus_core.upstream.base import MAX_HEAD_BYTES, Headers
from nexus_core.upstream.proxy_network import ProxyNetwork

if TYPE_CHECKING:
    from nexus_core.config.outbound_proxy import OutboundProxy

_NO_PROXY = "does not answer as an HTTP proxy"
_END = b"\r\n\r\n"
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})[ \r]")


class HttpProxy(ProxyNetwork):
    """The network through one HTTP proxy: by a tunnel to the host, or to the proxy alone."""

    def __init__(self, proxy: OutboundProxy, tls: ssl.SSLContext, *, makes_tunnels: bool) -> None:
        """`makes_tunnels`: else requests are for the proxy, which passes them on."""
        super().__init__(proxy, tls)
        self._makes_tunnels = makes_tunnels

    async def _ask_for(self, stream: httpcore.AsyncNetworkStream, host: str, port: int) -> None:
        if not self._makes_tunnels:
            return
        place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
        lines += [f"{name}: {value}" for name, value in credentials(self._proxy)]
        head = b""
        try:
            await stream.write("\r\n".join((*lines, "", "")).encode())
            while _END not in head and len(head) <= MAX_HEAD_BYTES:
                more = await stream.read(MAX_HEAD_BYTES)
                if not more:
                    break
                head += more
        except (httpcore.ReadError, httpcore.WriteError) as error:
            raise httpcore.ProxyError(_NO_PROXY) from error
        found = _STATUS.match(head)
        if found is None or _END not in head:
            raise httpcore.ProxyError(_NO_PROXY)
        status = int(found[1])
        if not 200 <= status < 300:
            raise httpcore.ProxyError(wording.refusal_of_proxy(self._proxy, status))
        if not head.endswith(_END):  # nobody may speak before the request
            raise httpcore.ProxyError(_NO_PROXY)


def credentials(proxy: OutboundProxy) -> Headers:
    """The header that tells a proxy who asks; none without a user."""
    if proxy.user is None:
        return ()
    pair = f"{proxy.user}:{proxy.password or ''}".encode()
    return (("proxy-authorization", f"Basic {b64encode(pair).decode('ascii')}"),)
