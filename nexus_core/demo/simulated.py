"""A simulated inference server that speaks OpenAI's API on a loopback port; also a test double."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from itertools import cycle
from random import Random
from types import TracebackType
from typing import Any

from aiohttp import web

from nexus_core.demo.answers import Answer, chunks, error_envelope, make_answer, whole

FULL_SPEED = math.inf  # as `speed`: no waiting at all
_KEPT_REQUESTS = 1000
_MAX_BODY_BYTES = 64 * 1024 * 1024


class Fault(Enum):
    """What goes wrong with one request."""

    NONE = auto()
    UNAVAILABLE = auto()  # a 503 at once
    SLOW = auto()  # the first byte takes `stall_seconds`
    DROP = auto()  # the connection breaks: mid-way in a stream, else before the answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What a simulated server serves, how fast, and how it fails."""

    models: tuple[str, ...]
    tokens_per_second: float = 45
    first_token_seconds: float = 0.3
    stall_seconds: float = 4
    lengths: tuple[int, int] = (20, 120)  # of an answer in tokens: least, most
    api_key: str | None = None  # what a client must present; None: nothing
    faults: tuple[Fault, ...] = (Fault.NONE,)  # one for each request in turn, then anew


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """One request as it came in."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class SimulatedServer:
    """Serve made-up answers while the context lasts; `received` keeps the latest requests."""

    def __init__(
        self, behaviour: Behaviour, *, random: Random | None = None, speed: float = 1.0
    ) -> None:
        self.received: deque[ReceivedRequest] = deque(maxlen=_KEPT_REQUESTS)
        self.url = ""  # http://127.0.0.1:PORT once it serves
        self._behaviour = behaviour
        self._random = random or Random()  # noqa: S311 - made-up text, not a secret
        self._speed = speed
        self._faults = cycle(behaviour.faults)
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completions)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/api/tags", self._tags)
        app.router.add_get("/health", self._health)
        # A client that leaves cancels its handler, as a real server stops to generate.
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, shutdown_timeout=0
        )

    async def __aenter__(self) -> SimulatedServer:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _models(self, request: web.Request) -> web.StreamResponse:
        if not self._may_enter(request):
            return _refused_key()
        listed = [
            {"id": model, "object": "model", "created": 0, "owned_by": "demo"}
            for model in self._behaviour.models
        ]
        return web.json_response({"object": "list", "data": listed})

    async def _tags(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"models": [{"name": name} for name in self._behaviour.models]})

    async def _health(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"status": "ok"})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        return await self._complete(request, is_chat=True)

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        return await self._complete(request, is_chat=False)

    async def _complete(self, request: web.Request, *, is_chat: bool) -> web.StreamResponse:
        content = await self._record(request)
        fault = next(self._faults)
        if not self._may_enter(request):
            return _refused_key()
        try:
            asked: dict[str, Any] = json.loads(content)
            answer = self._answer(asked, is_chat=is_chat)
        except (ValueError, LookupError, TypeError, AttributeError):
            return _error(400, "the body is not a valid request", kind="invalid_request_error")
        if answer.model not in self._behaviour.models:
            return _no_such_model(answer.model)
        if fault is Fault.UNAVAILABLE:
            return _error(503, "the model is being loaded, try again", kind="server_error")
        stall = self._behaviour.stall_seconds if fault is Fault.SLOW else 0
        await self._wait(self._behaviour.first_token_seconds + stall)
        drops = fault is Fault.DROP
        if asked.get("stream"):
            options = asked.get("stream_options") or {}
            usage = bool(options.get("include_usage"))
            return await self._stream(request, answer, include_usage=usage, drops=drops)
        for _ in answer.pieces:
            await self._wait_for_a_token()
        if drops:
            _break_connection(request)
        return web.json_response(whole(answer))

    async def _record(self, request: web.Request) -> bytes:
        content = await request.read()
        headers = tuple(request.headers.items())
        self.received.append(
            ReceivedRequest(method=request.method, path=request.path, headers=headers, body=content)
        )
        return content

    def _answer(self, asked: dict[str, Any], *, is_chat: bool) -> Answer:
        return make_answer(
            asked,
            random=self._random,
            created=int(time.time()),
            lengths=self._behaviour.lengths,
            is_chat=is_chat,
        )

    def _may_enter(self, request: web.Request) -> bool:
        key = self._behaviour.api_key
        return key is None or request.headers.get("Authorization") == f"Bearer {key}"

    async def _stream(
        self, request: web.Request, answer: Answer, *, include_usage: bool, drops: bool
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        for number, chunk in enumerate(chunks(answer, include_usage=include_usage)):
            if drops and number > len(answer.pieces) // 2:
                _break_connection(request)
                return response
            await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
            await self._wait_for_a_token()
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _wait_for_a_token(self) -> None:
        unevenness = self._random.uniform(0.5, 1.5)
        await self._wait(unevenness / self._behaviour.tokens_per_second)

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


def _error(status: int, message: str, *, kind: str, code: str | None = None) -> web.Response:
    return web.json_response(error_envelope(message, kind=kind, code=code), status=status)


def _refused_key() -> web.Response:
    kind = "invalid_request_error"
    return _error(401, "Incorrect API key provided.", kind=kind, code="invalid_api_key")


def _no_such_model(model: str) -> web.Response:
    message = f"The model `{model}` does not exist."
    return _error(404, message, kind="invalid_request_error", code="model_not_found")


def _break_connection(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
