"""Request detail: headers beside a pane with route, answer, body or timing."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import assert_never

from rich.cells import cell_len
from textual import events

from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.record import Headers, RequestRecord
from nexus_core.routing.explain import Explanation
from nexus_tui.sources.base import EventSource
from nexus_tui.text.costs import cost_words
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import NOTHING, clock, duration, fit, wrap
from nexus_tui.widgets.base.lines import Cell, Line, rule
from nexus_tui.widgets.base.scrolled import ScrolledLines
from nexus_tui.widgets.cells.requests import status_cell
from nexus_tui.widgets.panes import (
    PANES,
    Pane,
    answer_pane,
    request_pane,
    route_pane,
    timing_pane,
)

_SIDE_BY_SIDE = 120  # columns
_LEFT_SHARE = 0.44
_BODIES = ("ANSWER", "REQUEST")  # panes that are long


class RequestDetail(ScrolledLines):
    """Scrolls by lines; side by side where there is room, else one below the other."""

    head_lines = 3

    def __init__(self, source: EventSource) -> None:
        super().__init__(id="detail")
        self._source = source
        self.request: RequestRecord | None = None  # that is shown, wherever the list's cursor goes
        self.pane: Pane = PANES[0]
        self.is_zoomed = False  # the pane has the whole width
        self.kept: CapturedExchange | None = None
        self.now: Explanation | None = None  # where it would go now
        self._laid_out: tuple[object, list[Line]] | None = None  # what of, and its lines

    def lines(self, width: int, height: int) -> Sequence[Line]:
        row = self.request
        if row is None:
            return [rule(width, "Request"), (), (("  No request selected.", "dim"),)]
        body = self._kept_body(row, width)
        room = height - self.head_lines
        shown = self.in_sight(body, room)
        hidden = len(body) - self._top - room
        more = [f"{hidden} more lines below"] if hidden > 0 else []
        title = rule(width, f"Request {escaped(row.request_id)}", *more)
        return [title, _summary(row), self._pane_titles(width), *shown]

    def _pane_titles(self, width: int) -> Line:
        cells: list[Cell] = [(" " * self._pane_from(width), "text")]
        for pane in PANES:
            cells.append((f" {pane} ", "tab" if pane == self.pane else "dim"))
            cells.append(("  ", "text"))
        return tuple(cells)

    def _pane_from(self, width: int) -> int:
        """The column at which the pane begins."""
        is_alone = self.is_zoomed or width < _SIDE_BY_SIDE
        return 1 if is_alone else int(width * _LEFT_SHARE) + 2

    def _kept_body(self, row: RequestRecord, width: int) -> list[Line]:
        """The body, laid out once for as long as what it shows is the same."""
        if self.pane not in _BODIES:
            self._laid_out = None
            return self._body(row, width)
        is_capturing = self._source.is_capturing
        shown = (row, row.version, self.pane, self.is_zoomed, self.kept, is_capturing, width)
        if self._laid_out is None or self._laid_out[0] != shown:
            self._laid_out = (shown, self._body(row, width))
        return self._laid_out[1]

    def _body(self, row: RequestRecord, width: int) -> list[Line]:
        if self.is_zoomed:
            return self._pane(row, width - 2)
        if width < _SIDE_BY_SIDE:
            return [*self._pane(row, width - 2), (), *_headers(row, width - 2)]
        left = int(width * _LEFT_SHARE)
        pane = self._pane(row, width - left - 3)
        pairs = zip_longest(_headers(row, left - 2), pane, fillvalue=())
        return [(*_padded(first, left), ("│ ", "faint"), *second) for first, second in pairs]

    def _pane(self, row: RequestRecord, width: int) -> list[Line]:
        is_capturing = self._source.is_capturing
        match self.pane:
            case "ANSWER":
                return answer_pane(row, self.kept, is_capturing, width)
            case "REQUEST":
                return request_pane(row, self.kept, is_capturing, width)
            case "TIMING":
                return timing_pane(row, width)
            case "ROUTE":
                return route_pane(row, self.now, width)
            case _:
                assert_never(self.pane)

    def on_click(self, event: events.Click) -> None:
        """Choose a pane by its title."""
        right = self._pane_from(self.size.width)
        if event.y != 2:
            return
        for pane in PANES:
            right += len(pane) + 4
            if event.x < right:
                self.turn(PANES.index(pane) - PANES.index(self.pane))
                self.redraw()
                return

    def turn(self, panes: int) -> None:
        """Show another pane, from its beginning."""
        self.pane = PANES[(PANES.index(self.pane) + panes) % len(PANES)]
        self._top = 0

    def start(self, row: RequestRecord | None) -> None:
        """Show a request from its beginning."""
        self.request = row
        self._top = 0
        self.kept = self.now = self._laid_out = None

    def know(
        self, row: RequestRecord, kept: CapturedExchange | None, now: Explanation | None
    ) -> None:
        """Take in what had to be asked for; nothing if another request is shown by now."""
        if row is self.request:
            self.kept, self.now = kept, now


def _summary(row: RequestRecord) -> Line:
    status, style = status_cell(row)
    path = escaped(row.path) if row.path is not None else row.endpoint
    return (
        (f" {escaped(row.model) or NOTHING}", "bright"),
        ("   ", "text"),
        (status, style),
        (f"   {duration(row.total_ms) if not row.is_live else 'running'}", "text"),
        (f"   {words}" if (words := cost_words(row)) else "", "text"),
        (f"   {clock(row.at)}   {path}", "dim"),
    )


def _padded(line: Line, width: int) -> Line:
    return (*line, (" " * max(0, width - sum(cell_len(text) for text, _ in line)), "text"))


# --- headers -----------------------------------------------------------------------------


def _headers(row: RequestRecord, width: int) -> list[Line]:
    return [
        *_header_block("Response headers", row.response_headers, width, "none yet"),
        (),
        *_header_block("Request headers (credentials masked)", row.request_headers, width, "none"),
    ]


def _header_block(title: str, headers: Headers, width: int, none: str) -> list[Line]:
    lines: list[Line] = [((f" {title}", "head"),)]
    if not headers:
        return [*lines, ((f"  {none}", "dim"),)]
    names = [escaped(name) for name, _ in headers]
    column = min(max(map(cell_len, names)), width // 2)
    for name, (_, value) in zip(names, headers, strict=True):
        is_ours = name.lower().startswith("x-nexus-")
        parts = wrap(escaped(value), width - column - 4)
        for index, part in enumerate(parts):
            label = fit(name if index == 0 else "", column)
            lines.append(((f"  {label}  ", "title" if is_ours else "dim"), (part, "text")))
    return lines
