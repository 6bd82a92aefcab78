"""Listen, serve and drain: uvicorn without its signals, logs and unbounded waits."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import uvicorn

from nexus_core.api.app import FrontDoor
from nexus_core.api.asgi.messages import (
    LINGER_SECONDS,
    RECEIPT_TIMEOUT_SECONDS,
    RECEIVE_BY,
    Application,
)
from nexus_core.api.listen.connections import IDLE_SECONDS, Acceptor, Connections, CountedProtocol
from nexus_core.api.listen.http1 import Http1Protocol
from nexus_core.api.listen.inference import InferenceProtocol
from nexus_core.gateway import Gateway
from nexus_core.worker import Share

log = logging.getLogger(__name__)

MAX_HEAD_BYTES = 64 * 1024
_LAST_WORDS_SECONDS = 2  # for the error events of streams that outlive the grace time

_HEAD_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
_WHY_TOO_LARGE = (
    b"content-type: text/plain\r\ncontent-length: 44\r\nconnection: close\r\n\r\n"
    b"the request's head or trailer is over 64 KiB"
)


def bind(host: str, port: int) -> socket.socket:
    """Bind a listening socket.

    Raises:
        OSError: the address is in use, not ours, or does not exist.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    family, kind, protocol, _, address = found
    # With the protocol: asyncio sets TCP_NODELAY only where it reads TCP there.
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


async def serve(
    gateway: Gateway,
    listener: socket.socket,
    *,
    stop: asyncio.Event,
    ready: asyncio.Event | None = None,
    share: Share | None = None,
) -> None:
    """Serve until `stop` is set, then drain running requests within the grace time.

    Before that requests are taken for `drain_seconds` more, while /health answers 503.
    Takes over the listener and closes it. `ready` is set once requests are answered. `share` is
    of the connections, where other processes take some from the same listener.
    """
    grace = gateway.config.server.shutdown_grace_seconds
    if gateway.shared is not None and listener.family != socket.AF_UNIX:
        gateway.shared.listens_at(*listener.getsockname()[:2])
    replica = None if gateway.shared is None else gateway.shared.replica
    config = http_config(FrontDoor(gateway), grace, replica)
    async with asyncio.TaskGroup() as tasks:
        server = Server(config, tasks, gateway.config.server.max_connections)
        server.server_state.share = share
        tasks.create_task(server.serve(sockets=[listener]), name="http-server")
        await server.listening.wait()
        if ready is not None:
            ready.set()
        # Probing begins after that: its first step is to import a network library.
        async with gateway.running():
            await stop.wait()
            if drain_seconds := gateway.config.server.drain_seconds:
                gateway.is_draining = True
                log.info("draining: requests are taken for %g s more", drain_seconds)
                await asyncio.sleep(drain_seconds)
            server.stop_taking()
            gateway.event_log.close()
            await _drain(gateway, grace)
            await server.ended.wait()


def http_config(
    app: Application, grace_seconds: float, replica: str | None = None
) -> uvicorn.Config:
    """uvicorn's settings, for an application of ours; every answer names the replica."""
    return uvicorn.Config(
        app,
        headers=[] if replica is None else [("x-nexus-replica", replica)],
        http=BoundedHttpProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=int(grace_seconds) + _LAST_WORDS_SECONDS,
    )


async def _drain(gateway: Gateway, grace_seconds: float) -> None:
    try:
        async with asyncio.timeout(grace_seconds):
            await gateway.forwarder.idle()
    except TimeoutError:
        log.warning(
            "shutdown_grace_seconds are over; ending %s requests", gateway.forwarder.in_flight
        )
    gateway.forwarder.end_all()


