"""Connections that wait for their next request, and the end of those that waited too long."""

from __future__ import annotations

import asyncio

from nexus_core.upstream.http1.connection import Connection
from nexus_core.upstream.http1.request_head import Origin
from nexus_core.upstream.transport_errors import KEEP_ALIVE_SECONDS


class Pool:
    """Idle connections by origin. The one used last is used next, so that a few stay warm."""

    def __init__(self) -> None:
        self._idle: dict[Origin, list[Connection]] = {}  # the longest idle first
        self._sweep: asyncio.TimerHandle | None = None  # while there is any

    def take(self, origin: Origin) -> Connection | None:
        """An idle connection on which the next bytes to come will be its next answer."""
        idle = self._idle.get(origin)
        if not idle:
            return None
        now = idle[-1].loop.time()
        while idle:
            connection = idle.pop()
            if now - connection.idle_since < KEEP_ALIVE_SECONDS and connection.is_usable():
                return connection
            connection.abort()
        return None

    def put(self, connection: Connection) -> None:
        """Keep a connection whose answer is whole."""
        loop = connection.loop
        connection.idle_since = loop.time()
        idle = self._idle.get(connection.origin)
        if idle is None:
            idle = self._idle[connection.origin] = []
        idle.append(connection)
        if self._sweep is None:
            self._sweep = loop.call_at(connection.idle_since + KEEP_ALIVE_SECONDS, self._end_old)

    def forget(self, connection: Connection) -> None:
        """A connection was lost, idle or not."""
        idle = self._idle.get(connection.origin)
        if idle and connection in idle:
            idle.remove(connection)

    def close(self) -> None:
        """Keep none; their owner closes them."""
        self._idle.clear()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None

    def _end_old(self) -> None:
        """Close what is idle for too long, and look again when the next one is."""
        loop = asyncio.get_running_loop()
        now, first = loop.time(), None
        for origin, idle in list(self._idle.items()):
            while idle and idle[0].idle_since + KEEP_ALIVE_SECONDS <= now:
                idle.pop(0).abort()
            if not idle:
                del self._idle[origin]
            elif first is None or idle[0].idle_since < first:
                first = idle[0].idle_since
        self._sweep = None
        if first is not None:
            self._sweep = loop.call_at(first + KEEP_ALIVE_SECONDS, self._end_old)
