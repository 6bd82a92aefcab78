"""POST /nexus/explain: explain the route of a request; POST /nexus/send: send a request."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from fastapi.responses import Response

from nexus_core.api.admin.control import answer
from nexus_core.api.headers import read_hints
from nexus_core.control.commands import SendRequest
from nexus_core.dialects.openai_chat.request import read_request
from nexus_core.dialects.openai_chat.traits import read_traits
from nexus_core.errors import InvalidRequestError
from nexus_core.gateway import Gateway
from nexus_core.routing.explain import Question, as_json
from nexus_core.types import Endpoint


def create_router(gateway: Gateway) -> APIRouter:
    """Routes of POST /nexus/explain and POST /nexus/send."""
    router = APIRouter(prefix="/nexus", tags=["control"])

    @router.post("/explain")
    async def explain_request(
        request: Request, endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS
    ) -> Response:
        """Explain the route of a request without sending it.

        `?usable=NAME` (repeatable) treats that backend as switched on, healthy and with a free
        slot. `?translate=false` skips the translation into the provider's format.
        """
        question = await _read_question(gateway, request, endpoint)
        content = json.dumps(as_json(await gateway.explain(question)))
        return Response(content, media_type="application/json")

    @router.post("/send")
    async def send_request(
        request: Request, endpoint: Endpoint = Endpoint.CHAT_COMPLETIONS
    ) -> Response:
        """Send a request as the operator; events and GET /nexus/requests show the result.

        Body, X-Nexus-* headers and routing rules are those of the data plane. The answer is
        captured in memory: GET /nexus/requests/{id}/bodies.
        """
        hints = read_hints(request.scope, gateway.registry.names)
        outcome = await gateway.execute(
            SendRequest(
                body=await request.body(),
                endpoint=endpoint,
                zone=hints.zone,
                min_tier=hints.min_tier,
                backend=hints.backend,
                flexible=hints.flexible,
                priority=hints.priority,
            )
        )
        return Response(json.dumps(answer(outcome)), media_type="application/json")

    return router


async def _read_question(gateway: Gateway, request: Request, endpoint: Endpoint) -> Question:
    """What the data plane would make of the request.

    Raises:
        NexusError: it would refuse it before routing.
    """
    names = gateway.registry.names
    usable = tuple(request.query_params.getlist("usable"))
    for name in usable:
        if name not in names:
            raise InvalidRequestError(f"usable: there is no backend {name!r}", param="usable")
    asked = read_request(endpoint, await request.body())
    return Question(
        model=asked.model,
        hints=read_hints(request.scope, names),
        traits=read_traits(endpoint, asked.fields),
        endpoint=endpoint,
        request=None if request.query_params.get("translate") == "false" else asked,
        usable=usable,
    )
