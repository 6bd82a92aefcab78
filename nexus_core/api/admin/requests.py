"""GET /nexus/requests: recent requests, their details and captured bodies; POST to replay one."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Collection
from decimal import Decimal
from typing import Annotated, Any, cast

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import SkipJsonSchema

from nexus_core.api.admin.actor import actor_of
from nexus_core.api.admin.control import answer
from nexus_core.api.headers import read_hints
from nexus_core.control.commands import EDITABLE, ReplayRequest, SendRequest
from nexus_core.errors import InvalidRequestError, RequestNotFoundError
from nexus_core.gateway import Gateway
from nexus_core.near_names import near_names, shortlist
from nexus_core.observe.event_json import as_json
from nexus_core.observe.facts import DETAIL, LISTED, Facts
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.requests import CAPACITY
from nexus_core.some_names import some_names

_SLICE = 50  # rows: about a millisecond of the loop
_SHORTEST_PART = 4  # characters of an id
_LEFT_OUT = "…~"  # what a list writes for the rest of an id
_TOLD = 3  # ids in a message


class Replay(BaseModel):
    """Body of POST /nexus/requests/{id}/replay."""

    model_config = ConfigDict(extra="forbid", strict=True)

    backend: str
    body: dict[str, Any] | SkipJsonSchema[None] = None  # sent in place of the original's
    headers: dict[str, str] | SkipJsonSchema[None] = None  # with it: X-Nexus-* hints

    def edited(self, backends: Collection[str]) -> SendRequest | None:
        """What is sent in place of the original.

        Raises:
            InvalidRequestError: a header is none that can be set here, or its value is wrong.
        """
        if self.body is None:
            if self.headers is not None:
                raise InvalidRequestError("headers need a body beside them", param="headers")
            return None
        headers = self.headers or {}
        for name in headers:
            if name.lower() not in EDITABLE:
                raise InvalidRequestError(
                    f"{name}: only {', '.join(EDITABLE.values())} can be set", param="headers"
                )
        pairs = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        hints = read_hints(pairs, backends)
        return SendRequest(
            body=json.dumps(self.body).encode(),
            zone=hints.zone,
            min_tier=hints.min_tier,
            flexible=hints.flexible,
            priority=hints.priority,
        )


def create_router(gateway: Gateway) -> APIRouter:
    """Routes of recent requests and their replay."""
    router = APIRouter(prefix="/nexus/requests", tags=["control"])

    @router.get("", response_model=dict[str, Any])
    async def requests(
        limit: Annotated[int, Query(ge=1, le=CAPACITY)] = 100, before: str | None = None
    ) -> Response:
        """Recent requests, newest first; with `before`, older ones than that id.

        `run` is another word after a restart: ids of before it are not known any more.
        """
        here, rows = _here(gateway), list[str]()
        for number, one in enumerate(gateway.recent.newest(limit, before), 1):
            rows.append(json.dumps(_values(one, LISTED) | here))
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        head = json.dumps({"run": gateway.event_log.run, **here})
        listed = f'{head[:-1]},"requests":[{",".join(rows)}]}}'
        return Response(listed, media_type="application/json")

    @router.get("/{request_id}")
    async def request(request_id: str) -> dict[str, Any]:
        """Details of one request: headers, candidates, attempts, timing.

        The beginning or end of an id will do where it is that of one request.
        """
        found = await _find(gateway, request_id)
        has_body = found.request_id in gateway.captures
        told = _values(found, (*LISTED, *DETAIL)) | _here(gateway)
        return {**told, "has_body": has_body}

    @router.get("/{request_id}/bodies")
    async def bodies(request_id: str, response: Response) -> dict[str, Any]:
        """Captured body of a request and the beginning of its answer, while they are kept."""
        exchange = gateway.captures.get(request_id)
        if exchange is None:
            request_id = (await _find(gateway, request_id)).request_id
            exchange = gateway.captures.get(request_id)
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
    async def replay(request_id: str, wanted: Replay, request: Request) -> dict[str, Any]:
        """Replay a captured request at the given backend; all routing rules still apply.

        With `body`, and perhaps X-Nexus-* `headers`, that is sent in its place: bound by whatever
        the original was bound by, so that a restricted request stays one.
        """
        command = ReplayRequest(
            request_id=request_id,
            backend=wanted.backend,
            edited=wanted.edited(gateway.registry.names),
        )
        return answer(await gateway.operator.execute(command, actor_of(request)))

    return router


async def _find(gateway: Gateway, request_id: str) -> RequestRecord:
    """The request of this id, or of which this is the beginning or end of the id.

    Raises:
        RequestNotFoundError: there is none, or more than one.
    """
    requests = gateway.recent
    if (found := requests.get(request_id)) is not None:
        return found
    part = request_id.lstrip(_LEFT_OUT).lower()
    similar = requests.ids_like(part) if len(part) >= _SHORTEST_PART else []
    if len(similar) == 1 and (found := requests.get(similar[0])) is not None:
        return found
    if similar:
        raise RequestNotFoundError(
            f"{request_id!r} is part of several ids: {some_names(similar, _TOLD)}",
            param="request_id",
        )
    near = near_names(part, await shortlist(part, requests.ids), limit=_TOLD)
    meant = f"; did you mean {' or '.join(near)}?" if near else ""
    raise RequestNotFoundError(
        f"request {request_id!r} not found{meant}; the last {requests.capacity} requests are kept",
        param="request_id",
    )


def _here(gateway: Gateway) -> dict[str, str]:
    """The replica that this is, where there is a fleet."""
    return {} if gateway.shared is None else {"replica": gateway.shared.replica}


def _values(record: RequestRecord, facts: Facts) -> dict[str, Any]:
    return {key: _as_json(fact.of(record)) for key, fact in facts}


def _as_json(value: object) -> object:
    """Dollars as a number, what has fields as an object; headers and names as they are."""
    if isinstance(value, tuple):
        return [_as_json(one) for one in cast("tuple[object, ...]", value)]
    if isinstance(value, Decimal):
        return float(value)
    return as_json(value) if isinstance(value, msgspec.Struct) else value


def _body(content: bytes) -> dict[str, str]:
    """As text where it is text; an answer that is cut may end within a character."""
    try:
        return {"encoding": "utf-8", "content": content.decode()}
    except UnicodeDecodeError:
        return {"encoding": "base64", "content": base64.b64encode(content).decode()}
