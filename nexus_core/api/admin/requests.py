"""GET /nexus/requests and one of them; its bodies while they are kept; POST to send it again."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict

from nexus_core.api.admin.control import answer
from nexus_core.control.commands import ReplayRequest
from nexus_core.errors import RequestNotFoundError
from nexus_core.gateway import Gateway
from nexus_core.observe.event_json import as_json
from nexus_core.observe.requests import CAPACITY, RecentRequest
from nexus_core.types import Cost


class Replay(BaseModel):
    """What POST /nexus/requests/{id}/replay takes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    backend: str


def create_router(gateway: Gateway) -> APIRouter:
    """The routes."""
    router = APIRouter(prefix="/nexus/requests", tags=["control"])

    @router.get("")
    async def requests(
        limit: Annotated[int, Query(ge=1, le=CAPACITY)] = 100, before: str | None = None
    ) -> dict[str, Any]:
        """Recent requests, newest first; with `before`, older ones than that id."""
        return {"requests": [_row(one) for one in gateway.recent.newest(limit, before)]}

    @router.get("/{request_id}")
    async def request(request_id: str) -> dict[str, Any]:
        """Details of one request: headers, candidates, attempts, timing."""
        found = _find(gateway, request_id)
        return {**_row(found), **_detail(found), "has_body": request_id in gateway.captures}

    @router.get("/{request_id}/bodies")
    async def bodies(request_id: str, response: Response) -> dict[str, Any]:
        """Captured body of a request and the beginning of its answer, while they are kept."""
        exchange = gateway.captured(request_id)
        if exchange is None:
            raise RequestNotFoundError(
                f"the bodies of request {request_id!r} were not captured", param="request_id"
            )
        response.headers["cache-control"] = "no-store"
        return {
            "request_id": exchange.request_id,
            "endpoint": exchange.endpoint,
            "model": exchange.model,
            "request": _body(exchange.body),
            "answer": _body(exchange.answer),
            "status": exchange.status,
            "is_whole": exchange.is_whole,
            "is_restricted": exchange.is_restricted,
            "replay_of": exchange.replay_of,
        }

    @router.post("/{request_id}/replay")
    async def replay(request_id: str, wanted: Replay) -> dict[str, Any]:
        """Replay a captured request at the given backend; all routing rules still apply."""
        command = ReplayRequest(request_id=request_id, backend=wanted.backend)
        return answer(await gateway.execute(command))

    return router


def _find(gateway: Gateway, request_id: str) -> RecentRequest:
    found = gateway.recent.get(request_id)
    if found is None:
        raise RequestNotFoundError(
            f"request {request_id!r} not found; the last {CAPACITY} requests are kept",
            param="request_id",
        )
    return found


def _row(request: RecentRequest) -> dict[str, Any]:
    usage = request.usage
    return {
        "id": request.request_id,
        "at": request.at,
        "model": request.asked_model or None,
        "served_model": request.served_model,
        "backend": request.backend,
        "zone": request.zone,
        "reason": request.reason,
        "status": request.status,
        "first_byte_ms": request.first_byte_ms,
        "total_ms": request.total_ms,
        "prompt_tokens": usage.prompt_tokens if usage else None,
        "completion_tokens": usage.completion_tokens if usage else None,
        "counted": request.finished.counted if request.finished else None,
        "is_estimated": request.is_estimated,
        "cost_usd": _usd(request.finished.cost if request.finished else None),
        "is_unpriced": request.is_unpriced,
        "error": request.error,
        "is_running": request.is_live,
    }


def _detail(request: RecentRequest) -> dict[str, Any]:
    received, finished = request.received, request.finished
    return {
        "endpoint": received.endpoint if received else None,
        "path": request.refused.path if request.refused else None,
        "is_streaming": received.is_streaming if received else None,
        "client": received.client if received else None,
        "body_bytes": received.body_bytes if received else None,
        "replay_of": received.replay_of if received else None,
        "resolved": request.resolved,
        "request_headers": request.request_headers,
        "response_headers": request.response_headers,
        "considered": [as_json(one) for one in request.considered],
        "attempts": [as_json(one) for one in request.attempts],
        "estimated_usd": _usd(finished.estimated if finished else None),
        "price_from": finished.cost.source if finished and finished.cost else None,
        "saved_usd": _usd(finished.saved if finished else None),
        "saved_model": finished.saved_model if finished else None,
        "is_partial": finished.is_partial if finished else False,
        "overhead_ms": finished.overhead_ms if finished else None,
        "usage": as_json(request.usage) if request.usage else None,
        "client_left": request.client_left,
    }


def _usd(cost: Cost | None) -> float | None:
    """None is unknown, or of an answer that costs nothing: never 0."""
    return None if cost is None else float(cost.usd)


def _body(content: bytes) -> dict[str, str]:
    """As text where it is text; an answer that is cut may end within a character."""
    try:
        return {"encoding": "utf-8", "content": content.decode()}
    except UnicodeDecodeError:
        return {"encoding": "base64", "content": base64.b64encode(content).decode()}
