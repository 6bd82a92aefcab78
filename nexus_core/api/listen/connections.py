"""Client connections: accept them up to a limit, and keep serving without free descriptors.

The event loops' own servers do neither: out of descriptors asyncio logs a traceback for each
attempt, uvloop drops whoever asks without a word.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from nexus_core import descriptors
from nexus_core.api.asgi.messages import Application
from nexus_core.api.listen.no_room import NoRoom, turn_away
from nexus_core.api.listen.trouble import Trouble
from nexus_core.upstream.transport_errors import is_readable
from nexus_core.worker import TURN_SECONDS, Share

log = logging.getLogger(__name__)

DEFAULT_MAX_CONNECTIONS = 10_000  # where the descriptors allow more
IDLE_SECONDS = 75  # a connection on which nothing is asked is closed after so long

_OWN_DESCRIPTORS = 24  # of the process itself: listener, loop, ledger, log, terminal
_ACCEPTED_AT_ONCE = 32  # before the loop has its turn
_EVICTED_AT_ONCE = 4
_RESERVED = 2  # descriptors
_LOOKED_AT = 8  # idle connections, for one to close
_STUCK_HEAD_SECONDS = 1.0  # a request's head comes in one piece, or in a few at once
_NEW_SECONDS = 0.02  # a client asks at once when it has a connection
_STANDING_SECONDS = 1.0  # the same for one that is refused
_MOMENT_SECONDS = 0.005  # until a connection is no longer new, or one that is refused has left
_PAUSE_SECONDS = 0.1  # between attempts to accept while there is no descriptor
_TICK_SECONDS = 1.0
_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


def spare_descriptors(limit: int) -> int:
    """Number of file descriptors reserved for files, imports and running requests."""
    return max(8, min(32, limit // 8))


def most_connections(configured: int | None, limit: int) -> int:
    """Maximum number of client connections under a limit of file descriptors.

    A request needs one to its client and one to its backend: without a setting, half of what the
    process does not need itself. A setting may take all of that.
    """
    free = limit - 2 * spare_descriptors(limit) - _OWN_DESCRIPTORS
    if configured is None:
        return max(1, min(DEFAULT_MAX_CONNECTIONS, free // 2))
    return max(1, min(configured, free))


class Connections(ServerState):
    """uvicorn's server state, with the idle connections that may be closed."""

    def __init__(self) -> None:
        super().__init__()
        # Since when, on the loop's clock; in that order.
        self.idle: dict[CountedProtocol, float] = {}  # nothing is asked, and nothing comes
        self.in_head: dict[CountedProtocol, float] = {}  # a request has begun to come
        self.share: Share | None = None  # with siblings on the same port
        self._common: list[tuple[bytes, bytes]] = []
        self._common_lines = b""

    def common_lines(self) -> bytes:
        """The headers of every answer as they are sent; uvicorn makes new ones each second."""
        if self.default_headers is not self._common:
            self._common = self.default_headers
            self._common_lines = b"".join([b"%b: %b\r\n" % pair for pair in self._common])
        return self._common_lines

    def make_room(self, at: float) -> bool:
        """Close the connection that is idle for longest, else one whose request does not come on.

        False if every connection is in use, or so new that its request may be on the way.
        """
        for connection, since in list(islice(self.idle.items(), _LOOKED_AT)):
            if at - since < _NEW_SECONDS:
                break
            if not connection.has_unread_bytes():
                connection.leave()
                return True
        for connection, since in list(islice(self.in_head.items(), 1)):
            if at - since >= _STUCK_HEAD_SECONDS:
                connection.leave()
                return True
        return False

    def close_stale(self, at: float) -> None:
        """Close those on which nothing was asked for IDLE_SECONDS."""
        for connection, since in list(self.idle.items()):
            if at - since < IDLE_SECONDS:
                break
            connection.leave()


