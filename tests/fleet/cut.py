"""A TCP proxy before a store server, that delays, swallows and cuts; a port without a word."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

from tests.waiting import until

_MOST_BYTES = 65536


class Cut:
    """What stands between a Nexus and its store; its switches hold for open connections, too."""

    def __init__(self, target: Path | int) -> None:
        """`target` is a unix socket, or a port of this machine."""
        self.delay = 0.0  # seconds, each way
        self.swallows = False  # bytes vanish, as where a network is partitioned
        self.is_held = False  # nothing more is taken from either side
        self.is_holding = False  # and something was to be taken
        self.refuses = False  # new connections end at once
        self.connections = 0  # that were ever made
        self.ended = 0  # of these
        self.url = ""
        self._target = target
        self._open: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """End every open connection."""
        for writer in tuple(self._open):
            writer.transport.abort()

    async def serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass bytes both ways until one side ends."""
        self.connections += 1
        if self.refuses:
            writer.transport.abort()
            return
        try:
            if isinstance(self._target, int):
                there = await asyncio.open_connection("127.0.0.1", self._target)
            else:
                there = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, there[1]}
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass(reader, there[1]))
                tasks.create_task(self._pass(there[0], writer))
        finally:
            for one in (writer, there[1]):
                one.transport.abort()
            self._open -= {writer, there[1]}
            self.ended += 1

    async def _hold(self) -> None:
        self.is_holding |= self.is_held
        await until(lambda: not self.is_held)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_MOST_BYTES):
                await self._hold()
                if self.swallows:
                    continue
                if self.delay:
                    asyncio.get_running_loop().call_later(self.delay, writer.write, data)
                else:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def cut_before(target: Path | int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Cut]:
    """A proxy that runs in the block, in the test's own loop; with `tls` it speaks that."""
    cut = Cut(target)
    server = await asyncio.start_server(cut.serve_one, "127.0.0.1", 0, ssl=tls)
    scheme = "redis" if tls is None else "rediss"
    cut.url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield cut
    finally:
        server.close()
        cut.cut()
        await server.wait_closed()


@contextmanager
def silent_port() -> Iterator[int]:
    """A port of 127.0.0.1 that answers no try to connect, as that of a machine that is gone."""
    with ExitStack() as stack:
        listener, *fillers = (stack.enter_context(socket.socket()) for _ in range(8))
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for filler in fillers:  # nobody accepts, and the queue is full
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield int(listener.getsockname()[1])
