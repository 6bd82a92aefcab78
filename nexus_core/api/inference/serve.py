"""POST /v1/chat/completions, /v1/completions and /v1/embeddings, streaming or not."""

from __future__ import annotations

import asyncio
import time

from nexus_core.api.asgi.body import read_body
from nexus_core.api.asgi.messages import (
    ClientLeftError,
    Incoming,
    Message,
    Outgoing,
    RawHeaders,
    Receive,
    Scope,
)
from nexus_core.api.auth import Caller
from nexus_core.api.errors import error_headers
from nexus_core.api.headers import (
    STREAM_HEADERS,
    NexusHeaders,
    masked_headers,
    passed_headers,
    read_hints,
)
from nexus_core.dialects.base import Dialect
from nexus_core.dialects.inbound import Inbound
from nexus_core.errors import NexusError
from nexus_core.gateway import Gateway
from nexus_core.observe.record import KeptHeaders
from nexus_core.proxy.reply import ProxyRequest, SelectedRoute
from nexus_core.routing.requirements import read_requirements
from nexus_core.upstream.base import Headers


class Completions:
    """The hot path of inference requests: plain ASGI from the socket to the forwarder."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def serve(
        self,
        asked: Inbound,
        scope: Scope,
        incoming: Incoming,
        outgoing: Outgoing,
        caller: Caller,
        request_id: str,
    ) -> None:
        """Answer one request.

        Raises:
            NexusError: it is refused before anything was sent, for the front door to answer.
            ClientLeftError: nobody is there any more.
        """
        received = time.monotonic()
        # Content-Type is not looked at: curl -d and many a script send JSON as a form, and the
        # other web pages that could do so from a browser were turned away at the door.
        config = self._gateway.live.config
        body = await read_body(scope, incoming, config.server.max_body_bytes)
        envelope = asked.dialect.read_request(asked.operation, body, request_id)
        hints = read_hints(scope, self._gateway.registry.names)
        request = ProxyRequest(
            envelope=envelope,
            dialect=asked.dialect,
            need=read_requirements(envelope.model, hints, config.routing),
            client=caller.name,
            headers=masked_headers(scope["headers"]),
            received=received,
        )
        reply = AsgiReply(outgoing, request_id, asked.dialect)
        captures = self._gateway.captures
        try:
            async with asyncio.TaskGroup() as tasks:
                watcher = tasks.create_task(_watch(incoming.receive, reply), name="client-watch")
                await self._gateway.forwarder.forward(
                    request, captures.record(request, reply) if captures.is_on else reply
                )
                await reply.drain()
                watcher.cancel()
        except* ClientLeftError:
            pass  # the exchange was cancelled, and nobody is there to be answered


async def _watch(receive: Receive, reply: AsgiReply) -> None:
    """Raise when the client leaves, which cancels the exchange beside it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if not reply.is_finished:
        raise ClientLeftError


class AsgiReply:
    """Reply to a client as ASGI messages, which wait for `drain`: sending them may take time."""

    def __init__(self, outgoing: Outgoing, request_id: str, dialect: Dialect) -> None:
        self._outgoing = outgoing
        self._messages: list[Message] = []
        self._dialect = dialect
        self._stream_type = dialect.stream_type.encode()
        self._request_id = request_id
        self._last = b"\n\n"
        self._is_stream = False
        self.is_finished = False

    def start(
        self, status: int, upstream: Headers, selected: SelectedRoute, *, length: int | None
    ) -> KeptHeaders:
        """Begin an answer of `length` bytes (None: a stream); the headers as they are sent."""
        headers = passed_headers(upstream)
        self._is_stream = length is None
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        if dict(headers).get(b"content-type", b"").startswith(self._stream_type):
            headers += STREAM_HEADERS
        NexusHeaders(self._request_id, selected, selected.overhead_ms).inject_into(headers)
        self._tell({"type": "http.response.start", "status": status, "headers": headers})
        return masked_headers(headers)

    def send(self, data: bytes) -> None:
        """Pass on a part of the body."""
        self._last = data
        self._tell({"type": "http.response.body", "body": data, "more_body": True})

    async def drain(self) -> None:
        """Send what waits; returns when the client has read most of it."""
        messages, self._messages = self._messages, []
        for message in messages:
            await self._outgoing(message)

    def finish(self) -> None:
        """End the answer."""
        self.is_finished = True
        self._tell({"type": "http.response.body", "body": b""})

    def send_error_event(self, error: NexusError) -> None:
        """Tell of a failure inside a stream that has begun, and end it without [DONE].

        Nothing fits behind a whole answer, which has been handed over by then.
        """
        if self._is_stream:
            self.send(self._border() + self._dialect.error_event(error))
        self.finish()

    def refuse(self, error: NexusError, selected: SelectedRoute | None) -> KeptHeaders:
        """Answer with an error instead; `selected` is the backend that caused it."""
        headers: RawHeaders = error_headers(error)
        NexusHeaders(self._request_id, selected).inject_into(headers)
        body = self._dialect.error(error)
        length = (b"content-length", b"%d" % len(body))
        start = {"type": "http.response.start", "status": error.status}
        self._tell({**start, "headers": [*headers, length]})
        self.send(body)
        self.finish()
        return masked_headers(headers)

    def _tell(self, message: Message) -> None:
        self._messages.append(message)

    def _border(self) -> bytes:
        """What ends the event that is under way, so that ours stands alone."""
        if self._last.endswith((b"\n\n", b"\r\n\r\n")):
            return b""
        return b"\n" if self._last.endswith(b"\n") else b"\n\n"
