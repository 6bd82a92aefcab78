"""The ASGI application: who may come in, and who serves the request."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from nexus_core.api.asgi.body import pass_over_body, read_body, read_command
from nexus_core.api.asgi.messages import (
    CALLER,
    KEY,
    ClientLeftError,
    Incoming,
    Outgoing,
    RawHeaders,
    Receive,
    Scope,
    Send,
    header,
    send_early,
    send_whole,
)
from nexus_core.api.asgi.reply import AsgiReply, while_connected
from nexus_core.api.auth import Guard
from nexus_core.api.errors import JSON_TYPE, error_headers
from nexus_core.api.headers import REQUEST_ID
from nexus_core.api.health import read_health
from nexus_core.api.inference.arrival import Arrival, new_id
from nexus_core.api.inference.serve import Completions
from nexus_core.api.late_routes import LateRoutes
from nexus_core.api.models import (
    is_googles,
    list_for_anthropic,
    list_for_google,
    list_models,
    view_of,
)
from nexus_core.api.refusals import Refusals
from nexus_core.dialects.inbound import (
    INBOUND,
    Inbound,
    check_query,
    dialect_of,
    inbound_at,
)
from nexus_core.errors import NexusError
from nexus_core.gateway import Gateway

if TYPE_CHECKING:
    from nexus_core.api.siblings.relay import Relay


async def _health(gateway: Gateway, scope: Scope) -> tuple[int, bytes]:
    status, health = read_health(gateway, scope)
    return status, json.dumps(health, separators=(",", ":")).encode()


async def _models(gateway: Gateway, scope: Scope) -> tuple[int, bytes]:
    seen = view_of(gateway, scope)
    if header(scope, b"anthropic-version") is not None:
        return 200, await list_for_anthropic(seen)
    if is_googles(scope):
        return 200, await list_for_google(seen)
    return 200, await list_models(seen)


# By path: what a GET is answered without FastAPI, its status and JSON.
_ASKED_OFTEN: dict[str, Callable[[Gateway, Scope], Awaitable[tuple[int, bytes]]]] = {
    "/health": _health,
    "/v1/models": _models,
}


class MethodNotAllowedError(NexusError):
    """The path only accepts POST."""

    status = 405
    code = "method_not_allowed"
    type = "invalid_request_error"
    headers = (("allow", "POST"),)


class UpgradeRefusedError(NexusError):
    """A websocket was asked for where answers are streamed over HTTP.

    OpenAI's clients try one first; at this status, unlike a 404, they go over to HTTP at once.
    """

    status = 426
    code = "upgrade_not_supported"
    type = "invalid_request_error"
    headers = (("upgrade", "HTTP/1.1"),)  # RFC 9110 section 15.5.22


# Where clients try a websocket, beside the paths that are served.
_WEBSOCKET_PATHS = frozenset({*INBOUND, "/v1/responses", "/v1/realtime"})
_WEBSOCKET_HEADERS = frozenset({b"sec-websocket-key", b"sec-websocket-version"})


def _wants_websocket(scope: Scope) -> bool:
    """Whether it is a websocket's handshake; the offer itself was declined with the head."""
    if scope["method"] != "GET" or scope["path"] not in _WEBSOCKET_PATHS:
        return False
    return any(name in _WEBSOCKET_HEADERS for name, _ in scope["headers"])


_ABOUT_ALL = frozenset({"/metrics", "/v1/stats"})
_ABOUT_ONE = frozenset({"/nexus/costs", "/nexus/explain", "/nexus/send"})  # any worker will do


def is_about_all(path: str) -> bool:
    """Whether a request is about all workers of the port, and not about the one that got it."""
    if path.startswith("/nexus/replicas"):
        return False  # each worker knows the fleet
    return path in _ABOUT_ALL or (path.startswith("/nexus/") and path not in _ABOUT_ONE)


# At "/" clients look whether it is there; those of Ollama read what its server says.
_LOOKING = frozenset({"GET", "HEAD"})
_TEXT_TYPE = (b"content-type", b"text/plain; charset=utf-8")


def _home(scope: Scope) -> bytes:
    if scope["method"] == "HEAD":
        return b""
    is_browser = "text/html" in (header(scope, b"accept") or "")
    return b"Nexus is running; /docs lists its paths" if is_browser else b"Ollama is running"


