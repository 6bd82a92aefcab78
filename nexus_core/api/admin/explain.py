"""POST /nexus/explain: explain the route of a request; POST /nexus/send: send a request."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator

from nexus_core.api.admin.actor import actor_of
from nexus_core.api.admin.control import answer
from nexus_core.api.asgi.body import check_json
from nexus_core.api.docs.schemas import REQUEST_HEADERS
from nexus_core.api.headers import read_hints
from nexus_core.control.commands import SendRequest
from nexus_core.control.question import read_question
from nexus_core.dialects.inbound import CHAT_PATH, PATHS, inbound_of
from nexus_core.errors import InvalidRequestError
from nexus_core.gateway import Gateway
from nexus_core.routing.explain import Explanation, Question, as_json
from nexus_core.types import JsonObject, is_object

_QUESTION = b'"question"'


def _inbound(path: str) -> str:
    if inbound_of(path) is None:
        *others, last = map(repr, PATHS)
        raise ValueError(f"Input should be {', '.join(others)} or {last}")
    return path


InboundPath = Annotated[
    str,
    AfterValidator(_inbound),
    # A path of Google's API with the model's name in it is taken, too.
    Query(json_schema_extra={"enum": [*PATHS]}),
]


def create_router(gateway: Gateway) -> APIRouter:
    """Routes of POST /nexus/explain and POST /nexus/send."""
    router = APIRouter(prefix="/nexus", tags=["control"])

    @router.post("/explain")
    async def explain_request(request: Request, endpoint: InboundPath = CHAT_PATH) -> Response:
        """Explain the route of a request without sending it.

        The body is a request as the data plane takes it, with its X-Nexus-* headers.
        `?usable=NAME` (repeatable) treats that backend as switched on, healthy and with a free
        slot. `?translate=false` skips the translation into the provider's format.

        Or the body is `{"question": {...}}`: a request described by its facts, without a prompt.
        Everything stands in the question then; headers and query parameters are refused.
        """
        body = await request.body()
        if (asked := _parsed_question(body)) is not None:
            check_json(body)
            explanation = await gateway.explainer.explain(_read_question(gateway, request, asked))
        else:
            explanation = await _explain_body(gateway, request, endpoint, body)
        return Response(json.dumps(as_json(explanation)), media_type="application/json")

    @router.post("/send")
    async def send_request(request: Request, endpoint: InboundPath = CHAT_PATH) -> Response:
        """Send a request as the operator; events and GET /nexus/requests show the result.

        Body, X-Nexus-* headers and routing rules are those of the data plane. The answer is
        captured in memory: GET /nexus/requests/{id}/bodies.
        """
        hints = read_hints(request.scope["headers"], gateway.registry.names)
        outcome = await gateway.operator.execute(
            SendRequest(
                body=await request.body(),
                endpoint=endpoint,
                zone=hints.zone,
                min_tier=hints.min_tier,
                backend=hints.backend,
                flexible=hints.flexible,
                priority=hints.priority,
            ),
            actor_of(request),
        )
        return Response(json.dumps(answer(outcome)), media_type="application/json")

    return router


async def _explain_body(
    gateway: Gateway, request: Request, endpoint: str, body: bytes
) -> Explanation:
    """Of what the data plane would make of the request.

    Raises:
        NexusError: it would refuse it before routing.
    """
    usable = tuple(request.query_params.getlist("usable"))
    names = gateway.registry.names
    _check_backends("usable", usable, names)
    inbound = inbound_of(endpoint)
    assert inbound is not None  # noqa: S101 - `InboundPath` has checked it
    dialect, operation = inbound
    asked = dialect.read_request(operation, body)
    question = Question(
        model=asked.model,
        hints=read_hints(request.scope["headers"], names),
        demand=asked.demand,
        usable=usable,
    )
    wants_translation = request.query_params.get("translate") != "false"
    return await gateway.explainer.explain(question, asked if wants_translation else None)


def _parsed_question(body: bytes) -> JsonObject | None:
    """The body if it is a question and no request: those have a model, which may stand beside it.

    None as well for what is no JSON: what is wrong with it is said as for a request.
    """
    if _QUESTION not in body:  # prompts may be long; they are not read twice
        return None
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return parsed if is_object(parsed) and "question" in parsed and "model" not in parsed else None


def _read_question(gateway: Gateway, request: Request, asked: JsonObject) -> Question:
    """The question, whose every part stands in the body.

    Raises:
        InvalidRequestError: it can't be understood, asks about a backend that is not there, or
            says something by header or query besides; `param` names it.
    """
    question = read_question(asked)
    pin = question.hints.backend
    names = gateway.registry.names
    _check_backends("question.backend", () if pin is None else (pin,), names)
    _check_backends("question.usable", question.usable, names)
    elsewhere = [name for name in REQUEST_HEADERS if name in request.headers]
    for name in (*elsewhere, *request.query_params):
        raise InvalidRequestError(f"{name}: a question says all of it in the body", param=name)
    return question


def _check_backends(where: str, asked: Iterable[str], known: Collection[str]) -> None:
    for name in asked:
        if name not in known:
            raise InvalidRequestError(f"{where}: there is no backend {name!r}", param=where)
