"""A tail of requests: the new ones and those that ended, since it was asked last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from nexus_tui.commands.base.client import understood
from nexus_tui.commands.base.errors import NotFoundError
from nexus_tui.commands.base.replicas import Replicas, named
from nexus_tui.commands.base.request_line import RequestLine, cells, read_line, titles
from nexus_tui.commands.base.text_view import Asked, Columns
from nexus_tui.process.streams import say

_PAGE = 100  # requests asked for at once
_MAX_NEW = 1000  # at one look; what came before those is left out
_MAX_ASKED = 50  # running requests older than that, asked for one by one
_REMEMBERED = 4 * _MAX_NEW  # ids

_Listed = tuple[Any, RequestLine]  # as it was told, and as it was read


class Tail:
    """What comes to the list of one Nexus, also after its restart."""

    def __init__(
        self, content: Any, matches: Callable[[RequestLine], bool], replica: str = ""
    ) -> None:
        """
        Args:
            content: the answer that was shown first.
            replica: which one of a fleet it is.
        """
        self._matches = matches
        self._replica = replica
        self._known: dict[str, bool] = {}  # ids in the order they were seen, and whether it runs
        with understood():
            self._run = content.get("run")
            self._note([read_line(entry) for entry in reversed(content["requests"])])

    # --- asking --------------------------------------------------------------------------

    def read(self, asked: Asked) -> list[_Listed]:
        """What is new and matches, oldest first."""
        found = [*self._of_lists(asked)]
        found = [*self._ended(asked, {line.id for _, line in found}), *found]
        news = [one for one in found if self._is_news(one[1])]
        self._note([line for _, line in sorted(news, key=lambda one: one[1].at)])
        shown = [one for one in news if self._matches(one[1])]
        shown.sort(key=lambda one: _moment(one[1]))
        return shown

    def _of_lists(self, asked: Asked) -> Iterator[_Listed]:
        """The newest, page by page, as far as one that is known; then known ones of that page."""
        before: dict[str, str] = {}
        for place in range(0, _MAX_NEW, _PAGE):
            content = asked.get("/nexus/requests", limit=_PAGE, **before)
            with understood():
                entries = named(content["requests"], self._replica)
                page = [(entry, read_line(entry)) for entry in entries]
                if not place:
                    self._look_for_restart(content.get("run"), asked)
            first = next((n for n, (_, line) in enumerate(page) if line.id in self._known), None)
            yield from page[:first]
            if first is not None:  # those that came before it were there before the tail
                yield from [one for one in page[first:] if one[1].id in self._known]
                return
            if len(page) < _PAGE:
                return
            before = {"before": page[-1][1].id}
        if self._known:
            say(f"{asked.options.command}: more than {_MAX_NEW} at once; the oldest are left out")

    def _look_for_restart(self, run: object, asked: Asked) -> None:
        if run != self._run:
            running = sum(self._known.values())
            lost = f"; what became of {running} that ran is not known" if running else ""
            say(f"{asked.options.command}: the Nexus restarted{lost}")
            self._known.clear()
        self._run = run

    def _ended(self, asked: Asked, listed: set[str]) -> Iterator[_Listed]:
        """Requests that ran when they were seen, and are too old to be listed."""
        running = [one for one, is_running in self._known.items() if is_running]
        for request_id in [one for one in running if one not in listed][:_MAX_ASKED]:
            try:
                told = asked.get(f"/nexus/requests/{quote(request_id, safe='')}")
                entry = named([told], self._replica)[0]
            except NotFoundError:
                self._known[request_id] = False
                continue
            with understood():
                yield entry, read_line(entry)

    def _is_news(self, line: RequestLine) -> bool:
        was_running = self._known.get(line.id)
        return was_running is None or (was_running and not line.is_live)

    def _note(self, lines: Sequence[RequestLine]) -> None:
        for line in lines:
            self._known[line.id] = line.is_live
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]


class FleetTail:
    """What comes to the lists of all replicas; without a fleet, to the one list."""

    def __init__(
        self,
        fleet: Replicas,
        replicas: Mapping[str, Asked],
        told: Mapping[str, Any],
        matches: Callable[[RequestLine], bool],
    ) -> None:
        """
        Args:
            told: the answers that were shown first, by replica.
        """
        self._fleet = fleet
        self._replicas = replicas
        self._matches = matches
        self._tails = {name: Tail(content, matches, name) for name, content in told.items()}
        self._columns = Columns()
        self._day = ""
        self._is_headed = False

    def read(self) -> Any:
        """What is new and matches, oldest first; None where that is nothing."""
        if self._fleet.is_fleet:
            self._replicas = self._fleet.find()
        told = [one for _, each in self._fleet.ask(self._replicas, self._read) for one in each]
        if self._fleet.is_fleet:
            told.sort(key=lambda one: _moment(one[1]))
        return {"requests": [entry for entry, _ in told]} if told else None

    def _read(self, name: str, asked: Asked) -> list[_Listed]:
        tail = self._tails.get(name)
        if tail is None:  # it joined: all that it has is new
            content: dict[str, Any] = {**asked.get("/nexus/requests", limit=1), "requests": []}
            tail = self._tails[name] = Tail(content, self._matches, name)
        return tail.read(asked)

    # --- showing -------------------------------------------------------------------------

    def lines(self, found: Sequence[RequestLine]) -> list[str]:
        """One line each; the date stands before the first one, and where a day begins."""
        from nexus_tui.text.numbers import clock, date

        is_fleet = self._fleet.is_fleet
        rows = [cells(line, clock(_moment(line)), is_fleet=is_fleet) for line in found]
        texts = self._columns.lines([titles(is_fleet=is_fleet), *rows])
        shown = [] if self._is_headed else texts[:1]
        self._is_headed = True
        for line, text in zip(found, texts[1:], strict=True):
            if (day := date(_moment(line))) > self._day:
                shown.append(f" {day}")
                self._day = day
            shown.append(text)
        return shown


def _moment(line: RequestLine) -> float:
    """When what a line tells happened: its end, or that it came."""
    return line.at if line.is_live else line.at + (line.total_ms or 0.0) / 1000
