"""Every route but those of inference, as one FastAPI application."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from nexus_core import __version__, descriptors
from nexus_core.api import status
from nexus_core.api.admin import control, costs, events, explain, keys, logs, replicas, requests
from nexus_core.api.docs.page import add_docs
from nexus_core.api.errors import error_headers
from nexus_core.api.inference import count, gemini
from nexus_core.api.ollama import routes as ollama
from nexus_core.dialects.inbound import RESPONSES_PATH, dialect_of, meant_path
from nexus_core.errors import InvalidRequestError, NexusError, OutOfDescriptorsError
from nexus_core.gateway import Gateway

_NOT_FOUND = 404
_CODES = {_NOT_FOUND: "not_found", 405: "method_not_allowed"}  # of what FastAPI refuses by itself
_BASE_URLS = "The base URL of OpenAI's clients ends with /v1, that of all others does not"


def create_app(gateway: Gateway) -> FastAPI:
    """The FastAPI application of all routes off the hot path."""
    app = FastAPI(
        title="Nexus",
        version=__version__,
        openapi_url=None,  # its own would be made on the loop
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # it would build its target from what stands in Host
    )
    app.include_router(status.create_router(gateway))
    for room in (control, costs, events, logs, requests, explain, keys, replicas):
        app.include_router(room.create_router(gateway))
    app.include_router(count.create_router(gateway))
    app.include_router(gemini.create_router(gateway))
    app.include_router(ollama.create_router(gateway))
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
    path = request.url.path
    if isinstance(error, HTTPException):
        why = error.detail
        if path.startswith(f"{RESPONSES_PATH}/"):
            why = f"{why}: Nexus keeps no responses"
        elif error.status_code == _NOT_FOUND and (meant := meant_path(path)) is not None:
            why, path = f"{why}: is {meant} meant? {_BASE_URLS}", meant
        known = NexusError(f"{why}; GET /docs lists the routes")
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
    return Response(dialect_of(path).error(known), status_code=known.status, headers=headers)
