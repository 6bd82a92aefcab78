"""Pass a request about all workers on to the supervisor; import it late: it brings httpx."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx

from nexus_core.api.asgi.body import read_body
from nexus_core.api.asgi.messages import (
    CALLER,
    ClientLeftError,
    Incoming,
    Outgoing,
    Receive,
    Scope,
)
from nexus_core.api.siblings.trust import answered, named, passed_on
from nexus_core.errors import NexusError

_CONNECT_SECONDS = 2.0
_ANSWER_SECONDS = 60.0  # a probe of a backend, or a reload, takes a while; events tell they live


class SupervisorGoneError(NexusError):
    """The supervisor doesn't answer: nobody can speak for all workers."""

    status = 503
    code = "workers_unreachable"


class Relay:
    """Passes requests on to the supervisor's socket."""

    def __init__(self, hub: Path) -> None:
        self._client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(hub)),
            timeout=httpx.Timeout(_ANSWER_SECONDS, connect=_CONNECT_SECONDS),
            trust_env=False,
        )

    async def __call__(
        self, scope: Scope, incoming: Incoming, outgoing: Outgoing, max_body_bytes: int
    ) -> None:
        """Serve one request.

        Raises:
            NexusError: its body is refused, or there is no answer.
            ClientLeftError: the client left.
        """
        body = await read_body(scope, incoming, max_body_bytes)
        query = scope["query_string"].decode("latin-1")
        path = scope["raw_path"].decode("latin-1").partition("?")[0]
        request = self._client.build_request(
            scope["method"],
            f"http://supervisor{path}{'?' if query else ''}{query}",
            headers=[*passed_on(scope["headers"]), *named(scope, scope[CALLER])],
            content=body,
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                watcher = tasks.create_task(_watch(incoming.receive), name="client-watch")
                await self._answer(request, outgoing)
                watcher.cancel()
        except* ClientLeftError:
            raise ClientLeftError from None
        except* httpx.TransportError as error:
            if outgoing.has_begun:
                raise
            raise SupervisorGoneError("the supervisor of the workers does not answer") from error

    async def _answer(self, request: httpx.Request, outgoing: Outgoing) -> None:
        answer = await self._client.send(request, stream=True)
        try:
            length = [(b"content-length", value.encode()) for value in _length(answer)]
            headers = [*answered([(n.lower(), v) for n, v in answer.headers.raw]), *length]
            start = {"type": "http.response.start", "status": answer.status_code}
            await outgoing({**start, "headers": headers})
            async for part in answer.aiter_raw():
                await outgoing({"type": "http.response.body", "body": part, "more_body": True})
            await outgoing({"type": "http.response.body", "body": b""})
        finally:
            await answer.aclose()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.aclose()


def _length(answer: httpx.Response) -> list[str]:
    length = answer.headers.get("content-length")
    return [] if length is None else [length]


async def _watch(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientLeftError
