"""POST /nexus/explain: where a request would go, and why; POST /nexus/send: send one."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator

from nexus_core.api.admin.control import answer
from nexus_core.api.headers import read_hints
from nexus_core.control.commands import SendRequest
from nexus_core.dialects.inbound import CHAT_PATH, INBOUND
from nexus_core.errors import InvalidRequestError
from nexus_core.gateway import Gateway
from nexus_core.routing.explain import Question, as_json


def _inbound(path: str) -> str:
    if path not in INBOUND:
        *others, last = map(repr, INBOUND)
        raise ValueError(f"Input should be {', '.join(others)} or {last}")
    return path


InboundPath = Annotated[
    str, AfterValidator(_inbound), Query(json_schema_extra={"enum": [*INBOUND]})
]


def create_router(gateway: Gateway) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/nexus", tags=["control"])

    @router.post("/explain")
    async def explain_request(request: Request, endpoint: InboundPath = CHAT_PATH) -> Response:
        """Where this request would go, and why; it is not sent.

        `?usable=NAME`, once or more, imagines that backend on, healthy and with a free slot.
        With `?translate=false` the provider's form of the request is not worked out.
        """
        question = await _read_question(gateway, request, endpoint)
        content = json.dumps(as_json(await gateway.explain(question)))
        return Response(content, media_type="application/json")

    @router.post("/send")
    async def send_request(request: Request, endpoint: InboundPath = CHAT_PATH) -> Response:
        """Send a request of the operator's own; events and GET /nexus/requests tell of it.

        Body and X-Nexus-* headers are those of the data plane, whose every rule holds. Its answer
        is kept in memory: GET /nexus/requests/{id}/bodies.
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


async def _read_question(gateway: Gateway, request: Request, endpoint: str) -> Question:
    """What the data plane would make of the request.

    Raises:
        NexusError: it would refuse it before routing.
    """
    names = gateway.registry.names
    usable = tuple(request.query_params.getlist("usable"))
    for name in usable:
        if name not in names:
            raise InvalidRequestError(f"usable: there is no backend {name!r}", param="usable")
    dialect, operation = INBOUND[endpoint]
    asked = dialect.read_request(operation, await request.body())
    return Question(
        model=asked.model,
        hints=read_hints(request.scope, names),
        demand=asked.demand,
        operation=operation,
        request=None if request.query_params.get("translate") == "false" else asked,
        usable=usable,
    )
