"""A simulated inference server on a loopback port; also a test double."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import cycle
from random import Random
from types import TracebackType

from aiohttp import web

from nexus_core.demo.simulated.answers import (
    Answer,
    Asked,
    count_tokens,
    declined,
    make_answer,
    make_vectors,
)
from nexus_core.demo.simulated.openai import OpenAIFormat
from nexus_core.demo.simulated.wire import (
    BadRequestError,
    ErrorAnswer,
    Incoming,
    Kind,
    Listing,
    Problem,
    WireFormat,
)
from nexus_core.types import is_object

FULL_SPEED = math.inf  # as `speed`: no waiting at all
_SHUTDOWN_SECONDS = 0.1  # 0 would mean: wait for running answers without end
_KEPT_REQUESTS = 1000
_MAX_BODY_BYTES = 64 * 1024 * 1024

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Fault(Enum):
    """A simulated fault of one request."""

    NONE = auto()
    UNAVAILABLE = auto()  # an error of the server at once
    BUSY = auto()  # a 429 that says when to come back
    SLOW = auto()  # the first byte takes `stall_seconds`
    DROP = auto()  # the connection breaks: mid-way in a stream, else before the answer
    CUT = auto()  # a stream ends mid-way as if it were over
    ERROR_EVENT = auto()  # a stream ends mid-way with the provider's error event
    DECLINE = auto()  # the model does not want to answer


# Streams that end mid-way; a whole answer knows only DROP of these.
_ENDS_MIDWAY = frozenset({Fault.DROP, Fault.CUT, Fault.ERROR_EVENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Behaviour of a simulated server: models, speed and failures."""

    models: tuple[str, ...]
    tokens_per_second: float = 45
    first_token_seconds: float = 0.3
    stall_seconds: float = 4
    lengths: tuple[int, int] = (20, 120)  # of an answer in tokens: least, most
    api_key: str | None = None  # what a client must present; None: nothing
    faults: tuple[Fault, ...] = (Fault.NONE,)  # one for each request in turn, then anew


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """A request received by a simulated server."""

    method: str
    path: str  # with its query
    headers: tuple[tuple[str, str], ...]
    body: bytes