class Server(uvicorn.Server):
    """Signals belong to the command; whoever waits is told when it listens and when it ended."""

    def __init__(
        self, config: uvicorn.Config, tasks: asyncio.TaskGroup, max_connections: int | None
    ) -> None:
        super().__init__(config)
        self.server_state: Connections = Connections()
        self._tasks = tasks  # of the connections, until each is made
        self._max_connections = max_connections
        self.listening = asyncio.Event()
        self.ended = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signal handlers as they are."""
        yield

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve; however that ends, take no more and let go of every connection."""
        try:
            await super().serve(sockets=sockets)
        finally:
            self.stop_taking()  # uvicorn leaves all of it behind when it is cancelled

    def stop_taking(self) -> None:
        """Take no more requests: close what listens and what is idle; what runs is the last.

        uvicorn looks at `should_exit` ten times a second; a request that came meanwhile on an idle
        connection would be refused, though its client could have asked another server.
        """
        self.should_exit = True
        for listening in getattr(self, "servers", ()):
            listening.close()
        if self.server_state.share is not None:
            self.server_state.share.leave()
        for connection in tuple(self.server_state.connections):
            connection.shutdown()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so; accepting is our own."""
        await self.lifespan.startup()
        acceptors = [self._acceptor(listener) for listener in sockets or ()]
        self.servers = acceptors  # type: ignore[assignment]
        if self.server_state.share is not None:
            self.server_state.share.note(0)
        for acceptor in acceptors:
            acceptor.start()
        self.started = True
        self.listening.set()

    def _acceptor(self, listener: socket.socket) -> Acceptor:
        def make() -> BoundedHttpProtocol:
            return BoundedHttpProtocol(self.config, self.server_state, self.lifespan.state)

        return Acceptor(
            listener, self.server_state, make, self._tasks, configured=self._max_connections
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, and say so."""
        try:
            await super().shutdown(sockets=sockets)
        finally:
            self.ended.set()


# Here is said in which order they are told what came; Http1Protocol feeds the parser in uvicorn's
# stead, and what InferenceProtocol does not serve itself goes on to uvicorn and ASGI.
class BoundedHttpProtocol(CountedProtocol, Http1Protocol, InferenceProtocol):
    """HTTP protocol with limits on the time and size of request headers.

    uvicorn limits only the time between two requests. What stands around a body's chunks has the
    head's limit: the parser keeps a trailer until it is whole, and copies it with each read.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_in_body = False
        self._is_refused = False
        self._head_bytes = 0  # of a head that is not complete; in a body, since its last byte
        self._receipt: asyncio.TimerHandle | None = None
        self._receive_by: float | None = None  # of a request whose head did not come at once

    def data_received(self, data: bytes) -> None:
        """Take in bytes; those of a head that is not complete are counted and timed."""
        if self._is_refused:
            return
        self._head_bytes += len(data)
        self.note_bytes()
        self.feed(data)
        if self.is_receiving and self._receipt is None and not self.transport.is_closing():
            by = self._receive_by or self.loop.time() + RECEIPT_TIMEOUT_SECONDS
            self._receipt = self.loop.call_at(by, self._give_up)
        if not self._head_bytes or self.transport.is_closing():
            return
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse()
        elif self._receipt is None and not self._is_in_body:
            self._receipt = self.loop.call_later(RECEIPT_TIMEOUT_SECONDS, self.transport.close)

    def on_headers_complete(self) -> None:
        """The head is in; the body has a limit of its own, and what is left of the time."""
        self.note_head()
        if not self.is_served():
            return  # the time goes on
        self._is_in_body = True
        self._head_bytes = 0
        self._receive_by = None
        if self._receipt is not None:
            self._receive_by = self._receipt.when()
            self._stop_timer()
        super().on_headers_complete()
        if self._receive_by is not None and not self.is_receiving:
            self.scope[RECEIVE_BY] = self._receive_by  # type: ignore[literal-required]
        # What comes after the body is no part of the head: a Host or a key there would count after
        # whoever stands in front has looked (RFC 9110 section 6.5.1). Nothing here needs it.
        self.headers = []

    def on_body(self, body: bytes) -> None:
        """The body goes on; how long it is counts elsewhere."""
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """What comes next is another request's head, unless this one is to be read again."""
        self._is_in_body = False
        self._head_bytes = 0
        if self._receipt is not None:
            self._stop_timer()
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self._stop_timer()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        """The time for the request is over: ASGI tells the client, which may still be sending."""
        self._stop_timer()
        self.hand_over()
        self.scope[RECEIVE_BY] = self.loop.time()  # type: ignore[literal-required]

    def _refuse(self) -> None:
        self._is_refused = True
        cycle = self.cycle
        # uvicorn's types leave out that it is None before the first request.
        has_begun = cycle is not None  # pyright: ignore[reportUnnecessaryComparison]
        if has_begun and not cycle.response_complete:
            if not self._is_in_body or self.pipeline or cycle.response_started:
                self.transport.close()  # this would be taken for another request's answer
                return
            cycle.disconnected = True  # nobody is to wait for the rest
            cycle.message_event.set()
        # Closing at once would reset the connection, and the reset may overtake the answer.
        self.transport.write(_HEAD_TOO_LARGE + self.server_state.common_lines() + _WHY_TOO_LARGE)
        self.transport.write_eof()
        self._stop_timer()
        self._receipt = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _stop_timer(self) -> None:
        if self._receipt is not None:
            self._receipt.cancel()
            self._receipt = None
