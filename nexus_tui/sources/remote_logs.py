"""Log lines of an attached Nexus, copied into the log ring of the screen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlencode

from nexus_core.observe.event_json import UnreadableError, read_json
from nexus_core.observe.log_ring import CAPACITY, LogLine, LogRing, shortened
from nexus_core.types import is_list, is_object
from nexus_tui.sources.remote_calls import HttpCall
from nexus_tui.sources.remote_http import RefusedError, RemoteError
from nexus_tui.text.escape import escaped

log = logging.getLogger(__name__)

PAUSE_SECONDS = 1.0  # between two answers, however fast the log grows
_MAX_NAME = 200  # characters of a level or logger
_MAX_ID = 64


class RemoteLogs:
    """Reader of the log lines of an attached Nexus."""

    def __init__(
        self,
        ring: LogRing,
        ask: Callable[[HttpCall], Awaitable[dict[str, Any]]],
        replica: str | None = None,
    ) -> None:
        """`ask` gives the answer to a call; it raises as RemoteHttp.ask does.

        `replica`: which one of a fleet it is.
        """
        self.replica = replica
        self._ring = ring
        self._ask = ask
        self._last: str | None = None  # the id of the newest line that was taken in
        self._news = asyncio.Event()
        self._problem = ""

    def heard_of(self, newest: str | None) -> None:
        """The id of the other side's newest line; None where it tells none."""
        if newest is None:
            self._report("not available; its version may be too old")
        elif newest != self._last:
            self._news.set()

    async def run(self) -> None:
        """Take in what is new until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            try:
                self._take(await self._ask(self._call()))
            except RemoteError:
                pass  # the events break off, too; the first news after it is back asks again
            except (RefusedError, UnreadableError) as error:
                self._report(str(error))
            await asyncio.sleep(PAUSE_SECONDS)

    def _call(self) -> HttpCall:
        after = {} if self._last is None else {"after": self._last}
        return HttpCall("GET", f"/nexus/logs?{urlencode({'limit': CAPACITY, **after})}")

    def _take(self, told: dict[str, Any]) -> None:
        lines, last, skipped = told.get("lines"), told.get("last"), told.get("skipped")
        if not is_list(lines) or not isinstance(last, str) or not isinstance(skipped, int):
            raise UnreadableError("the lines of a log are missing")
        if skipped > 0:
            log.info("%d log lines skipped: too many at once", skipped)
        unreadable = 0
        for line in lines[-CAPACITY:]:
            try:
                self._ring.add(_read_line(line, self.replica))
            except UnreadableError:
                unreadable += 1
        if unreadable:
            log.info("%d unreadable log lines skipped", unreadable)
        self._last = last[:_MAX_ID]

    def _report(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("log of %s: %s", self.replica or "the attached Nexus", problem)
        self._problem = problem


def _read_line(told: object, replica: str | None = None) -> LogLine:
    """A line that is safe to draw, whatever the other side says."""
    if not is_object(told):
        raise UnreadableError("a line of a log must be an object")
    line = read_json(LogLine, {key: told.get(key) for key in ("at", "level", "logger", "text")})
    request = told.get("request")
    is_id = isinstance(request, str) and request.isalnum() and len(request) <= _MAX_ID
    return LogLine(
        at=line.at,
        level=escaped(line.level[:_MAX_NAME]),
        logger=escaped(line.logger[:_MAX_NAME]),
        text=shortened(escaped(shortened(line.text))),
        request_id=request if is_id else None,
        replica=None if replica is None else escaped(replica),
    )
