"""GET /nexus/events and /nexus/state of all workers: one order of events, and states that fit it.

A state says after which event it is. So while it is read, the events of each worker are taken in up
to the one that its own state names, and none beyond. Nobody watching costs nothing: the workers'
streams are read while there are readers, and for a moment after somebody asked for the state.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

from nexus_core.api.admin.events import (
    BATCH_BYTES,
    BATCH_EVENTS,
    BATCH_SECONDS,
    KEEP_ALIVE_SECONDS,
    LOOK_SECONDS,
    MAX_READERS,
    TooManyReadersError,
)
from nexus_core.api.admin.ids import number_of, numbered
from nexus_core.api.asgi.messages import ClientLeftError, Receive, Scope, Send, header
from nexus_core.types import JsonObject
from nexus_core.workers.backends import sum_backends
from nexus_core.workers.feed import Feed
from nexus_core.workers.numbers import sum_moments, sum_states, windows_as_json
from nexus_core.workers.records import Logs
from nexus_core.workers.ring import GAP, Ring, Told
from nexus_core.workers.roster import Roster
from nexus_core.workers.sibling import Sibling, SilentError

_LINGER_SECONDS = 15.0  # after the last reader left, or a state was asked for
_CATCH_UP_SECONDS = 1.5  # for events up to those that a state includes
_LOOK_AT_FEEDS_SECONDS = 0.1

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Events:
    """The events of all workers, for any number of readers."""

    def __init__(self, roster: Roster, logs: Logs) -> None:
        self._roster = roster
        self._logs = logs
        self._ring = Ring()
        self._feeds: dict[Sibling, Feed] = {}
        self._tasks: dict[Sibling, asyncio.Task[None]] = {}
        self._readers: set[asyncio.Event] = set()
        self._wanted_until = 0.0  # on the loop's clock
        self._is_wanted = asyncio.Event()
        self._reading_state = asyncio.Lock()
        self._pending: list[Told] | None = None  # while a state is read

    @property
    def run_word(self) -> str:
        """The word in the ids of these events."""
        return self._ring.run

    # The workers' streams ---------------------------------------------------------------------

    async def run(self) -> None:
        """Read the workers' streams while somebody wants them, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._is_wanted.wait()
                while self._is_still_wanted():
                    self._look_at_feeds(tasks)
                    await asyncio.sleep(_LOOK_AT_FEEDS_SECONDS)
                self._is_wanted.clear()
                for task in self._tasks.values():
                    task.cancel()
                self._feeds.clear()
                self._tasks.clear()
                self._ring = Ring()

    def _is_still_wanted(self) -> bool:
        if self._readers or self._reading_state.locked():
            self._want()
        return asyncio.get_running_loop().time() < self._wanted_until

    def _want(self) -> None:
        self._wanted_until = asyncio.get_running_loop().time() + _LINGER_SECONDS
        self._is_wanted.set()

    def _look_at_feeds(self, tasks: asyncio.TaskGroup) -> None:
        """A stream for each worker; one whose worker is gone ends, and its requests with it."""
        serving = set(self._roster.siblings)
        for sibling, task in list(self._tasks.items()):
            if sibling not in serving:
                task.cancel()
                for lost in self._feeds[sibling].ends_of_lost():
                    self._take(lost)
                self._news()
            if task.done() or sibling not in serving:
                del self._tasks[sibling], self._feeds[sibling]
        for sibling in serving - set(self._tasks):
            feed = Feed(sibling, self._take, self._news)
            if self._reading_state.locked():
                feed.hold(0)
            self._feeds[sibling] = feed
            self._tasks[sibling] = tasks.create_task(feed.run(), name="worker-events")

    def _take(self, told: Told) -> None:
        if self._pending is None:
            self._ring.push(told)
        else:
            self._pending.append(told)

    def _news(self) -> None:
        for reader in self._readers:
            reader.set()

    # The state --------------------------------------------------------------------------------

    async def state(self) -> JsonObject:
        """The state of all workers together, after the event that it names.

        Raises:
            SilentError: no worker answers.
        """
        async with self._reading_state:
            self._want()
            await self._feeds_are_there()
            self._pending = []
            try:
                for feed in self._feeds.values():
                    feed.hold(feed.position)
                told = await self._roster.each(lambda one: one.state())
                await self._catch_up(told)
                state = self._summed(told)
            finally:
                pending, self._pending = self._pending or [], None
                for event in sorted(pending, key=_at):
                    self._ring.push(event)
                for feed in self._feeds.values():
                    feed.release()
                self._news()
        await self._logs.read()
        return {**state, **self._ids()}

    async def _feeds_are_there(self) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _CATCH_UP_SECONDS
        while loop.time() < deadline:
            feeds = self._feeds
            if all(one in feeds and feeds[one].run_word for one in self._roster.siblings):
                return
            await asyncio.sleep(0.005)

    async def _catch_up(self, told: list[tuple[Sibling, JsonObject]]) -> None:
        """Take in events up to those that the states include."""
        try:
            async with asyncio.timeout(_CATCH_UP_SECONDS):
                for sibling, state in told:
                    feed = self._feeds.get(sibling)
                    if feed is None:
                        continue
                    run, _, number = str(state["last_event"]).rpartition("-")
                    if run == feed.run_word:
                        feed.hold(int(number))
                        while feed.position < int(number):
                            feed.moved.clear()
                            await feed.moved.wait()
        except TimeoutError:
            pass  # what is missing is counted all the same, by the next totals

    def _summed(self, told: list[tuple[Sibling, JsonObject]]) -> JsonObject:
        told = self._roster.still(told)
        if not told:
            raise SilentError("no worker answers")
        past = self._roster.past([sibling for sibling, _ in told])
        return sum_states([state for _, state in told], past, self._roster.windows)

    def _ids(self) -> JsonObject:
        ring = self._logs.ring
        return {
            "last_event": numbered(self._ring.run, self._ring.last),
            "last_log": numbered(ring.run, ring.last),
        }

    # Readers ----------------------------------------------------------------------------------

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send events as they happen, until the client leaves.

        Raises:
            TooManyReadersError: there is no room for one more.
        """
        if len(self._readers) >= MAX_READERS:
            raise TooManyReadersError(f"the limit of {MAX_READERS} event readers is reached")
        self._want()
        await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
        try:
            async with asyncio.TaskGroup() as tasks:
                watcher = tasks.create_task(_watch(receive), name="reader-watch")
                await self._pump(header(scope, b"last-event-id"), send)
                watcher.cancel()
        except* ClientLeftError:
            pass

    async def _pump(self, last_event_id: str | None, send: Send) -> None:
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        self._readers.add(news)
        try:
            reader = _Reader(self, last_event_id)
            sent_at = loop.time()
            await _send_part(send, reader.begin())
            while True:
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await news.wait()
                except TimeoutError:
                    pass
                else:
                    await asyncio.sleep(max(0.0, sent_at + BATCH_SECONDS - loop.time()))
                news.clear()
                await self._read_logs()
                batch = reader.batch()
                if not batch and loop.time() - sent_at >= KEEP_ALIVE_SECONDS:
                    batch = b": nothing new\n\n"
                if batch:
                    await _send_part(send, batch)
                    sent_at = loop.time()
        finally:
            self._readers.discard(news)

    async def _read_logs(self) -> None:
        for sibling, feed in self._feeds.items():
            if feed.totals is not None and feed.totals["last_log"] != sibling.last_log:
                await self._logs.read()
                return

    @property
    def ring(self) -> Ring:
        """The events."""
        return self._ring

    def totals(self, known: JsonObject) -> JsonObject | None:
        """The totals of now, for a reader who knows these; None while no worker has told any."""
        feeds = [feed for one, feed in self._feeds.items() if feed.totals and self._roster.has(one)]
        told = [feed.totals for feed in feeds if feed.totals is not None]
        if not told:
            return None
        past = self._roster.past([feed.sibling for feed in feeds])
        counters = [one["counters"] for one in told] + [one.counters() for one in past]
        windows = windows_as_json(self._roster.windows)
        backends = {
            one["name"]: one for one in sum_backends([[*f.backends.values()] for f in feeds])
        }
        known_windows, known_backends = known.get("windows", {}), known.get("backends", {})
        known["windows"], known["backends"] = windows, backends
        return {
            **told[0],
            **sum_moments(told),
            **self._ids(),
            "at": max(one["at"] for one in told),
            "counters": {name: sum(one.get(name, 0) for one in counters) for name in counters[0]},
            "windows": {
                name: one for name, one in windows.items() if known_windows.get(name, ...) != one
            },
            "names": list(backends),
            "backends": [one for name, one in backends.items() if known_backends.get(name) != one],
        }


class _Reader:
    """The position of one reader in the events."""

    def __init__(self, events: Events, last_event_id: str | None) -> None:
        self._events = events
        self._ring = events.ring
        self._asked = last_event_id
        self._sent = self._ring.last
        self._known: JsonObject = {}  # what the last totals said
        self._last_totals: JsonObject | None = None
        self._running: set[str] = set()

    def begin(self) -> bytes:
        """What the reader missed, and the totals."""
        parts: list[bytes] = []
        if self._asked is not None:
            found = number_of(self._asked, self._ring.run, self._ring.last)
            if found is None:
                parts.append(_gap({"reason": "restarted", "skipped": None, "until": None}))
            else:
                self._sent = found
                parts += self._messages(everything=True)
        return b"".join([*parts, self._totals()])

    def batch(self) -> bytes:
        """What is new; empty where nothing is."""
        if self._events.ring is not self._ring:
            self._ring, self._sent = self._events.ring, self._events.ring.last
            return _gap({"reason": "restarted", "skipped": None, "until": None})
        return b"".join([*self._messages(everything=False), self._totals()])

    def _totals(self) -> bytes:
        totals = self._events.totals(self._known)
        if totals is None:
            return b""
        still = {**totals, "at": 0.0}
        if still == self._last_totals:
            return b""
        self._last_totals = {**still, "windows": {}, "backends": []}
        return f"event: totals\ndata: {json.dumps(totals)}\n\n".encode()

    def _messages(self, *, everything: bool) -> Iterator[bytes]:
        ring = self._ring
        if ring.first - 1 > self._sent:
            lost = ring.first - 1 - self._sent
            until = numbered(ring.run, ring.first - 1)
            yield _gap({"reason": "lapped", "skipped": lost, "until": until})
            self._running.clear()
        events = ring.after(self._sent)
        chosen = events if everything else self._chosen(events)
        if skipped := len(events) - len(chosen):
            until = numbered(ring.run, ring.last)
            yield _gap({"reason": "flood", "skipped": skipped, "until": until})
        for number, told in chosen:
            if told.request_id is not None and told.begins:
                self._running.add(told.request_id)
            elif told.request_id is not None and told.ends:
                self._running.discard(told.request_id)
            yield told.message(ring.run, number)
        self._sent = ring.last

    def _chosen(self, events: list[tuple[int, Told]]) -> list[tuple[int, Told]]:
        """The newest events, and the end of requests whose beginning was sent; oldest first."""
        chosen: list[tuple[int, Told]] = []
        size = 0
        for number, told in reversed(events):
            is_awaited = told.kind == GAP or (told.ends and told.request_id in self._running)
            if is_awaited or (len(chosen) < BATCH_EVENTS and size < BATCH_BYTES):
                chosen.append((number, told))
                size += len(told.data)
        return chosen[::-1]


def _gap(data: JsonObject) -> bytes:
    return f"event: {GAP}\ndata: {json.dumps(data)}\n\n".encode()


def _at(told: Told) -> float:
    return told.at


async def _send_part(send: Send, part: bytes) -> None:
    if part:
        await send({"type": "http.response.body", "body": part, "more_body": True})


async def _watch(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    raise ClientLeftError
