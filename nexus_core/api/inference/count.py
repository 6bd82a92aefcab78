"""Count the tokens of a prompt, by the backend that would answer it: for Anthropic's clients at
POST /v1/messages/count_tokens, for Google's in `api/inference/gemini.py`.

It costs nothing and is no request: no statistics, ledger or list has it.
"""

from __future__ import annotations

import asyncio
import json
import math
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import Response

from nexus_core.api.asgi.encoding import as_utf8
from nexus_core.api.asgi.messages import CALLER, KEY
from nexus_core.api.headers import read_hints
from nexus_core.api.inference.serve import format_headers, read_need
from nexus_core.background import in_background, read_long
from nexus_core.dialects import request as envelopes
from nexus_core.dialects.base.dialect import Dialect
from nexus_core.dialects.inbound import INBOUND, MESSAGES_PATH
from nexus_core.dialects.request import with_headers
from nexus_core.gateway import Gateway
from nexus_core.routing.refusal import is_unknown, refuse
from nexus_core.tokens.count import THREAD_FROM_BYTES
from nexus_core.types import CountMethod
from nexus_core.upstream.base import UpstreamError

COUNT_PATH = f"{MESSAGES_PATH}/count_tokens"

_WAIT_SECONDS = 10.0  # for a backend's own count
# An agent that is told too little compacts too late, and loses its turn.
_MARGIN = 1.1


def create_router(gateway: Gateway) -> APIRouter:
    """The route of token counts."""
    router = APIRouter(tags=["inference"])

    @router.post(COUNT_PATH, operation_id="count_tokens")
    async def count_tokens(request: Request) -> Response:
        """Count the tokens of a Messages request without sending it.

        An Anthropic backend is asked for its own count, free of charge, if the request would go
        there. Else Nexus counts, rather too much than too little.
        """
        dialect, operation = INBOUND[MESSAGES_PATH]
        read = partial(dialect.read_request, operation)
        envelope = await read_long(read, as_utf8(await request.body()))
        envelope = with_headers(envelope, format_headers(request.scope["headers"], dialect))
        tokens = await counted(gateway, request, envelope, dialect)
        return Response(json.dumps({"input_tokens": tokens}), media_type="application/json")

    return router


async def counted(
    gateway: Gateway, asked: Request, envelope: envelopes.Request, dialect: Dialect
) -> int:
    """The tokens of a request's prompt, rather too many than too few.

    Args:
        asked: as it came, for its headers.

    Raises:
        ModelNotFoundError: no backend serves the model.
    """
    hints = read_hints(asked.scope["headers"], gateway.registry.names)
    need = read_need(gateway, envelope.model, hints, asked.scope.get(KEY))
    caller = asked.scope.get(CALLER)
    decision = gateway.forwarder.foresee(need, envelope.demand, caller)
    if is_unknown(decision):
        raise refuse(decision, ())
    choice, model = decision.first, envelope.model
    if choice is not None:
        model = choice.upstream_model
        agent = gateway.fleet.agents[choice.backend.name]
        try:
            async with asyncio.timeout(_WAIT_SECONDS):
                told = await agent.count_tokens(envelope, model)
        except (UpstreamError, TimeoutError):
            told = None
        if told is not None:
            return told
    if len(envelope.body) >= THREAD_FROM_BYTES:
        prompt = await in_background(partial(dialect.read_prompt, envelope))
    else:
        prompt = dialect.read_prompt(envelope)
    count = await gateway.cost_tracker.counter.count(model, prompt)
    if count.method is CountMethod.EXACT:
        return count.tokens
    return math.ceil(count.tokens * _MARGIN)
