"""The ASGI application: hot paths first, every other route in create_app."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from nexus_core import __version__, descriptors
from nexus_core.api import status
from nexus_core.api.admin import control, costs, events, explain, logs, requests
from nexus_core.api.asgi.body import pass_over_body, read_body, read_command
from nexus_core.api.asgi.messages import (
    ClientLeftError,
    Incoming,
    Outgoing,
    RawHeaders,
    Receive,
    Scope,
    Send,
    send_early,
)
from nexus_core.api.asgi.reply import AsgiReply, while_connected
from nexus_core.api.auth import Guard
from nexus_core.api.docs.page import add_docs
from nexus_core.api.errors import error_headers
from nexus_core.api.headers import REQUEST_ID
from nexus_core.api.inference.arrival import Arrival, new_id
from nexus_core.api.inference.serve import Completions
from nexus_core.api.refusals import Refusals
from nexus_core.dialects.inbound import INBOUND, Inbound, dialect_of
from nexus_core.errors import InvalidRequestError, NexusError, OutOfDescriptorsError
from nexus_core.gateway import Gateway

_CODES = {404: "not_found", 405: "method_not_allowed"}  # of what FastAPI refuses by itself


class MethodNotAllowedError(NexusError):
    """The path only accepts POST."""

    status = 405
    code = "method_not_allowed"
    type = "invalid_request_error"
    headers = (("allow", "POST"),)


class FrontDoor:
    """The ASGI application: authentication, then inference requests, then FastAPI."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._guard = Guard(gateway.config.auth)
        self.refusals = Refusals(gateway)
        self.completions = Completions(gateway, self.refusals)
        self._rest = create_app(gateway)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
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
            headers = [*error_headers(refusal), (REQUEST_ID, request_id.encode())]
            body = dialect_of(path).error(refusal)
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
        asked = INBOUND.get(path)
        if asked is None:
            self._guard.admit(path, headers)
            await self._rest(scope, await self._take_in(scope, incoming), outgoing)
            return
        arrival = self.let_in(asked, path, headers, request_id)
        if scope["method"] != "POST":
            raise MethodNotAllowedError(f"{path} takes POST, not {scope['method']}")
        body = await read_body(scope, incoming, self.max_body_bytes)
        reply = AsgiReply(arrival, outgoing)
        serving = self.completions.serve(arrival, body, reply)
        await while_connected(incoming.receive, reply, serving)

    async def _take_in(self, scope: Scope, receive: Receive) -> Receive:
        """The body before FastAPI sees the request: it would wait for any, of any size."""
        if scope["method"] == "POST" and self._is_served(scope):
            return await read_command(scope, receive, self.max_body_bytes)
        return await pass_over_body(scope, receive, self.max_body_bytes)

    def _is_served(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self._rest.routes)


def create_app(gateway: Gateway) -> FastAPI:
    """The FastAPI application of all routes off the hot path."""
    app = FastAPI(
        title="Nexus",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would build its target from what stands in Host
    )
    app.include_router(status.create_router(gateway))
    for room in (control, costs, events, logs, requests, explain):
        app.include_router(room.create_router(gateway))
    add_docs(app, gateway.config.auth)
    app.add_exception_handler(NexusError, _as_envelope)
    app.add_exception_handler(HTTPException, _as_envelope)
    app.add_exception_handler(RequestValidationError, _as_envelope)
    for kind in (OSError, ImportError):
        app.add_exception_handler(kind, _as_shortage)
    return app


async def _as_shortage(request: Request, error: Exception) -> Response:
    """Of something that is opened or imported late: a 503 where no descriptor was left for it."""
    if not descriptors.is_shortage(error):
        raise error
    return await _as_envelope(request, OutOfDescriptorsError.now())


def _in_json_words(problem: dict[str, Any]) -> str:
    text: str = problem["msg"]
    if problem["type"] == "literal_error":
        return text.replace("True", "true").replace("False", "false")
    return text.removeprefix("Value error, ")


async def _as_envelope(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException):
        known = NexusError(f"{error.detail}; GET /docs lists the routes")
        known.status = error.status_code
        known.code = _CODES.get(error.status_code, InvalidRequestError.code)
        known.type = InvalidRequestError.type
        known.headers = tuple((error.headers or {}).items())
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        # Beyond the name pydantic tells which type of a union it tried.
        where = ".".join(str(part) for part in first["loc"][:2])
        known = InvalidRequestError(f"{where}: {_in_json_words(first)}", param=where)
    else:
        assert isinstance(error, NexusError)  # noqa: S101 - registered for these three only
        known = error
    headers = {name.decode(): value.decode() for name, value in error_headers(known)}
    return Response(
        dialect_of(request.url.path).error(known), status_code=known.status, headers=headers
    )
