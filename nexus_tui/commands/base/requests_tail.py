"""A tail of requests: the new ones and those that ended, since it was asked last."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import quote

from nexus_tui.commands.base.client import understood
from nexus_tui.commands.base.errors import NotFoundError
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

    def __init__(self, content: Any, matches: Callable[[RequestLine], bool]) -> None:
        """
        Args:
            content: the answer that was shown first.
        """
        self._matches = matches
        self._known: dict[str, bool] = {}  # ids in the order they were seen, and whether it runs
        self._columns = Columns()
        self._day = ""
        self._is_headed = False
        with understood():
            self._run = content.get("run")
            self._note([read_line(entry) for entry in reversed(content["requests"])])

    # --- asking --------------------------------------------------------------------------

    def read(self, asked: Asked) -> Any:
        """What is new and matches, oldest first; None where that is nothing."""
        found = [*self._of_lists(asked)]
        found = [*self._ended(asked, {line.id for _, line in found}), *found]
        news = [one for one in found if self._is_news(one[1])]
        self._note([line for _, line in sorted(news, key=lambda one: one[1].at)])
        shown = [one for one in news if self._matches(one[1])]
        shown.sort(key=lambda one: _moment(one[1]))
        return {"requests": [entry for entry, _ in shown]} if shown else None

    def _of_lists(self, asked: Asked) -> Iterator[_Listed]:
        """The newest, page by page, as far as one that is known; then known ones of that page."""
        before: dict[str, str] = {}
        for place in range(0, _MAX_NEW, _PAGE):
            content = asked.get("/nexus/requests", limit=_PAGE, **before)
            with understood():
                page = [(entry, read_line(entry)) for entry in content["requests"]]
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
                entry = asked.get(f"/nexus/requests/{quote(request_id, safe='')}")
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

    # --- showing -------------------------------------------------------------------------

    def lines(self, found: Sequence[RequestLine]) -> list[str]:
        """One line each; the date stands before the first one, and where a day begins."""
        from nexus_tui.text.numbers import clock, date

        rows = [cells(line, clock(_moment(line))) for line in found]
        texts = self._columns.lines([titles(), *rows])
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
