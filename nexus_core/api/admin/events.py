"""GET /nexus/events: all events of the bus over SSE, in bounded batches."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, TypeAlias

from fastapi import APIRouter, Request
from fastapi.responses import Response

from nexus_core.api.admin.ids import number_of, numbered
from nexus_core.api.admin.state import Totals
from nexus_core.api.asgi.messages import ClientLeftError, Receive, Scope, Send
from nexus_core.errors import NexusError
from nexus_core.gateway import Gateway
from nexus_core.observe.event_json import event_as_json, event_name
from nexus_core.observe.event_log import EventLog
from nexus_core.observe.phases import (
    Happened,
    event_of,
    request_that_began,
    request_that_ended,
)

BATCH_SECONDS = 0.25
BATCH_EVENTS = 200
BATCH_BYTES = 128 * 1024
LOOK_SECONDS = 1.0  # without an event: a backend may have changed all the same
KEEP_ALIVE_SECONDS = 5.0
MAX_READERS = 32

Numbered: TypeAlias = tuple[int, Happened]

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class TooManyReadersError(NexusError):
    """The limit of event readers is reached: each one costs time at every event."""

    status = 503
    code = "too_many_readers"


def create_router(gateway: Gateway) -> APIRouter:
    """Route of GET /nexus/events."""
    router = APIRouter(prefix="/nexus", tags=["control"])

    @router.get("/events", response_class=Response)
    async def events(request: Request) -> Response:
        """Events as they happen (SSE), until the client disconnects.

        Each message's `event` is the event's type; send its `id` as `Last-Event-ID` to resume
        there. `totals` messages hold the statistics. A `gap` message means that events are
        missing: GET /nexus/state has the current state.
        """
        if gateway.event_log.readers >= MAX_READERS:
            raise TooManyReadersError(f"the limit of {MAX_READERS} event readers is reached")
        return _EventResponse(gateway, request.headers.get("last-event-id"))

    return router


class _EventResponse(Response):
    """Speaks ASGI itself: it has to see that the client leaves, and that the server ends."""

    def __init__(self, gateway: Gateway, last_event_id: str | None) -> None:
        super().__init__()
        self._gateway = gateway
        self._last_event_id = last_event_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = EventStream(self._gateway, self._last_event_id)
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
        try:
            async with asyncio.TaskGroup() as tasks:
                watcher = tasks.create_task(_watch(receive), name="reader-watch")
                await _pump(self._gateway, stream, send)
                watcher.cancel()
            await send({"type": "http.response.body", "body": b""})
        except* ClientLeftError:
            pass


async def _watch(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientLeftError


async def _pump(gateway: Gateway, stream: EventStream, send: Send) -> None:
    """Send batch after batch. While the reader is slow, `send` waits and nothing piles up here."""
    loop = asyncio.get_running_loop()
    with gateway.event_log.news() as news:
        for part in stream.begin():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        sent_at = loop.time()
        while not gateway.event_log.is_closed:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await news.wait()
            except TimeoutError:
                pass  # a look at the backends
            else:
                await asyncio.sleep(max(0.0, sent_at + BATCH_SECONDS - loop.time()))
            news.clear()
            batch = stream.take()
            if not batch and loop.time() - sent_at >= KEEP_ALIVE_SECONDS:
                batch = b": nothing new\n\n"
            if batch:
                await send({"type": "http.response.body", "body": batch, "more_body": True})
                sent_at = loop.time()


class EventStream:
    """The event stream of one reader: its position in the event log; holds no events itself."""

    def __init__(self, gateway: Gateway, last_event_id: str | None = None) -> None:
        self._gateway = gateway
        self._totals = Totals(gateway)
        self._asked = last_event_id
        self._sent = self._log.last  # the number of the newest event that was sent or left out
        self._running: set[str] = set()  # requests whose beginning was sent, and not their end

    @property
    def _log(self) -> EventLog:
        return self._gateway.event_log

    def begin(self) -> Iterator[bytes]:
        """What the reader missed since its Last-Event-ID, all of it that is here; then a batch."""
        if self._asked is not None:
            found = number_of(self._asked, self._log.run, self._log.last)
            if found is None:
                yield self._gap("restarted")
            else:
                self._sent = found
                yield from self._missed(self._log.last)
        yield self._batch()

    def _missed(self, newest: int) -> Iterator[bytes]:
        while self._sent < newest:  # more may come, and some may go, while the reader reads
            yield from self._skip_lost()
            part = b""
            for number, event in self._log.after(self._sent)[:BATCH_EVENTS]:
                part += self._message(number, event)
                self._note(number, event)
                if len(part) >= BATCH_BYTES:
                    break
            yield part

    def take(self) -> bytes:
        """The next batch; empty when there is nothing to tell."""
        is_due = self._sent != self._log.last or self._totals.is_due
        return self._batch() if is_due else b""

    def _batch(self) -> bytes:
        """The newest events, the end of requests whose beginning was sent, and totals then.

        The totals are of the moment after the last event, whatever was left out before it.
        """
        parts = list(self._skip_lost())
        events = self._log.after(self._sent)
        selected, messages = self._select(events)
        if skipped := len(events) - len(selected):
            parts.append(self._gap("flood", skipped, self._log.last))
        for number, event in selected:
            self._note(number, event)
        self._sent = self._log.last
        return b"".join([*parts, *messages, _sse(self._totals.take(), "totals")])

    def _select(self, events: list[Numbered]) -> tuple[list[Numbered], list[bytes]]:
        """Which events to send, and their messages; both oldest first."""
        selected: list[Numbered] = []
        messages: list[bytes] = []
        size = 0
        for number, event in reversed(events):
            ends = request_that_ended(event) in self._running
            if ends or (len(selected) < BATCH_EVENTS and size < BATCH_BYTES):
                selected.append((number, event))
                messages.append(self._message(number, event))
                size += len(messages[-1])
        return selected[::-1], messages[::-1]

    def _note(self, number: int, happened: Happened) -> None:
        self._sent = number
        if (began := request_that_began(happened)) is not None:
            self._running.add(began)
        elif (ended := request_that_ended(happened)) is not None:
            self._running.discard(ended)

    def _skip_lost(self) -> Iterator[bytes]:
        """Go on with the oldest event that is here, and say so where others are gone."""
        last_lost = self._log.first - 1
        if last_lost > self._sent:
            yield self._gap("lapped", last_lost - self._sent, last_lost)
            self._sent = last_lost
            self._running.clear()

    def _message(self, number: int, happened: Happened) -> bytes:
        event = event_of(happened)
        return _sse(event_as_json(event), event_name(event), numbered(self._log.run, number))

    def _gap(self, reason: str, skipped: int | None = None, until: int | None = None) -> bytes:
        """Events are missing: so many, the newest of them not newer than `until`."""
        newest = None if until is None else numbered(self._log.run, until)
        return _sse({"reason": reason, "skipped": skipped, "until": newest}, "gap")


def _sse(data: dict[str, Any], event: str, number: str | None = None) -> bytes:
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {event}\ndata: {json.dumps(data)}\n\n".encode()
