"""RemoteSource: an attached Nexus as data source, over HTTP."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from itertools import chain, repeat
from secrets import token_hex
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

from nexus_core import __version__
from nexus_core.control.actions import dashboard_agent
from nexus_core.control.commands import Command, Outcome
from nexus_core.control.question import question_as_json
from nexus_core.dialects.sse import SseEvent, SseParser
from nexus_core.money.cost_lines import CostLines
from nexus_core.money.ledger_queries import By
from nexus_core.money.months import Period
from nexus_core.money.report import CostReport
from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.event_json import UnreadableError, read_event, read_json
from nexus_core.observe.events import NexusEvent, OperatorActed
from nexus_core.observe.log_ring import LogRing
from nexus_core.observe.record import RequestRecord
from nexus_core.observe.requests import SCREEN_CAPACITY, RecentRequests
from nexus_core.routing.explain import Explanation, Question
from nexus_core.types import is_list, is_object
from nexus_tui.sources.base import NO_LEDGER, DiscoverySource, Status, refuse_if_read_only
from nexus_tui.sources.changes import ChangedRequests
from nexus_tui.sources.client_keys import KeyAnswer, KeyChange, KeyList, read_answer, read_keys
from nexus_tui.sources.fleet.replica import PartOf, Roll, read_roll
from nexus_tui.sources.remote_calls import HttpCall, call_for, one_request
from nexus_tui.sources.remote_costs import lines_call, told_lines
from nexus_tui.sources.remote_http import (
    LinkLostError,
    RefusedError,
    RemoteError,
    RemoteHttp,
    UnknownCallError,
)
from nexus_tui.sources.remote_keys import LIST_CALL, change_call
from nexus_tui.sources.remote_known import RemoteKnown
from nexus_tui.sources.remote_logs import RemoteLogs
from nexus_tui.sources.remote_state import event_number, parse, read_exchange, read_state

_Read = TypeVar("_Read")

PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0)  # before each try to reconnect; the last one again
_SILENCE_SECONDS = 12.0  # a Nexus says something every 5 s, if only that it is there
_ANSWER_SECONDS = 15.0  # of a command, beside what a probe may take
_RECOUNT_SECONDS = 2.0  # between two looks at the whole state during a flood
_ROLL_SECONDS = 2.0  # it is asked each second
_KEY_PROBLEMS = (401, 403)
_KEPT_EVENTS = 10_000  # between two drains


class RemoteSource(RemoteKnown):
    """Data source on an attached Nexus: call `connect` once, then keep `run` running."""

    is_remote = True
    discovery: DiscoverySource | None = None

    def __init__(
        self,
        url: str,
        authorization: str | None = None,
        *,
        is_read_only: bool = False,
        pauses_seconds: tuple[float, ...] = PAUSES_SECONDS,
        logs: LogRing | None = None,
        part_of: PartOf | None = None,
    ) -> None:
        """`logs` is where the other side's log lines go; None: nobody looks at them.

        `part_of`: it is one of several that a screen shows together.
        """
        super().__init__()
        self.address = urlsplit(url).netloc
        self.session = token_hex(8) if part_of is None else part_of.session
        self.has_begun = asyncio.Event()  # what was there when it was attached is known
        self.is_read_only = is_read_only
        self.status: Status = "stale"
        self.stale_since: float | None = None
        self.epoch = 0
        self.requests = RecentRequests(SCREEN_CAPACITY)
        self._changes = ChangedRequests(self.requests)
        self.costs: CostReport | None = None
        self.costs_problem: str | None = None
        self._pauses = pauses_seconds
        self._why_stale = ""
        self._heard_at = 0.0  # the last word of the other side, in seconds since the epoch
        self._last = 0  # the number of the newest event that was taken in
        self._events: deque[NexusEvent] = deque(maxlen=_KEPT_EVENTS)
        self._arrived = asyncio.Event()
        self._unseen = self._unreadable = 0
        self._is_uncounted = False  # events are missing: the statistics are of before them
        self._counted_at = 0.0  # monotonic seconds
        self._http = RemoteHttp(url, authorization, dashboard_agent(self.session))
        self._logs = (
            None
            if logs is None
            else RemoteLogs(logs, self._ask, None if part_of is None else part_of.replica)
        )

    # --- what is known -------------------------------------------------------------------

    @property
    def notice(self) -> str | None:
        if self.status == "stale":
            return f"link to {self.address} lost: {self._why_stale}"
        if self._state.version != __version__:
            return (
                f"the Nexus at {self.address} is version {self._state.version}, this one is "
                f"{__version__}: newer features of either are not shown"
            )
        if self._unreadable:
            return f"{self._unreadable} unreadable events skipped"
        return None

    def changed(self) -> list[RequestRecord]:
        return self._changes.take()

    def drain(self) -> list[NexusEvent]:
        events = list(self._events)
        self._events.clear()
        self._arrived.clear()
        return events

    def unseen(self) -> int:
        count, self._unseen = self._unseen, 0
        return count

    async def wait(self) -> None:
        while not self._arrived.is_set():  # whoever drains first leaves nothing to wake for
            await self._arrived.wait()

    def close(self) -> None:
        self.status = "closed"
        self._arrived.set()

    def be(self, part: PartOf) -> None:
        """Be one of several that a screen shows together."""
        if self._logs is not None:
            self._logs.replica = part.replica

    # --- the link ------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.close()

    async def connect(self) -> None:
        """Learn the state for the first time.

        Raises:
            RemoteError: there is no Nexus, none of about this version, or the key is not for it.
        """
        try:
            await self._look()
        except UnreadableError as error:
            raise RemoteError(
                f"incompatible Nexus version at {self.address} (this one is {__version__})"
            ) from error
        self.status = "live"

    async def run(self) -> None:
        """Take in what happens until cancelled; a link that breaks is made again, each time."""
        async with asyncio.TaskGroup() as tasks:
            reader = None if self._logs is None else tasks.create_task(self._logs.run(), name="log")
            await self._follow()
            if reader is not None:
                reader.cancel()

    async def _follow(self) -> None:
        pauses = chain(self._pauses, repeat(self._pauses[-1]))
        while self.status != "closed":
            try:
                if self.status == "stale":
                    await self._look()
                async with aclosing(self._messages()) as messages:
                    async for message in messages:
                        if self.status == "stale":
                            self.status, self.stale_since = "live", None
                            self._arrived.set()
                            pauses = chain(self._pauses, repeat(self._pauses[-1]))
                        await self._take(message)
                raise RemoteError("connection closed by the server")
            except (RemoteError, RefusedError, UnreadableError) as error:
                self._lose(str(error))
            await asyncio.sleep(next(pauses))

    def _lose(self, why: str) -> None:
        self._why_stale = why
        if self.status == "live":
            self.status, self.stale_since = "stale", self._heard_at
        self._arrived.set()

    async def _look(self) -> None:
        """Learn the whole state; with another run of Nexus everything begins anew."""
        try:
            state = read_state(await self._ask(HttpCall("GET", "/nexus/state")))
        except RefusedError as error:
            key = "; set the key in NEXUS_ADMIN_KEY or NEXUS_API_KEYS"
            raise RemoteError(
                error.message + (key if error.status in _KEY_PROBLEMS else "")
            ) from error
        if self._known is not None and self._known.run != state.run:
            self._begin_anew()
        self._known = state
        self._heard_at = self.now()
        self._is_uncounted, self._counted_at = False, time.monotonic()
        self._hear_of_logs()
        self._arrived.set()

    def _hear_of_logs(self) -> None:
        if self._logs is not None:
            self._logs.heard_of(self._state.last_log)

    def _begin_anew(self) -> None:
        self.epoch += 1
        self._last = self._unreadable = 0
        self._events.clear()
        self.requests.clear()
        self._changes = ChangedRequests(self.requests)

    async def _messages(self) -> AsyncGenerator[SseEvent]:
        """The event stream from the last event on; from the oldest that is there at first.

        Raises:
            RemoteError: it broke, or nothing came for too long.
        """
        parser = SseParser()
        last = {"Last-Event-ID": f"{self._state.run}-{self._last}"}
        try:
            call = HttpCall("GET", "/nexus/events", headers=last)
            async with self._http.opened(call, _SILENCE_SECONDS) as answer:
                async for chunk in answer.aiter_raw():
                    self._heard_at = self.now()
                    for message in parser.feed(chunk):
                        yield message
        except ValueError as error:
            raise RemoteError("invalid event stream") from error

    async def _take(self, message: SseEvent) -> None:
        """Take in one message of the stream.

        Raises:
            RemoteError, UnreadableError: it is not what a Nexus sends.
        """
        told = parse(message.data)
        match message.event:
            case "totals":
                self._unseen += self._state.take(told)
                self._hear_of_logs()
                await self._count_anew()
                self.has_begun.set()
                self._arrived.set()
            case "gap":
                self._miss(told)
            case _:
                self._take_event(event_number(message.id, self._state.run), told)

    def _take_event(self, number: int, told: object) -> None:
        if number <= self._last:
            return
        self._last = number
        try:
            event = read_event(told)
        except UnreadableError:
            self._unreadable += 1
            return
        if event is None:
            return
        if number > self._state.event:
            self._state.stats.apply(event)
            if isinstance(event, OperatorActed):
                self._state.actions.appendleft(event)
        self.requests.apply(event)
        self._events.append(event)
        self._arrived.set()

    def _miss(self, told: object) -> None:
        if not is_object(told) or (reason := told.get("reason")) == "restarted":
            raise RemoteError("server restarted")
        if event_number(told.get("until"), self._state.run) > self._state.event:
            self._is_uncounted = True
        if reason == "lapped" and self._last:
            # The end of requests that are shown may be among what is missing.
            last = self._last
            self._begin_anew()
            self._last = last

    async def _count_anew(self) -> None:
        """After missing events only the whole state has the distributions that they led to."""
        is_due = time.monotonic() - self._counted_at >= _RECOUNT_SECONDS
        if self._is_uncounted and is_due:
            await self._look()

    async def roll(self) -> Roll | None:
        try:
            call = HttpCall("GET", "/nexus/replicas")
            return read_roll(await self._http.ask(call, _ROLL_SECONDS))
        except UnknownCallError:
            return None
        except (RemoteError, UnreadableError) as error:
            raise LinkLostError(f"{self.address}: {error}") from error

    async def refresh_costs(self) -> None:
        if self.status != "live":
            return  # values stay as they were
        try:
            answer = await self._ask(HttpCall("GET", "/nexus/costs"))
            told, is_reading = answer.get("costs"), answer.get("is_reading") is True
            self.costs = None if told is None else read_json(CostReport, told)
        except (RemoteError, RefusedError, UnreadableError) as error:
            self.costs_problem = str(error)
        else:
            self.costs_problem = NO_LEDGER if told is None and not is_reading else None

    # --- asking --------------------------------------------------------------------------

    async def cost_lines(self, by: By, period: Period) -> CostLines | None:
        told = await self._ask_or_tell(lines_call(by, period))
        return self._read(lambda: told_lines(told, by))

    async def explain(self, question: Question) -> Explanation:
        call = HttpCall("POST", "/nexus/explain", question_as_json(question))
        answer = await self._ask_or_tell(call)
        return self._read(lambda: read_json(Explanation, answer))

    async def captured(self, request_id: str) -> CapturedExchange | None:
        try:
            told = await self._ask_or_tell(HttpCall("GET", one_request(request_id) + "/bodies"))
        except RefusedError as error:
            if error.status == 404:
                return None
            raise
        return self._read(lambda: read_exchange(told))

    async def command(self, command: Command) -> Outcome:
        refuse_if_read_only(self)
        told = await self._ask_or_tell(call_for(command))
        lines, data = told.get("lines"), told.get("data")
        return Outcome(
            message=str(told.get("message")),
            lines=tuple(map(str, lines)) if is_list(lines) else (),
            data=data if is_object(data) else {},
        )

    async def client_keys(self) -> KeyList:
        told = await self._ask_or_tell(LIST_CALL)
        return self._read(lambda: read_keys(told))

    async def change_key(self, change: KeyChange) -> KeyAnswer:
        refuse_if_read_only(self)
        return read_answer(await self._ask_or_tell(change_call(change)))

    def _read(self, read: Callable[[], _Read]) -> _Read:
        try:
            return read()
        except UnreadableError as error:
            text = f"incompatible answer from {self.address}: {error}"
            raise LinkLostError(text) from error

    async def _ask_or_tell(self, call: HttpCall) -> dict[str, Any]:
        """The answer to something that a person asked for.

        Raises:
            NexusError: there is none, for the screen.
        """
        if self.status != "live":
            raise LinkLostError(f"link to {self.address} lost; nothing was sent")
        try:
            return await self._ask(call)
        except UnknownCallError as error:
            text = f"not supported by {self.address}: its version may be too old; nothing was done"
            raise LinkLostError(text) from error
        except (RemoteError, UnreadableError) as error:
            text = f"{self.address}: {error}; the result shows once the link is back"
            raise LinkLostError(text) from error

    async def _ask(self, call: HttpCall) -> dict[str, Any]:
        probes = self._known.config.health_check.timeout_seconds if self._known else 0.0
        return await self._http.ask(call, _ANSWER_SECONDS + probes)