class FrontDoor:
    """The ASGI application: authentication, then inference requests, then FastAPI."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._guard = Guard(gateway.config.auth, gateway.keys)
        self.refusals = Refusals(gateway)
        self.completions = Completions(gateway, self.refusals)
        self.routes = LateRoutes(gateway)
        self._speaks_for_all = gateway.worker is not None  # the workers of the port
        self._relay: Relay | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if scope["type"] != "http":
            await (await self.routes.app())(scope, receive, send)
            return
        request_id = new_id()
        incoming, outgoing = Incoming(receive), Outgoing(send)
        try:
            await self._serve(scope, incoming, outgoing, request_id)
        except ClientLeftError:
            return
        except Exception as error:
            path: str = scope["path"]
            if outgoing.has_begun:
                self.refusals.log_failure(error, path, request_id)
                raise  # the answer is cut off: the client must see that
            refusal = self.refusals.of(error, path, request_id)
            dialect = dialect_of(path)
            headers = [*error_headers(refusal), (REQUEST_ID, request_id.encode())]
            if dialect.request_id_header is not None:
                headers.append((dialect.request_id_header, request_id.encode()))
            body = dialect.error(refusal, request_id)
            await send_early(incoming, send, refusal.status, headers, body)

    @property
    def max_body_bytes(self) -> int:
        """The limit of a request's body."""
        return self._gateway.live.config.server.max_body_bytes

    def let_in(self, asked: Inbound, path: str, headers: RawHeaders, request_id: str) -> Arrival:
        """Let an inference request in, before its body is read.

        Raises:
            NexusError: it is refused, as `Guard.admit` does.
        """
        return Arrival(asked, path, headers, self._guard.admit(path, headers), request_id)

    async def _serve(
        self, scope: Scope, incoming: Incoming, outgoing: Outgoing, request_id: str
    ) -> None:
        path, headers = scope["path"], scope["headers"]
        asked = INBOUND.get(path) or inbound_at(path, scope["query_string"].decode("latin-1"))
        if scope["method"] != "POST" and _wants_websocket(scope):
            self._guard.admit(path, headers)
            await self._refuse_websocket(scope, incoming, outgoing)
            return
        if asked is None:
            check_query(path, scope["query_string"].decode("latin-1"))
            caller = self._guard.admit(path, headers)
            scope[CALLER], scope[KEY] = caller.name, caller.key
            await self._serve_other(scope, incoming, outgoing)
            return
        arrival = self.let_in(asked, path, headers, request_id)
        if scope["method"] != "POST":
            raise MethodNotAllowedError(f"{path} takes POST, not {scope['method']}")
        body = await read_body(scope, incoming, self.max_body_bytes)
        reply = AsgiReply(arrival, outgoing)
        serving = self.completions.serve(arrival, body, reply)
        await while_connected(incoming.receive, reply, serving)

    async def _refuse_websocket(self, scope: Scope, incoming: Incoming, outgoing: Outgoing) -> None:
        """Answer at once; it is no refusal to tell of, for the client asks again over HTTP."""
        await pass_over_body(scope, incoming, self.max_body_bytes)
        path = scope["path"]
        hint = f"; use POST {path}" if path in INBOUND else "; use HTTP"
        refusal = UpgradeRefusedError(f"{path} is not served over a websocket{hint}")
        body = dialect_of(path).error(refusal)
        await send_whole(outgoing, refusal.status, error_headers(refusal), body)

    async def _serve_other(self, scope: Scope, incoming: Incoming, outgoing: Outgoing) -> None:
        if scope["path"] == "/" and scope["method"] in _LOOKING:
            await pass_over_body(scope, incoming, self.max_body_bytes)
            await send_whole(outgoing, 200, [_TEXT_TYPE], _home(scope))
            return
        if self._speaks_for_all and is_about_all(scope["path"]):
            await (await self._relayed())(scope, incoming, outgoing, self.max_body_bytes)
            return
        answer = _ASKED_OFTEN.get(scope["path"]) if scope["method"] == "GET" else None
        if answer is not None:
            await pass_over_body(scope, incoming, self.max_body_bytes)
            status, body = await answer(self._gateway, scope)
            await send_whole(outgoing, status, [JSON_TYPE], body)
            return
        try:
            app = await self.routes.app()
        except (OSError, ImportError):  # for want of descriptors: this connection is to be kept
            await pass_over_body(scope, incoming, self.max_body_bytes)
            raise
        await app(scope, await self._take_in(scope, incoming), outgoing)

    async def _relayed(self) -> Relay:
        """The way to the supervisor; the first call imports it."""
        if self._relay is None:
            from nexus_core.api.siblings import relay

            worker = self._gateway.worker
            assert worker is not None  # noqa: S101 - only a worker speaks for all
            self._relay = relay.Relay(worker.hub)
        return self._relay

    async def _take_in(self, scope: Scope, receive: Receive) -> Receive:
        """The body before FastAPI sees the request: it would wait for any, of any size."""
        if scope["method"] == "POST" and await self.routes.serves(scope):
            return await read_command(scope, receive, self.max_body_bytes)
        return await pass_over_body(scope, receive, self.max_body_bytes)
