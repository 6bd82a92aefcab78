"""The ASGI application: hot paths first, every other route in create_app."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from nexus_core import __version__, descriptors
from nexus_core.api import status
from nexus_core.api.admin import control, costs, events, explain, logs, requests
from nexus_core.api.asgi.body import pass_over_body, read_command
from nexus_core.api.asgi.messages import (
    ClientLeftError,
    Incoming,
    Outgoing,
    Receive,
    Scope,
    Send,
    send_early,
)
from nexus_core.api.auth import Guard
from nexus_core.api.docs.page import add_docs
from nexus_core.api.errors import JSON_TYPE, error_headers
from nexus_core.api.headers import REQUEST_ID
from nexus_core.api.inference.serve import Completions
from nexus_core.dialects.inbound import INBOUND, dialect_of
from nexus_core.errors import InvalidRequestError, NexusError, OutOfDescriptorsError
from nexus_core.gateway import Gateway
from nexus_core.observe.events import RequestRefused

log = logging.getLogger(__name__)

_DATA_PLANE = "/v1/"
_CODES = {404: "not_found", 405: "method_not_allowed"}  # of what FastAPI refuses by itself


class MethodNotAllowedError(NexusError):
    """The path only accepts POST."""

    status = 405
    code = "method_not_allowed"
    type = "invalid_request_error"
    headers = (("allow", "POST"),)


class FrontDoor:
    """The ASGI application: authentication, then the hot paths, then FastAPI."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._guard = Guard(gateway.config.auth)
        self._completions = Completions(gateway)
        self._rest = create_app(gateway)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if scope["type"] != "http":
            await self._rest(scope, receive, send)
            return
        request_id = secrets.token_hex(8)
        incoming = Incoming(receive)
        outgoing = Outgoing(send)
        try:
            await self._serve(scope, incoming, outgoing, request_id)
        except ClientLeftError:
            return
        except NexusError as error:
            self._publish_refused(scope, request_id, error)
            headers = [*error_headers(error), (REQUEST_ID, request_id.encode())]
            await send_early(
                incoming, send, error.status, headers, dialect_of(scope["path"]).error(error)
            )
        except Exception as error:
            if descriptors.is_shortage(error) and not outgoing.has_begun:
                shortage = OutOfDescriptorsError.now()
                headers = [*error_headers(shortage), (REQUEST_ID, request_id.encode())]
                await send_early(
                    incoming,
                    send,
                    shortage.status,
                    headers,
                    dialect_of(scope["path"]).error(shortage),
                )
                return
            log.exception("failed request=%s path=%s", request_id, ascii(scope["path"]))
            if outgoing.has_begun:
                raise  # the answer is cut off: the client must see that
            failure = NexusError(f"internal error; search the Nexus log for {request_id}")
            headers = [JSON_TYPE, (REQUEST_ID, request_id.encode())]
            await send_early(incoming, send, 500, headers, dialect_of(scope["path"]).error(failure))

    async def _serve(
        self, scope: Scope, incoming: Incoming, outgoing: Outgoing, request_id: str
    ) -> None:
        caller = self._guard.admit(scope)
        asked = INBOUND.get(scope["path"])
        if asked is None:
            await self._rest(scope, await self._take_in(scope, incoming), outgoing)
        elif scope["method"] != "POST":
            raise MethodNotAllowedError(f"{scope['path']} takes POST, not {scope['method']}")
        else:
            await self._completions.serve(asked, scope, incoming, outgoing, caller, request_id)

    async def _take_in(self, scope: Scope, receive: Receive) -> Receive:
        """The body before FastAPI sees the request: it would wait for any, of any size."""
        max_bytes = self._gateway.config.server.max_body_bytes
        if scope["method"] == "POST" and self._is_served(scope):
            return await read_command(scope, receive, max_bytes)
        return await pass_over_body(scope, receive, max_bytes)

    def _is_served(self, scope: Scope) -> bool:
        return any(route.matches(scope)[0] is Match.FULL for route in self._rest.routes)

    def _publish_refused(self, scope: Scope, request_id: str, error: NexusError) -> None:
        if not scope["path"].startswith(_DATA_PLANE):
            return
        self._gateway.bus.publish(
            RequestRefused(
                at=self._gateway.now(),
                request_id=request_id,
                path=scope["path"],
                status=error.status,
                code=error.code,
            )
        )


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
