"""POST /nexus/explain: where a chat request would go, and why; nothing is sent or counted."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from fastapi.responses import Response

from nexus_core.api.asgi import Incoming, Receive, Scope, Send, read_body, send_early
from nexus_core.api.control import require_json
from nexus_core.api.errors import error_body, error_headers
from nexus_core.api.headers import read_hints
from nexus_core.errors import NexusError
from nexus_core.explain import Explanation, Situation, as_json, explain
from nexus_core.gateway import Gateway
from nexus_core.routing.requirements import Requirements, read_requirements
from nexus_core.translation.openai import read_request
from nexus_core.types import Endpoint

# The body is read by hand, as on the data plane, so its schema is told by hand.
_BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}}


def create_router(gateway: Gateway) -> APIRouter:
    """The route."""
    router = APIRouter(prefix="/nexus", tags=["control"])

    @router.post("/explain", openapi_extra=_BODY)
    async def explain_request(request: Request) -> Response:
        """Where this chat request would go, and why; it is not sent."""
        incoming = Incoming(request.receive)
        try:
            need = await _read_need(gateway, request.scope, incoming)
        except NexusError as error:
            return _EarlyRefusal(incoming, error)
        content = json.dumps(as_json(await _explain(gateway, need)))
        return Response(content, media_type="application/json")

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


async def _read_need(gateway: Gateway, scope: Scope, incoming: Incoming) -> Requirements:
    """What the data plane would make of the request.

    Raises:
        NexusError: it would refuse it before routing.
        ClientLeftError: nobody is there any more.
    """
    require_json(Request(scope))
    body = await read_body(scope, incoming, gateway.config.server.max_body_bytes)
    model = read_request(Endpoint.CHAT_COMPLETIONS, body).model
    hints = read_hints(scope, gateway.registry.names)
    return read_requirements(model, hints, gateway.config.routing)


async def _explain(gateway: Gateway, need: Requirements) -> Explanation:
    situation = _situation(gateway)
    decision = situation.decide(need)
    if not decision.order and not all(drop.backend.models_known for drop in decision.dropped):
        await gateway.health.first_round()  # as the forwarder does
        situation = _situation(gateway)
        decision = situation.decide(need)
    return explain(decision, situation)


def _situation(gateway: Gateway) -> Situation:
    queued = 0 if gateway.queue is None else len(gateway.queue)
    queue = gateway.config.queue
    has_room = gateway.queue is not None and queued < queue.max_size
    return Situation(
        fleet=gateway.registry.snapshots(),
        strategy=gateway.strategy,
        at=gateway.registry.clock(),
        queued=queued,
        wait_seconds=queue.max_wait_seconds if has_room else None,
    )
