"""The event stream of one worker, as its supervisor reads it."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable

import httpx

from nexus_core.api.admin.ids import number_of
from nexus_core.dialects.sse import SseEvent, SseParser
from nexus_core.types import JsonObject
from nexus_core.workers.ring import GAP, Told, told_of
from nexus_core.workers.sibling import FAILURES, Sibling, SilentError

log = logging.getLogger(__name__)

_SILENCE_SECONDS = 12.0  # a worker says something every 5 s
_LARGEST = 10**15


class Feed:
    """Takes in a worker's events, from the oldest that it has; the last totals stand beside."""

    def __init__(
        self, sibling: Sibling, take: Callable[[Told], None], news: Callable[[], None]
    ) -> None:
        """`take` is given each event, `news` is called when there is anything new."""
        self.sibling = sibling
        self.position = 0  # the number of the newest event that was taken in
        self.run_word = ""  # which run of the worker this is
        self.totals: JsonObject | None = None
        self.backends: dict[str, JsonObject] = {}  # by name, as in the totals
        self.moved = asyncio.Event()  # whenever the position moves
        self._take = take
        self._news = news
        self._most: int | None = None  # no event beyond this one is taken in
        self._may_go_on = asyncio.Event()
        self._running: dict[str, str] = {}  # requests whose end is to come, and their models

    async def run(self) -> None:
        """Read until the worker ends, or this is cancelled."""
        try:
            state = await self.sibling.state()
            self.run_word = str(state["last_event"]).rpartition("-")[0]
            headers = [(b"last-event-id", f"{self.run_word}-0".encode())]
            request = self.sibling.request("GET", "/nexus/events", headers, b"")
            request.extensions["timeout"] = httpx.Timeout(_SILENCE_SECONDS).as_dict()
            answer = await self.sibling.send(request)
            try:
                parser = SseParser()
                async for chunk in answer.aiter_raw():
                    for message in parser.feed(chunk):
                        await self._take_in(message)
            finally:
                await answer.aclose()
        except (SilentError, *FAILURES, ValueError, KeyError) as error:
            log.debug("events of worker %d: %s", self.sibling.number, error)

    async def _take_in(self, message: SseEvent) -> None:
        match message.event:
            case "totals":
                self._take_totals(json.loads(message.data))
            case "gap":
                told = json.loads(message.data)
                await self._move(self._number(told.get("until")))
                self._take(Told(GAP, message.data))
            case kind:
                await self._move(self._number(message.id))
                told_event = told_of(kind, message.data)
                self._note(told_event)
                self._take(told_event)
        self._news()

    def _number(self, event_id: object) -> int:
        return number_of(str(event_id), self.run_word, _LARGEST) or self.position

    async def _move(self, number: int) -> None:
        """Go on to an event, once that is wanted."""
        while self._most is not None and number > self._most:
            self._may_go_on.clear()
            await self._may_go_on.wait()
        self._reach(number)

    def _reach(self, number: int) -> None:
        if number > self.position:
            self.position = number
            self.moved.set()

    def _take_totals(self, totals: JsonObject) -> None:
        """Take over what is of now; a backend's models are left out where they are the same."""
        for told in totals["backends"]:
            before = self.backends.get(told["name"])
            if "models" not in told and before is not None:
                told = {**told, "models": before["models"]}
            self.backends[told["name"]] = told
        self.backends = {
            name: self.backends[name] for name in totals["names"] if name in self.backends
        }
        self.totals = totals
        reached = self._number(totals["last_event"])
        if self._most is None or reached <= self._most:
            self._reach(reached)

    # Held while a state is read ---------------------------------------------------------------

    def hold(self, most: int) -> None:
        """Take in nothing beyond the event of this number."""
        self._most = most
        self._may_go_on.set()

    def release(self) -> None:
        """Take in everything."""
        self._most = None
        self._may_go_on.set()

    # Its end ----------------------------------------------------------------------------------

    def _note(self, told: Told) -> None:
        if told.request_id is None:
            return
        if told.begins:
            self._running[told.request_id] = json.loads(told.data)["model"]
        elif told.ends:
            self._running.pop(told.request_id, None)

    def ends_of_lost(self) -> list[Told]:
        """The end of each request that was under way in a worker that is gone."""
        lost = [_lost(request_id, model) for request_id, model in self._running.items()]
        self._running.clear()
        return lost


def _lost(request_id: str, model: str) -> Told:
    at = time.time()
    event: JsonObject = {
        "type": "RequestFinished",
        "at": at,
        "request_id": request_id,
        "model": model,
        "status": 500,
        "failed": True,
        "client_left": False,
        "error": "the worker that served it ended",
        "error_code": "worker_ended",
        "total_ms": 0.0,
        "attempts": [],
        "considered": [],
        "headers": [],
    }
    unknown = ("backend", "backend_type", "zone", "reason", "first_byte_ms", "overhead_ms", "usage")
    event |= dict.fromkeys(unknown)
    return Told("RequestFinished", json.dumps(event), at, request_id)
