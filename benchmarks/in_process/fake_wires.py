"""Connections without a kernel: transports in memory, and a loop that makes them.

Whoever accepts or makes a connection on this loop gets a `Wire`. Its socket is a real one, at
rest, so that a poll of it costs what it costs.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import ExitStack, asynccontextmanager
from typing import Any

from benchmarks.loads import answer_to
from nexus_tui.process.loop import NexusLoop

LONGEST_SECONDS = 30  # of anything that is waited for; then something is broken

_STREAM_END = b"\r\n0\r\n\r\n"


class Wire(asyncio.Transport):
    """One end of a connection; `write` is what the other end sees."""

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: socket.socket) -> None:
        super().__init__()
        self.protocol: Any = None
        self._loop = loop
        self._socket = wire
        self._is_closing = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        match name:
            case "socket":
                return self._socket
            case "sockname" | "peername":
                return ("127.0.0.1", 1)
            case _:
                return default

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._loop.call_soon(self.protocol.connection_lost, None)
            self._loop.call_soon(self._socket.close)

    abort = close

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        protocol: asyncio.BaseProtocol = self.protocol
        return protocol

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return False

    def is_reading(self) -> bool:
        return True

    def pause_reading(self) -> None:
        """The next read comes as it would have: no answer here is long enough to hold back."""

    def resume_reading(self) -> None:
        """As above."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing is buffered."""

    def get_write_buffer_size(self) -> int:
        return 0


class ClientWire(Wire):
    """A client's connection: asks, waits for the whole answer, asks again while it gets tickets."""

    request = b""
    tickets: Tickets

    def ask(self) -> None:
        if self.tickets.take():
            self.protocol.data_received(self.request)

    def write(self, data: Any) -> None:
        if not isinstance(data, bytes):
            data = bytes(data)
        if data.startswith(b"HTTP/1.1 ") and not data.startswith(b"HTTP/1.1 200"):
            self.tickets.fail(data)
        elif data.endswith((b"}", _STREAM_END)) or data == b"0\r\n\r\n":
            self.tickets.give_back()
            if self.tickets.are_left:  # else a late question would fall into the next round
                self._loop.call_soon(self.ask)


class Tickets:
    """How many requests are still to be made; done once all are answered."""

    def __init__(self, number: int, loop: asyncio.AbstractEventLoop) -> None:
        self._left = self._open = number
        self.done: asyncio.Future[None] = loop.create_future()

    @property
    def are_left(self) -> bool:
        return self._left > 0

    def take(self) -> bool:
        self._left -= 1
        return self._left >= 0

    def give_back(self) -> None:
        self._open -= 1
        if not self._open:
            self.done.set_result(None)

    def fail(self, answer: bytes) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(answer.decode("latin-1")))


class BackendWire(Wire):
    """A backend's connection: answers each request, a read in every second turn of the loop.

    In the turn between, whoever waits for a read has it: no two of them come as one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, wire: socket.socket) -> None:
        super().__init__(loop, wire)
        self._asked = b""

    def write(self, data: Any) -> None:
        asked = self._asked = self._asked + bytes(data)
        if asked.endswith(b"}"):  # of its body, which no head ends with
            self._asked = b""
            self._loop.call_soon(self._answer, answer_to(asked), 0)

    def _answer(self, reads: tuple[bytes, ...], at: int) -> None:
        if self._is_closing:
            return
        if at + 1 < len(reads):
            self._loop.call_soon(self._wait_a_turn, reads, at + 1)
        self.protocol.data_received(reads[at])

    def _wait_a_turn(self, reads: tuple[bytes, ...], at: int) -> None:
        self._loop.call_soon(self._answer, reads, at)


class FakeLoop(NexusLoop):
    """A loop whose connections are wires: accepted ones of clients, made ones to backends."""

    def __init__(self) -> None:
        super().__init__()
        self.accepted: list[ClientWire] = []
        self._has_accepted = asyncio.Event()

    @asynccontextmanager
    async def clients_of(self, port: int, number: int) -> AsyncGenerator[list[ClientWire]]:
        """So many clients of whoever listens on that port, in this loop."""
        before = len(self.accepted)
        with ExitStack() as stack:
            for _ in range(number):
                stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            async with asyncio.timeout(LONGEST_SECONDS):
                while len(self.accepted) < before + number:
                    self._has_accepted.clear()
                    await self._has_accepted.wait()
            wires = self.accepted[before:]
            try:
                yield wires
            finally:
                for wire in wires:
                    wire.close()

    async def connect_accepted_socket(
        self, protocol_factory: Callable[[], Any], sock: socket.socket, **_: Any
    ) -> tuple[Any, Any]:
        wire = ClientWire(self, sock)
        self.accepted.append(wire)
        self._has_accepted.set()
        return wire, attach(wire, protocol_factory)

    async def create_connection(
        self,
        protocol_factory: Callable[[], Any],
        host: str | None = None,
        port: int | None = None,
        *,
        sock: socket.socket | None = None,
        **_: Any,
    ) -> tuple[Any, Any]:
        if sock is None:
            sock = socket.create_connection((host or "", port or 0))
            sock.setblocking(False)
        wire = BackendWire(self, sock)
        return wire, attach(wire, protocol_factory)


async def ask(clients: list[ClientWire], request: bytes, number: int) -> None:
    """Return once a request was made and answered so often, by these clients together."""
    loop = asyncio.get_running_loop()
    tickets = Tickets(number, loop)
    for client in clients:
        client.request, client.tickets = request, tickets
        loop.call_soon(client.ask)
    async with asyncio.timeout(LONGEST_SECONDS):
        await tickets.done


def attach(wire: Wire, protocol_factory: Callable[[], Any]) -> Any:
    wire.protocol = protocol = protocol_factory()
    protocol.connection_made(wire)
    return protocol
