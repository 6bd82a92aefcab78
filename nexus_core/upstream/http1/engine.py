"""The engine: a request goes out on an idle connection or a new one, and its answer comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from nexus_core import descriptors
from nexus_core.upstream import transport_errors as wording
from nexus_core.upstream.base import (
    UpstreamConnectError,
    UpstreamProtocolError,
    UpstreamRequest,
    always,
)
from nexus_core.upstream.http1.answer import Answer
from nexus_core.upstream.http1.connection import Connection
from nexus_core.upstream.http1.dial import Dialer
from nexus_core.upstream.http1.pool import Pool
from nexus_core.upstream.http1.request_head import Origin, RequestHeads

Connect = Callable[[Origin, Callable[[], asyncio.Protocol]], Awaitable[None]]


class Http1Engine:
    """The UpstreamEngine over HTTP/1.1. It sends nothing twice, and nothing through a proxy."""

    def __init__(self, connect: Connect | None = None) -> None:
        """`connect` makes a connection in place of the network, for tests and measurements."""
        self._connect = connect or Dialer().connect
        self._heads = RequestHeads()
        self._pool = Pool()
        self._open: set[Connection] = set()  # idle or not
        self._is_closed = False

    async def send(self, request: UpstreamRequest, *, connect_timeout_seconds: float) -> Answer:
        if self._is_closed:
            raise UpstreamConnectError(wording.CLOSED_ENGINE)
        if request.proxy is not None:
            raise UpstreamConnectError("proxies are left to httpx")
        try:
            head = self._heads.of(request)
            connection = self._pool.take(head.origin)
            if connection is None:
                connection = await self._dial(head.origin, connect_timeout_seconds)
        except (OSError, ImportError) as error:  # of what is imported late, here or by a library
            if descriptors.is_shortage(error):
                raise wording.out_of_descriptors() from error
            raise
        if request.may_send is not always and not request.may_send():
            connection.abort()
            raise wording.not_sent()
        answer = connection.ask(head, request.body, request.may_send)
        try:
            while not answer.status:
                await answer.more()
        except BaseException:
            # Not the connection's: of an answer that has just come it may serve another by now.
            await answer.close()
            raise
        return answer

    def stop_unsent(self) -> None:
        for connection in list(self._open):
            connection.stop_unsent()

    async def close(self) -> None:
        self._is_closed = True
        self._pool.close()
        for connection in list(self._open):
            connection.fail(UpstreamProtocolError(wording.CLOSED_ENGINE))

    async def _dial(self, origin: Origin, timeout_seconds: float) -> Connection:
        """
        Raises:
            UpstreamConnectError: there is no connection, or none in time.
        """
        connection = Connection(origin, self._pool.put, self._forget)
        self._open.add(connection)
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._connect(origin, lambda: connection)
        except BaseException as error:
            self._open.discard(connection)
            if isinstance(error, TimeoutError):
                raise wording.connect_timed_out(timeout_seconds) from error
            if isinstance(error, OSError):
                raise wording.connect_failed(error, timeout_seconds) from error
            raise
        if self._is_closed:
            connection.abort()
            raise UpstreamConnectError(wording.CLOSED_ENGINE)
        return connection

    def _forget(self, connection: Connection) -> None:
        self._open.discard(connection)
        self._pool.forget(connection)
