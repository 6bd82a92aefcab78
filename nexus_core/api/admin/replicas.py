"""GET /nexus/replicas: who is in the fleet; /nexus/replicas/NAME/…: the control API of another."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httpx
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from nexus_core.api.admin.actor import actor_of
from nexus_core.api.asgi.messages import ClientLeftError, Receive, Scope, Send
from nexus_core.control.actions import Deed
from nexus_core.errors import NexusError, ReplicaNotFoundError
from nexus_core.gateway import Gateway
from nexus_core.types import NANO

# Without [fleet] nothing of the store's client is imported, nor need it be installed.
if TYPE_CHECKING:
    from nexus_core.control.shared.process import Shared

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 30.0  # of silence; an event stream says something every 5 s
# What is passed on of a call: who asks, what, and from where on.
_HEADERS = frozenset(
    {"authorization", "x-api-key", "content-type", "accept", "last-event-id", "user-agent"}
)
_ANSWER_HEADERS = ("content-type", "cache-control", "x-accel-buffering", "retry-after")


class NoFleetError(NexusError):
    """It shares nothing with other processes."""

    status = 404
    code = "not_found"
    type = "invalid_request_error"


class ReplicaUnreachableError(NexusError):
    """Another replica gave no answer."""

    status = 502
    code = "replica_unreachable"


class ForgottenReplica(BaseModel):
    """Body of POST /nexus/fleet/forget."""

    model_config = ConfigDict(extra="forbid", strict=True)

    replica: str = Field(min_length=1, max_length=64)


def create_router(gateway: Gateway) -> APIRouter:
    """Routes of a fleet's replicas."""
    router = APIRouter(prefix="/nexus", tags=["control"])

    @router.get("/replicas")
    async def replicas() -> dict[str, Any]:
        """The processes of the fleet, as this one knows them, and how it stands to them.

        404 without [fleet]. With `alone_since` it has no word from the store since then, and knows
        the others as they were.
        """
        shared = _shared(gateway)
        from nexus_core.control.shared.as_json import fleet_at

        return fleet_at(shared, gateway.now())

    @router.post("/fleet/forget")
    async def forget(wanted: ForgottenReplica, request: Request) -> dict[str, Any]:
        """A dead replica never returns: what it held of budgets counts as spent, the rest is free.

        Until then all that it was granted counts as promised.
        """
        shared, by, name = _shared(gateway), actor_of(request), wanted.replica
        deed = Deed("replica_forgotten", name, f"forgot replica {name}")
        try:
            presumed = await shared.forget(name)
        except NexusError as error:
            gateway.actions.note(by, deed, error=error.message)
            raise
        usd = presumed / NANO
        gateway.actions.note(by, deed, effect=f"{usd:.6f} USD are presumed to be spent")
        return {"replica": name, "presumed_usd": usd}

    async def relay(name: str, path: str, request: Request) -> Response:
        """A call of the control API, passed on to another replica at its own address.

        Written as `/nexus/replicas/box-2/nexus/state`: for whoever can't reach the replica itself.
        The caller's key goes with it and must be good there, too.
        """
        shared = _shared(gateway)
        from nexus_core.control.shared.as_json import address_of

        address = address_of(shared, name)
        if address is None:
            raise ReplicaNotFoundError(f"no replica {name!r} with an address in this fleet")
        target = _target(request, path)
        return await _relayed(name, f"{address.rstrip('/')}{target}", request)

    for method in ("GET", "POST"):
        router.add_api_route(
            "/replicas/{name}/{path:path}", relay, methods=[method], response_class=Response
        )
    return router


def _shared(gateway: Gateway) -> Shared:
    if gateway.shared is None:
        raise NoFleetError("this Nexus is in no fleet; [fleet] in its configuration makes it one")
    return gateway.shared


def _target(request: Request, path: str) -> str:
    """The path and query to ask for: of the control API, and nothing that is passed on again.

    Raises:
        ReplicaNotFoundError: it is another one.
    """
    raw: bytes = request.scope.get("raw_path") or request.url.path.encode()
    _, _, rest = raw.decode("latin-1").removeprefix("/nexus/replicas/").partition("/")
    plain = unquote(path)
    parts = plain.split("/")
    is_control = parts[0] == "nexus" and len(parts) > 1 and parts[1] != "replicas"
    if not is_control or not {"", ".", ".."}.isdisjoint(parts):
        raise ReplicaNotFoundError("only /nexus/… of another replica is passed on")
    query = request.url.query
    return f"/{rest}?{query}" if query else f"/{rest}"


async def _relayed(name: str, url: str, request: Request) -> Response:
    """The other's answer, once it has begun.

    Raises:
        ReplicaUnreachableError: there is none.
    """
    sent = [(key, value) for key, value in request.headers.items() if key in _HEADERS]
    timeout = httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS)
    async with AsyncExitStack() as opened:
        client = await opened.enter_async_context(
            httpx.AsyncClient(trust_env=False, timeout=timeout)  # a proxy is for what lies outside
        )
        call = client.stream(
            request.method,
            url,
            headers=[*sent, ("accept-encoding", "identity")],
            content=await request.body() or None,
        )
        try:
            answer = await opened.enter_async_context(call)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ReplicaUnreachableError(f"{name} gives no answer at its address") from error
        return _Relayed(answer, opened.pop_all())
    raise AssertionError("the answer is returned")


class _Relayed(Response):
    """Speaks ASGI itself: what comes is passed on as it comes, until either side leaves."""

    def __init__(self, answer: httpx.Response, opened: AsyncExitStack) -> None:
        super().__init__(status_code=answer.status_code)
        self._answer = answer
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answer
        headers = [
            (name.encode(), answer.headers[name].encode("latin-1"))
            for name in _ANSWER_HEADERS
            if name in answer.headers
        ]
        start = {"type": "http.response.start", "status": self.status_code, "headers": headers}
        async with self._opened:
            try:
                async with asyncio.TaskGroup() as tasks:
                    watcher = tasks.create_task(_watch(receive), name="relay-watch")
                    await send(start)
                    await self._pass_on(send)
                    watcher.cancel()
            except* ClientLeftError:
                pass

    async def _pass_on(self, send: Send) -> None:
        try:
            async for part in self._answer.aiter_raw():
                await send({"type": "http.response.body", "body": part, "more_body": True})
        except httpx.HTTPError:
            pass  # it broke off: whoever reads a stream of events asks again
        await send({"type": "http.response.body", "body": b""})


async def _watch(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientLeftError
