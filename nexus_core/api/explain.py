"""POST /nexus/explain: where a request would go, and why; POST /nexus/send: send one."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from fastapi.responses import Response

from nexus_core.api.asgi import Incoming, Receive, Scope, Send, read_body, send_early
from nexus_core.api.control import answer, require_json
from nexus_core.api.errors import error_body, error_headers
from nexus_core.api.headers import read_hints
from nexus_core.commands import SendRequest
from nexus_core.errors import InvalidRequestError, NexusError
from nexus_core.explain import Question, as_json
from nexus_core.gateway import Gateway
from nexus_core.translation.openai import read_request
from nexus_core.translation.traits import read_traits
from nexus_core.types import Endpoint

# The body is read by hand, as on the data plane, so its schema is told by hand.
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}}


def create_router(gateway: Gateway) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/nexus", tags=["control"])

    @router.post("/explain", openapi_extra=_BODY)
    async def explain_request(
        request: Request, endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS
    ) -> Response:
        """Where this request would go, and why; it is not sent.

        `?usable=NAME`, once or more, imagines that backend on, healthy and with a free slot.
        With `?translate=false` the provider's form of the request is not worked out.
        """
        incoming = Incoming(request.receive)
        try:
            question = await _read_question(gateway, request, endpoint, incoming)
        except NexusError as error:
            return _EarlyRefusal(incoming, error)
        content = json.dumps(as_json(await gateway.explain(question)))
        return Response(content, media_type="application/json")

    @router.post("/send", openapi_extra=_BODY)
    async def send_request(
        request: Request, endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS
    ) -> Response:
        """Send a request of the operator's own; events and GET /nexus/requests tell of it.

        Body and X-Nexus-* headers are those of the data plane, whose every rule holds. Its answer
        is kept in memory: GET /nexus/requests/{id}/bodies.
        """
        incoming = Incoming(request.receive)
        try:
            body = await _read_body(gateway, request, incoming)
            hints = read_hints(request.scope, gateway.registry.names)
            outcome = await gateway.execute(
                SendRequest(
                    body=body,
                    endpoint=endpoint,
                    zone=hints.zone,
                    min_tier=hints.min_tier,
                    backend=hints.backend,
                    flexible=hints.flexible,
                    priority=hints.priority,
                )
            )
        except NexusError as error:
            return _EarlyRefusal(incoming, error)
        return Response(json.dumps(answer(outcome)), media_type="application/json")

    return router


class _EarlyRefusal(Response):
    """An error for a client that may still be sending its body."""

    def __init__(self, incoming: Incoming, error: NexusError) -> None:
        super().__init__(status_code=error.status)
        self._incoming = incoming
        self._error = error

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, body = error_headers(self._error), error_body(self._error)
        await send_early(self._incoming, send, self.status_code, headers, body)


async def _read_question(
    gateway: Gateway, request: Request, endpoint: Endpoint, incoming: Incoming
) -> Question:
    """What the data plane would make of the request.

    Raises:
        NexusError: it would refuse it before routing.
        ClientLeftError: nobody is there any more.
    """
    names = gateway.registry.names
    usable = tuple(request.query_params.getlist("usable"))
    for name in usable:
        if name not in names:
            raise InvalidRequestError(f"usable: there is no backend {name!r}", param="usable")
    asked = read_request(endpoint, await _read_body(gateway, request, incoming))
    return Question(
        model=asked.model,
        hints=read_hints(request.scope, names),
        traits=read_traits(endpoint, asked.fields),
        endpoint=endpoint,
        request=None if request.query_params.get("translate") == "false" else asked,
        usable=usable,
    )


async def _read_body(gateway: Gateway, request: Request, incoming: Incoming) -> bytes:
    require_json(request)
    return await read_body(request.scope, incoming, gateway.config.server.max_body_bytes)