class SimulatedServer:
    """Serve made-up answers while the context lasts; `received` keeps the latest requests."""

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        wire: WireFormat | None = None,
        random: Random | None = None,
        speed: float = 1.0,
    ) -> None:
        """`wire`: whose API it speaks; OpenAI's unless another is named."""
        self.received: deque[ReceivedRequest] = deque(maxlen=_KEPT_REQUESTS)
        self.url = ""  # http://127.0.0.1:PORT once it serves
        self._behaviour = behaviour
        self._wire = wire or OpenAIFormat()
        self._random = random or Random()  # noqa: S311 - made-up text, not a secret
        self._speed = speed
        self._faults = cycle(behaviour.faults)
        # A client that leaves cancels its handler, as a real server stops to generate.
        self._runner = web.AppRunner(
            self._app(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=_SHUTDOWN_SECONDS,
        )

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=_MAX_BODY_BYTES)
        for path, kind in self._wire.posts.items():
            app.router.add_post(path, self._posted(kind))
        for path, listing in self._wire.gets.items():
            app.router.add_get(path, self._listed(listing, is_free=False))
        for path, listing in self._wire.free.items():
            app.router.add_get(path, self._listed(listing, is_free=True))
        return app

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

    def _listed(self, listing: Listing, *, is_free: bool) -> _Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            if not is_free and not self._may_enter(request):
                return self._problem(Problem.WRONG_KEY)
            return web.json_response(listing(self._behaviour.models, request.query))

        return handler

    def _posted(self, kind: Kind) -> _Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            content = await self._record(request)
            fault = next(self._faults)
            if not self._may_enter(request):
                return self._problem(Problem.WRONG_KEY)
            try:
                incoming = _read(kind, content, request)
                if kind is Kind.EMBEDDINGS:
                    return await self._embed(incoming, fault)
                return await self._complete(self._wire.read(incoming), incoming, fault, request)
            except BadRequestError as error:
                return self._problem(Problem.BAD_REQUEST, str(error))
            except (ValueError, LookupError, TypeError, AttributeError):
                return self._problem(Problem.BAD_REQUEST, "the body is not a valid request")

        return handler

    async def _embed(self, incoming: Incoming, fault: Fault) -> web.StreamResponse:
        asked = self._wire.read_embeddable(incoming)
        if (refusal := self._refusal(asked.model, fault)) is not None:
            return refusal
        await self._wait(self._behaviour.first_token_seconds)
        tokens = sum(count_tokens(text) for text in asked.inputs)
        return web.json_response(self._wire.embeddings(make_vectors(asked), tokens, incoming))

    async def _complete(
        self, asked: Asked, incoming: Incoming, fault: Fault, request: web.Request
    ) -> web.StreamResponse:
        if (refusal := self._refusal(asked.model, fault)) is not None:
            return refusal
        answer = make_answer(
            asked,
            random=self._random,
            created=int(time.time()),
            lengths=self._behaviour.lengths,
        )
        if fault is Fault.DECLINE:
            answer = declined(answer)
        stall = self._behaviour.stall_seconds if fault is Fault.SLOW else 0
        await self._wait(self._behaviour.first_token_seconds + stall)
        if asked.is_streaming:
            return await self._stream(answer, incoming, fault, request)
        for _ in range(answer.tokens):
            await self._wait_for_a_token()
        if fault is Fault.DROP:
            _break_connection(request)
        return web.json_response(self._wire.whole(answer, incoming))

    def _refusal(self, model: str, fault: Fault) -> web.Response | None:
        """What is answered instead of a made-up answer."""
        if model not in self._behaviour.models:
            return self._problem(Problem.NO_SUCH_MODEL, model)
        if fault is Fault.UNAVAILABLE:
            return self._problem(Problem.OVERLOADED, "the model is being loaded, try again")
        if fault is Fault.BUSY:
            return self._problem(Problem.BUSY, "too many requests")
        return None

    async def _record(self, request: web.Request) -> bytes:
        content = await request.read()
        headers = tuple(request.headers.items())
        self.received.append(
            ReceivedRequest(
                method=request.method, path=request.path_qs, headers=headers, body=content
            )
        )
        return content

    def _may_enter(self, request: web.Request) -> bool:
        key = self._behaviour.api_key
        return key is None or self._wire.presents(key, request.headers)

    async def _stream(
        self, answer: Answer, incoming: Incoming, fault: Fault, request: web.Request
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        await response.prepare(request)
        events = list(self._wire.events(answer, incoming))
        if fault in _ENDS_MIDWAY:
            del events[len(events) // 2 :]
        for event in events:
            await response.write(event)
            await self._wait_for_a_token()
        if fault is Fault.ERROR_EVENT:
            await response.write(self._wire.error_event(Problem.OVERLOADED, "overloaded"))
        if fault is Fault.DROP:
            _break_connection(request)
        return response

    def _problem(self, problem: Problem, message: str = "") -> web.Response:
        error: ErrorAnswer = self._wire.error(problem, message)
        return web.json_response(error.body, status=error.status, headers=error.headers)

    async def _wait_for_a_token(self) -> None:
        unevenness = self._random.uniform(0.5, 1.5)
        await self._wait(unevenness / self._behaviour.tokens_per_second)

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


def _read(kind: Kind, content: bytes, request: web.Request) -> Incoming:
    body = json.loads(content)
    if not is_object(body):
        raise TypeError("no object")
    return Incoming(
        kind=kind,
        body=body,
        headers=request.headers,
        query=request.query,
        model=request.match_info.get("model"),
    )


def _break_connection(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