class CountedProtocol(HttpToolsProtocol):
    """Notes when its connection is idle. Costs half a microsecond a request."""

    app: Application
    server_state: Connections

    def has_unread_bytes(self) -> bool:
        """Whether a request may be under way that the loop has not read yet."""
        wire = self.transport.get_extra_info("socket")
        return wire is None or is_readable(wire.fileno())

    def leave(self) -> None:
        """Close the connection: nobody waits on it."""
        self._forget()
        self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Nothing is asked yet."""
        super().connection_made(transport)
        self.server_state.idle[self] = self.loop.time()

    def note_bytes(self) -> None:
        """A request begins, or goes on."""
        if self.server_state.idle.pop(self, None) is not None:
            self.server_state.in_head[self] = self.loop.time()

    def note_head(self) -> None:
        """From here on somebody waits for an answer."""
        self.server_state.in_head.pop(self, None)

    def on_response_complete(self) -> None:
        """Serve the next request, if it is here already; else the connection is idle again.

        In uvicorn's stead, which starts a timer for each answer: `close_stale` looks at all.
        """
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.cycle.response_complete:
            self.server_state.idle[self] = self.loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """It makes room for another one."""
        self._forget()
        super().connection_lost(exc)
        if self.server_state.share is not None:
            self.server_state.share.note(len(self.server_state.connections))

    def _forget(self) -> None:
        self.server_state.idle.pop(self, None)
        self.server_state.in_head.pop(self, None)


class Acceptor:
    """Accept connections while file descriptors are available; shortages are logged once.

    Stands where uvicorn has the loop's own server.
    """

    def __init__(
        self,
        listener: socket.socket,
        state: Connections,
        make: Callable[[], CountedProtocol],
        tasks: asyncio.TaskGroup,
        *,
        configured: int | None,
    ) -> None:
        """Takes over the listener; `configured` is [server] max_connections."""
        self._listener = listener
        self._state = state
        self._make = make
        self._tasks = tasks
        self._configured = configured
        self._loop = asyncio.get_running_loop()
        self._coming = 0  # accepted, and not among the connections yet
        self._standing: set[CountedProtocol] = set()  # beyond the limit, to hear why
        self._reserve: list[int] = []  # descriptors to accept with when there are no others
        self._was_in_vain = False  # connections were closed, and still none can be accepted
        self._is_closed = False
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._crowd = Trouble(
            "the limit of %d connections is reached (raise it with ulimit -n, or set "
            "[server] max_connections)"
            if configured is None
            else "[server] max_connections (%d) is reached"
        )
        self._want = Trouble("out of file descriptors (limit %d; raise it with ulimit -n)")

    def start(self) -> None:
        """Accept from now on."""
        limit = descriptors.limit()
        allowed = most_connections(self._configured, limit)
        if self._configured is not None and allowed < self._configured:
            log.warning(
                "[server] max_connections: %d is more than %d file descriptors allow; using %d",
                self._configured,
                limit,
                allowed,
            )
        self._keep_reserve()
        self._resume()
        self._tick()

    def close(self) -> None:
        """Accept no more; what was accepted goes on."""
        if self._is_closed:
            return
        self._is_closed = True
        for timer in self._timers.values():
            timer.cancel()
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        self._give_reserve_up()

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""

    # Accepting --------------------------------------------------------------------------------

    def _resume(self) -> None:
        self._loop.add_reader(self._listener.fileno(), self._accept)

    def _pause(self, seconds: float) -> None:
        """Let clients wait in the kernel's queue for a moment."""
        self._loop.remove_reader(self._listener.fileno())
        self._timers["resume"] = self._loop.call_later(seconds, self._resume)

    def _accept(self) -> None:
        if self._is_crowded():
            self._accept_in_crowd()
            return
        share, here = self._state.share, len(self._state.connections) + self._coming
        if share is not None and not share.has_turn(here):
            self._pause(TURN_SECONDS)
            return
        for _ in range(_ACCEPTED_AT_ONCE if share is None else 1):
            if (connection := self._next()) is None:
                return
            self._take(connection)
            if self._is_crowded():
                return

    def _next(self) -> socket.socket | None:
        """The next client's connection; None if there is none, or no descriptor for it."""
        try:
            connection, _address = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return None
        except OSError as error:
            self._fail_to_accept(error)
            return None
        self._was_in_vain = False
        connection.setblocking(False)
        return connection

    def _is_crowded(self) -> bool:
        allowed = most_connections(self._configured, descriptors.limit())
        return len(self._state.connections) + self._coming >= allowed

    def _accept_in_crowd(self) -> None:
        """One waits: if another one makes room it is served, else it may come in to hear why."""
        if self._coming:
            return  # they may be idle, once they are here
        at = self._loop.time()
        self._crowd.note(at, most_connections(self._configured, descriptors.limit()))
        has_room = self._state.make_room(at)
        if not has_room and (self._state.idle or not self._has_standing_room()):
            self._pause(_MOMENT_SECONDS)
            return
        if (connection := self._next()) is not None:
            self._begin(connection, self._crowd, has_room=has_room)

    def _take(self, connection: socket.socket) -> None:
        limit = descriptors.limit()
        # The lowest free number is the next one: this high, and hardly any is left below.
        if connection.fileno() < limit - spare_descriptors(limit):
            self._serve(connection)
            return
        at = self._loop.time()
        self._want.note(at, limit)
        has_room = self._state.make_room(at)
        if has_room or self._has_standing_room():
            self._begin(connection, self._want, has_room=has_room)
        else:
            self._want.refused += 1
            turn_away(connection, self._state.common_lines())

    def _begin(self, connection: socket.socket, trouble: Trouble, *, has_room: bool) -> None:
        if has_room:
            trouble.evicted += 1
        else:
            trouble.refused += 1
        self._serve(connection, is_surplus=not has_room)

    def _has_standing_room(self) -> bool:
        known = self._state.connections
        # uvicorn's types leave out that it is None until the connection is made.
        self._standing = {
            one
            for one in self._standing
            if one in known or one.transport is None  # pyright: ignore[reportUnnecessaryComparison]
        }
        return len(self._standing) < max(2, spare_descriptors(descriptors.limit()) // 4)

    def _serve(self, connection: socket.socket, *, is_surplus: bool = False) -> None:
        self._coming += 1
        self._tasks.create_task(self._connect(connection, is_surplus), name="connection")

    async def _connect(self, connection: socket.socket, is_surplus: bool) -> None:
        make = self._make_surplus if is_surplus else self._make
        transport: asyncio.Transport | None = None
        try:
            transport, _ = await self._loop.connect_accepted_socket(make, connection)
        except OSError as error:  # it is gone already
            log.debug("a connection was lost before it was served: %s", error)
        except Exception:
            log.exception("a connection could not be served")
        finally:
            self._coming -= 1
            if transport is None:
                connection.close()
            elif self._is_closed:  # too late for the server's own farewell
                transport.close()

    def _make_surplus(self) -> CountedProtocol:
        protocol = self._make()
        protocol.app = NoRoom(protocol.app)
        self._standing.add(protocol)
        return protocol

    # Out of descriptors -----------------------------------------------------------------------

    def _fail_to_accept(self, error: OSError) -> None:
        """Make room, or at least tell those who wait; then try again in a moment."""
        self._pause(_PAUSE_SECONDS)
        if error.errno not in _RESOURCES:
            log.warning("a connection could not be accepted: %s", error)
            return
        at = self._loop.time()
        self._want.note(at, descriptors.limit())
        made = 0
        if not self._was_in_vain:  # else what is closed makes no room: the limit was lowered
            made = sum(self._state.make_room(at) for _ in range(_EVICTED_AT_ONCE))
            self._want.evicted += made
        self._was_in_vain = bool(made)
        if not made:
            self._refuse_with_reserve()

    def _refuse_with_reserve(self) -> None:
        """Let in as many as there are descriptors kept for that, to hear why they are refused."""
        with suppress(OSError):
            while self._reserve and self._has_standing_room():
                os.close(self._reserve.pop())
                connection, _address = self._listener.accept()
                connection.setblocking(False)
                self._begin(connection, self._want, has_room=False)
        self._keep_reserve()

    def _keep_reserve(self) -> None:
        with suppress(OSError):  # at the next tick, then
            while len(self._reserve) < _RESERVED:
                self._reserve.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))

    def _give_reserve_up(self) -> None:
        while self._reserve:
            os.close(self._reserve.pop())

    def _tick(self) -> None:
        at = self._loop.time()
        self._keep_reserve()
        self._state.close_stale(at)
        for one in self._standing:
            if at - self._state.idle.get(one, at) >= _STANDING_SECONDS:
                one.leave()
        for trouble in (self._crowd, self._want):
            trouble.end_if_over(at)
        self._timers["tick"] = self._loop.call_later(_TICK_SECONDS, self._tick)
