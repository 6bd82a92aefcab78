"""Inference requests served by the protocol of their connection; every other goes to ASGI."""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from nexus_core.api.app import FrontDoor
from nexus_core.api.asgi.messages import Application, RawHeaders
from nexus_core.api.inference.arrival import Arrival, new_id
from nexus_core.api.listen.connections import Connections
from nexus_core.api.listen.wire_reply import WireReply
from nexus_core.dialects.inbound import INBOUND, MESSAGES_PATH, Inbound, inbound_at
from nexus_core.errors import NexusError

_ASKED = {path.encode(): (asked, path) for path, asked in INBOUND.items()}
# Of Anthropic's clients nearly all ask so. Any other query is ASGI's.
_ASKED[f"{MESSAGES_PATH}?beta=true".encode()] = (INBOUND[MESSAGES_PATH], MESSAGES_PATH)
_WITH_MODEL = b"/v1beta/models/"  # in its path; the only query of these that is not ASGI's:
_AS_EVENTS = b"?alt=sse"
# A body that is not as long as its head says, or not as it will be read: ASGI takes that in.
_OTHER_BODIES = frozenset({b"content-encoding", b"transfer-encoding"})


class InferenceProtocol(HttpToolsProtocol):
    """HTTP protocol that collects an inference request and starts one task to serve it.

    ASGI gets what has to be told to a client before its body is read, and what is rare: HTTP/1.0,
    Expect, a chunked or compressed body, a request that came before the last one was answered or
    while its answer was not read: there, an answer waits with its first byte until it is.
    """

    app: Application
    parser: httptools.HttpRequestParser
    server_state: Connections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._arrival: Arrival | None = None  # of the request that is received here
        self._body: list[bytes] = []  # as much of it as is here
        self._reply: WireReply | None = None  # to the last request that was served here
        self._serving: asyncio.Task[None] | None = None

    @property
    def is_receiving(self) -> bool:
        """Whether the rest of a request's body is awaited here."""
        return self._arrival is not None

    def on_message_begin(self) -> None:
        """A request begins; what ASGI needs beside its head is made where it goes there."""
        self.url, self.headers, self.expect_100_continue = b"", [], False

    def on_headers_complete(self) -> None:
        """The head is in: decide who serves the request."""
        arrival = self._let_in()
        if arrival is None:
            self._begin_asgi(self.headers)
            return
        self._arrival = arrival
        self._reply = WireReply(
            arrival,
            self,
            self.server_state.common_lines(),
            keep_alive=self.parser.should_keep_alive(),
        )
        self.cycle = self._reply  # type: ignore[assignment] # by its likeness

    def on_body(self, body: bytes) -> None:
        """The body goes on."""
        if self._arrival is None:
            super().on_body(body)
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """The request is whole: serve it."""
        arrival, reply = self._arrival, self._reply
        if arrival is None or reply is None:
            super().on_message_complete()
            return
        parts, self._body, self._arrival = self._body, [], None
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        self._serving = self.loop.create_task(self._serve(arrival, body, reply))
        self.tasks.add(self._serving)

    def hand_over(self) -> None:
        """Let ASGI go on with the request whose body is still coming in."""
        headers = [] if self._arrival is None else self._arrival.headers
        parts, self._body, self._arrival = self._body, [], None
        kept = self.cycle.keep_alive
        self.cycle = None  # type: ignore[assignment] # as before the first request
        self._begin_asgi(headers)
        self.cycle.keep_alive = kept
        for part in parts:
            super().on_body(part)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone: what is done for it ends."""
        reply, serving = self._reply, self._serving
        if reply is not None and not reply.response_complete:
            reply.disconnected = True
            if serving is not None:
                serving.cancel()
        if isinstance(self.cycle, WireReply):
            self.cycle = None  # pyright: ignore[reportAttributeAccessIssue]  # nothing waits for it
        super().connection_lost(exc)

    def _begin_asgi(self, headers: RawHeaders) -> None:
        url, expects = self.url, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.scope["headers"] = headers
        super().on_headers_complete()

    def _let_in(self) -> Arrival | None:
        """What is known of the request, if it is to be served here."""
        asked, door, parser = _ASKED.get(self.url), self.app, self.parser
        if asked is None and self.url.startswith(_WITH_MODEL):
            asked = _with_model(self.url)
        if asked is None or parser.get_method() != b"POST" or self.expect_100_continue:
            return None
        # Over the limit of connections another app stands before the door.
        if not isinstance(door, FrontDoor) or parser.get_http_version() != "1.1":
            return None
        cycle = self.cycle
        # uvicorn's types leave out that it is None before the first request.
        if cycle is not None and not cycle.response_complete:  # pyright: ignore[reportUnnecessaryComparison]
            return None
        if self.flow.write_paused:
            return None
        length = b""
        for name, value in self.headers:
            if name == b"content-length":
                length = value
            elif name in _OTHER_BODIES:
                return None
        if not length or int(length) > door.max_body_bytes:
            return None
        try:
            return door.let_in(*asked, self.headers, new_id())
        except NexusError:
            return None

    async def _serve(self, arrival: Arrival, body: bytes, reply: WireReply) -> None:
        # While it begins, the latest task is this one: the next request waits for its answer.
        door, task = self.app, self._serving
        assert isinstance(door, FrontDoor)  # noqa: S101 - asked before, for the type checker
        # A request that came with this one has paused it: nobody would hear that the client left.
        self.flow.resume_reading()
        try:
            await door.completions.serve(arrival, body, reply)
        except Exception as error:  # noqa: BLE001 - the outermost edge
            door.refusals.log_failure(error, arrival.path, arrival.request_id)
        finally:
            if task is not None:
                self.tasks.discard(task)
            if not reply.response_complete:
                self.transport.close()  # what is cut off must not look whole


@lru_cache(maxsize=256)
def _with_model(url: bytes) -> tuple[Inbound, str] | None:
    """What a URL of Google's API asks for, if it is as most are."""
    path, is_stream, query = url.removesuffix(_AS_EVENTS), url.endswith(_AS_EVENTS), ""
    if b"?" in path or not path.isascii():
        return None
    if is_stream:
        query = "alt=sse"
    decoded = unquote(path.decode())
    found = inbound_at(decoded, query)
    return None if found is None else (found, decoded)
