"""A simulated inference server on a loopback port; also a test double."""

from __future__ import annotations

import asyncio
import json
import math
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import cycle
from random import Random
from types import TracebackType
from urllib.parse import unquote

from nexus_core.demo.simulated.answers import (
    Answer,
    Asked,
    count_tokens,
    declined,
    make_answer,
    make_vectors,
)
from nexus_core.demo.simulated.http import HttpRequest, HttpServer
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
_KEPT_REQUESTS = 1000

_Handler = Callable[[HttpRequest, str | None], Awaitable[None]]  # with the model in the path


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
    tool_prefix: str = ""  # tools whose names begin so are called; no others
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
        self._server = HttpServer(self._serve)
        self._routes = list(self._find_routes())

    def _find_routes(self) -> Iterator[tuple[str, re.Pattern[str], _Handler]]:
        """Method, path and handler of each thing that is served."""
        for path, kind in self._wire.posts.items():
            yield "POST", _pattern(path), self._posted(kind)
        for path, listing in self._wire.gets.items():
            yield "GET", _pattern(path), self._listed(listing, is_free=False)
        for path, listing in self._wire.free.items():
            yield "GET", _pattern(path), self._listed(listing, is_free=True)

    async def _serve(self, request: HttpRequest) -> None:
        for method, path, handler in self._routes:
            found = path.fullmatch(request.path)
            if method == request.method and found is not None:
                model = found.groupdict().get("model")
                await handler(request, None if model is None else unquote(model))
                return
        request.reply.json({"error": "nothing is served there"}, 404)

    async def __aenter__(self) -> SimulatedServer:
        await self._server.start()
        self.url = self._server.url
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._server.stop()

    def _listed(self, listing: Listing, *, is_free: bool) -> _Handler:
        async def handler(request: HttpRequest, _model: str | None) -> None:
            if is_free or self._may_enter(request):
                request.reply.json(listing(self._behaviour.models, request.query))
            else:
                self._problem(request, Problem.WRONG_KEY)

        return handler

    def _posted(self, kind: Kind) -> _Handler:
        async def handler(request: HttpRequest, model: str | None) -> None:
            self._record(request)
            fault = next(self._faults)
            if not self._may_enter(request):
                self._problem(request, Problem.WRONG_KEY)
                return
            try:
                incoming = _read(kind, request, model)
                if kind is Kind.EMBEDDINGS:
                    await self._embed(incoming, fault, request)
                else:
                    await self._complete(self._wire.read(incoming), incoming, fault, request)
            except BadRequestError as error:
                self._problem(request, Problem.BAD_REQUEST, str(error))
            except (ValueError, LookupError, TypeError, AttributeError):
                self._problem(request, Problem.BAD_REQUEST, "the body is not a valid request")

        return handler

    async def _embed(self, incoming: Incoming, fault: Fault, request: HttpRequest) -> None:
        asked = self._wire.read_embeddable(incoming)
        if self._refuses(asked.model, fault, request):
            return
        await self._wait(self._behaviour.first_token_seconds)
        tokens = sum(count_tokens(text) for text in asked.inputs)
        request.reply.json(self._wire.embeddings(make_vectors(asked), tokens, incoming))

    async def _complete(
        self, asked: Asked, incoming: Incoming, fault: Fault, request: HttpRequest
    ) -> None:
        if self._refuses(asked.model, fault, request):
            return
        prefix = self._behaviour.tool_prefix
        called = tuple(tool for tool in asked.tools if tool.name.startswith(prefix))
        answer = make_answer(
            replace(asked, tools=called),
            random=self._random,
            created=int(time.time()),
            lengths=self._behaviour.lengths,
        )
        if fault is Fault.DECLINE:
            answer = declined(answer)
        stall = self._behaviour.stall_seconds if fault is Fault.SLOW else 0
        await self._wait(self._behaviour.first_token_seconds + stall)
        if asked.is_streaming:
            await self._stream(answer, incoming, fault, request)
            return
        for _ in range(answer.tokens):
            await self._wait_for_a_token()
        if fault is Fault.DROP:
            request.reply.break_off()
        else:
            request.reply.json(self._wire.whole(answer, incoming))

    def _refuses(self, model: str, fault: Fault, request: HttpRequest) -> bool:
        """Whether an error was answered instead of a made-up answer."""
        if model not in self._behaviour.models:
            self._problem(request, Problem.NO_SUCH_MODEL, model)
        elif fault is Fault.UNAVAILABLE:
            self._problem(request, Problem.OVERLOADED, "the model is being loaded, try again")
        elif fault is Fault.BUSY:
            self._problem(request, Problem.BUSY, "too many requests")
        return request.reply.has_begun

    def _record(self, request: HttpRequest) -> None:
        self.received.append(
            ReceivedRequest(
                method=request.method,
                path=request.target,
                headers=request.pairs,
                body=request.body,
            )
        )

    def _may_enter(self, request: HttpRequest) -> bool:
        key = self._behaviour.api_key
        return key is None or self._wire.presents(key, request.headers)

    async def _stream(
        self, answer: Answer, incoming: Incoming, fault: Fault, request: HttpRequest
    ) -> None:
        reply = request.reply
        reply.begin_stream()
        events = list(self._wire.events(answer, incoming))
        if fault in _ENDS_MIDWAY:
            del events[len(events) // 2 :]
        for event in events:
            reply.write(event)
            await self._wait_for_a_token()
        if fault is Fault.ERROR_EVENT:
            reply.write(self._wire.error_event(Problem.OVERLOADED, "overloaded"))
        if fault is Fault.DROP:
            reply.break_off()
        else:
            reply.end_stream()

    def _problem(self, request: HttpRequest, problem: Problem, message: str = "") -> None:
        error: ErrorAnswer = self._wire.error(problem, message)
        request.reply.json(error.body, error.status, error.headers)

    async def _wait_for_a_token(self) -> None:
        unevenness = self._random.uniform(0.5, 1.5)
        await self._wait(unevenness / self._behaviour.tokens_per_second)

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


def _pattern(path: str) -> re.Pattern[str]:
    """A path in which {model} stands for one."""
    before, mark, after = path.partition("{model}")
    return re.compile(re.escape(before) + ("(?P<model>[^/]+)" if mark else "") + re.escape(after))


def _read(kind: Kind, request: HttpRequest, model: str | None) -> Incoming:
    body = json.loads(request.body)
    if not is_object(body):
        raise TypeError("no object")
    return Incoming(kind=kind, body=body, headers=request.headers, query=request.query, model=model)
