"""Log list: newest line at the bottom, by level and filter, notices among them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import merge

from nexus_core.observe.log_ring import LogLine, LogRing
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import clock, count, fit
from nexus_tui.view.filter.filtered import Filtered
from nexus_tui.view.filter.logs import LOGS
from nexus_tui.view.log_filter import LogFilter, parse_log_filter
from nexus_tui.view.log_levels import LEVELS
from nexus_tui.widgets.base.filter_lines import filter_problem, nothing_matches
from nexus_tui.widgets.base.lines import Line, rule
from nexus_tui.widgets.base.rowlist import RowList

_STYLES = {
    "notice": "title",
    "debug": "dim",
    "info": "text",
    "warning": "warn",
    "error": "bad",
    "critical": "bad",
}
_WIDE = 160  # columns from which there is room for the logger
_LOGGER = 24
_REPLICA = 10


class LogList(RowList):
    """Follows the newest line until the cursor is moved."""

    head_lines = 1

    def __init__(self, ring: LogRing, notices: LogRing) -> None:
        super().__init__(id="log-list")
        self._ring = ring
        self._notices = notices
        self._wanted = LogFilter()
        self._shown: list[LogLine] = []
        self._seen = (-1, -1, self._wanted, 0)  # what `_shown` was made of
        self.filtered = Filtered(
            kind="logs",
            example="words  level:warning  logger:ledger  id:79f1  last:5m  !probe",
            language=LOGS,
            current=lambda: self._wanted.typed,
            set=self.set_filter,
        )
        self._at: LogLine | None = None  # the line under the cursor
        self.following = True

    @property
    def selected(self) -> LogLine | None:
        """The line under the cursor."""
        return self._shown[self.cursor] if self.cursor < len(self._shown) else None

    def set_filter(self, text: str) -> None:
        """Show only lines that match; the empty text shows all."""
        self._wanted = replace(self._wanted, typed=parse_log_filter(text))

    def next_level(self) -> None:
        """Show only lines of the next level and above."""
        following = (LEVELS.index(self._wanted.level) + 1) % len(LEVELS)
        self._wanted = replace(self._wanted, level=LEVELS[following])

    def follow(self) -> None:
        """Stay at the newest line."""
        self.following = True

    def cursor_moved(self) -> None:
        self.following = self.cursor >= self.row_count() - 1
        self._at = self.selected

    def row_count(self) -> int:
        return len(self._shown)

    def lines(self, width: int, height: int) -> Sequence[Line]:
        self.locate()
        return super().lines(width, height)

    def locate(self) -> None:
        # What a filter's times leave out is looked at every second.
        second = int(time.time()) if self._wanted.typed.ages else 0
        state = (self._ring.last, self._notices.last, self._wanted, second)
        if state != self._seen:
            self._seen = state
            self._shown = list(filter(self._shows, self._all()))
        if self.following or self._at is None:
            self.cursor = max(0, len(self._shown) - 1)
        elif self.selected is not self._at and self._at in self._shown:
            self.cursor = self._shown.index(self._at)

    def _all(self) -> Iterator[LogLine]:
        """Each of the two in its own order, by the time."""
        rings = [[line for _, line in ring.after(0)] for ring in (self._ring, self._notices)]
        if any(line.replica is not None for line in rings[0]):
            rings[0].sort(key=lambda line: line.at)  # each replica's lines come in their own time
        return merge(*rings, key=lambda line: line.at)

    def _shows(self, line: LogLine) -> bool:
        return self._wanted.matches(line)

    def head(self, width: int) -> Sequence[Line]:
        states = ["following" if self.following else "not following, f for the newest"]
        if self._wanted.level != LEVELS[0]:
            states.append(f"{self._wanted.level} and above")
        if self._wanted.typed.text:
            states.append(f"filter: {escaped(self._wanted.typed.text)}")
        if len(self._shown) < (total := self._total):
            states.append(f"{count(len(self._shown))} of {count(total)}")
        problem = filter_problem(self._wanted.typed)
        return [rule(width, "Logs", *states, warning=problem)]

    @property
    def _total(self) -> int:
        return len(self._ring) + len(self._notices)

    def empty(self, width: int) -> Sequence[Line]:
        if not self._total:
            return [(), (("  No line.", "dim"),)]
        return nothing_matches(self._wanted.typed)

    def row(self, index: int, width: int) -> Line:
        line = self._shown[index]
        style = _STYLES.get(line.level, "text")
        logger = ""
        if width >= _WIDE:
            logger = f"  {fit(line.logger.removeprefix('nexus_core.'), _LOGGER)}"
        replica = "" if line.replica is None else f"{fit(line.replica, _REPLICA)} "
        return (
            (f" {clock(line.at)} ", "dim"),
            (f"{line.level:<8} ", style),
            (replica, "title"),
            (fit(line.text, width - 19 - len(logger) - len(replica)), style),
            (logger, "dim"),
        )
