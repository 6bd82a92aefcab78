"""The way to a proxy: the network backend below httpx's connection pool, whatever it speaks."""

from __future__ import annotations

import asyncio
import ssl
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

import httpcore

if TYPE_CHECKING:
    from nexus_core.config.outbound_proxy import OutboundProxy


class ProxyNetwork(httpcore.AsyncNetworkBackend, ABC):
    """Network backend of httpcore through one proxy; a subclass knows the proxy's protocol."""

    def __init__(self, proxy: OutboundProxy, tls: ssl.SSLContext) -> None:
        """`tls`: for a proxy that is reached by https."""
        self._proxy = proxy
        self._tls = tls
        # httpcore's types have what stands in for it where anyio is missing.
        self._network: httpcore.AsyncNetworkBackend = httpcore.AnyIOBackend()  # pyright: ignore[reportAttributeAccessIssue]

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """A connection on which no request has been sent yet.

        Raises:
            httpcore.ConnectError: there is no proxy.
            httpcore.ProxyError: the proxy refuses; the message is for people.
            httpcore.ConnectTimeout: all of it took longer than `timeout` seconds.
        """
        proxy = self._proxy
        try:
            async with asyncio.timeout(timeout):
                stream = await self._network.connect_tcp(
                    proxy.host,
                    proxy.port,
                    local_address=local_address,
                    socket_options=socket_options,
                )
                try:
                    if proxy.scheme == "https":
                        stream = await stream.start_tls(self._tls, server_hostname=proxy.host)
                    await self._ask_for(stream, host, port)
                except BaseException:
                    await stream.aclose()
                    raise
                return stream
        except TimeoutError as error:
            raise httpcore.ConnectTimeout from error

    @abstractmethod
    async def _ask_for(self, stream: httpcore.AsyncNetworkStream, host: str, port: int) -> None:
        """Have the proxy connect to the host.

        Raises:
            httpcore.ProxyError: it does not; the message is for people.
        """
