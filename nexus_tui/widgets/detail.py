"""Request detail: headers beside a pane with route, answer, body or timing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, assert_never

from rich.cells import cell_len
from textual import events

from nexus_core.observe.captured import CapturedExchange
from nexus_core.observe.record import Headers, RequestRecord
from nexus_core.routing.explain import Explanation
from nexus_tui.sources.base import EventSource
from nexus_tui.text.costs import cost_words
from nexus_tui.text.escape import escaped
from nexus_tui.text.find import Span, find, marked
from nexus_tui.text.numbers import NOTHING, clock, duration, fit, wrap
from nexus_tui.text.requests.bodies import ANSWER_FORMS, REQUEST_FORMS, Form, body_text
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
_PAGE_WIDTH = 100  # columns of what is laid out for a pager
_BODIES = ("ANSWER", "REQUEST")  # panes that are long


class _Laid(NamedTuple):
    """The lines of a request at a width; the pane's come first where it has headers below."""

    pane: list[Line]
    below: list[Line]
    beside: list[Line]  # in the left column; empty where there is one column


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
        self.search = ""  # the text that is looked for in the pane
        self._forms: dict[Pane, Form] = {"ANSWER": ANSWER_FORMS[0], "REQUEST": REQUEST_FORMS[0]}
        self._laid_out: tuple[object, _Laid] | None = None  # what of, and its lines
        self._found: list[list[Span]] = []  # in the pane that was drawn last
        self._searched: tuple[object, str] | None = None  # in what, and what for
        self._at = 0  # of what was found
        self._goes_to = False  # the next drawing brings it in sight
        self._is_at_end = False

    def lines(self, width: int, height: int) -> Sequence[Line]:
        row = self.request
        if row is None:
            return [rule(width, "Request"), (), (("  No request selected.", "dim"),)]
        laid = self._laid(row, width)
        room = height - self.head_lines
        total = max(len(laid.pane) + len(laid.below), len(laid.beside))
        self._scroll(laid, row, room, total)
        shown = self.in_sight(range(total), room)
        self._is_at_end = self._top + room >= total
        hidden = total - self._top - room
        more = [f"{hidden} more lines below"] if hidden > 0 else []
        title = rule(width, f"Request {escaped(row.request_id)}", *self._search_parts(), *more)
        spans = self._spans_by_line()
        body = [self._line(laid, index, width, spans) for index in shown]
        return [title, _summary(row), self._pane_titles(width), *body]

    def _scroll(self, laid: _Laid, row: RequestRecord, room: int, total: int) -> None:
        """Stay at the end of an answer that runs; bring what was found in sight."""
        if self._is_at_end and row.is_live and self.pane == "ANSWER" and self._top:
            self._top = max(0, total - room)
        if self._searched is None or self._searched != (laid.pane, self.search):
            self._searched = (laid.pane, self.search)
            self._found = find(laid.pane, self.search)
            self._at = min(self._at, max(0, len(self._found) - 1))
        if self._goes_to and self._found:
            line = self._found[self._at][0].line
            if not self._top <= line < self._top + room:
                self._top = max(0, line - room // 3)
        self._goes_to = False

    def _search_parts(self) -> list[str]:
        if not self.search:
            return []
        found = f"{self._at + 1} of {len(self._found)}" if self._found else "not found"
        return [f"search: {escaped(self.search)}", found]

    def _spans_by_line(self) -> dict[int, list[tuple[Span, str]]]:
        spans: dict[int, list[tuple[Span, str]]] = {}
        for number, match in enumerate(self._found):
            for span in match:
                style = "alarm" if number == self._at else "flag"
                spans.setdefault(span.line, []).append((span, style))
        return spans

    def _line(
        self, laid: _Laid, index: int, width: int, spans: dict[int, list[tuple[Span, str]]]
    ) -> Line:
        pane: Line = ()
        if index < len(laid.pane):
            pane = marked(laid.pane[index], spans.get(index, ()))
        elif index < len(laid.pane) + len(laid.below):
            pane = laid.below[index - len(laid.pane)]
        if not laid.beside:
            return pane
        left = laid.beside[index] if index < len(laid.beside) else ()
        return (*_padded(left, int(width * _LEFT_SHARE)), ("│ ", "faint"), *pane)

    def _pane_titles(self, width: int) -> Line:
        cells: list[Cell] = [(" " * self._pane_from(width), "text")]
        for pane in PANES:
            cells.append((f" {pane} ", "tab" if pane == self.pane else "dim"))
            cells.append(("  ", "text"))
        if self.pane in self._forms:
            cells.append((f"as {self._forms[self.pane]}", "dim"))
        return tuple(cells)

    def _pane_from(self, width: int) -> int:
        """The column at which the pane begins."""
        is_alone = self.is_zoomed or width < _SIDE_BY_SIDE
        return 1 if is_alone else int(width * _LEFT_SHARE) + 2

    def _laid(self, row: RequestRecord, width: int) -> _Laid:
        """The body, laid out once for as long as what it shows is the same."""
        if self.pane not in _BODIES:
            self._laid_out = None
            return self._layout(row, width)
        is_capturing = self._source.is_capturing
        form = self._forms[self.pane]
        shown = (row, row.version, self.pane, form, self.is_zoomed, self.kept, is_capturing, width)
        if self._laid_out is None or self._laid_out[0] != shown:
            self._laid_out = (shown, self._layout(row, width))
        return self._laid_out[1]

    def _layout(self, row: RequestRecord, width: int) -> _Laid:
        if self.is_zoomed:
            return _Laid(self._pane(row, width - 2), [], [])
        if width < _SIDE_BY_SIDE:
            return _Laid(self._pane(row, width - 2), [(), *_headers(row, width - 2)], [])
        left = int(width * _LEFT_SHARE)
        return _Laid(self._pane(row, width - left - 3), [], _headers(row, left - 2))

    def _pane(self, row: RequestRecord, width: int) -> list[Line]:
        is_capturing = self._source.is_capturing
        match self.pane:
            case "ANSWER":
                form = self._forms[self.pane]
                return answer_pane(row, self.kept, is_capturing, width, form)
            case "REQUEST":
                form = self._forms[self.pane]
                return request_pane(row, self.kept, is_capturing, width, form)
            case "TIMING":
                return timing_pane(row, width)
            case "ROUTE":
                return route_pane(row, self.now, width)
            case _:
                assert_never(self.pane)

    # --- search and form -----------------------------------------------------------------

    def look_for(self, text: str) -> None:
        """Mark a text in the pane, and go to its first place; the empty text marks nothing."""
        self.search, self._at, self._goes_to = text.strip(), 0, True

    def go_to(self, steps: int) -> bool:
        """Go to the next place (1) of the text, or the one before (-1); False without any."""
        if not self._found:
            return False
        self._at = (self._at + steps) % len(self._found)
        self._goes_to = True
        return True

    def turn_form(self) -> Form | None:
        """Show the body of the pane in its next form; None where it has but one."""
        if self.pane not in self._forms:
            return None
        forms = ANSWER_FORMS if self.pane == "ANSWER" else REQUEST_FORMS
        form = forms[(forms.index(self._forms[self.pane]) + 1) % len(forms)]
        self._forms[self.pane] = form
        self._top = 0
        return form

    def pane_text(self) -> str:
        """What the pane shows, whole and as text: of a body more than is laid out."""
        if self.request is None:
            return ""
        if self.kept is not None and self.pane in self._forms:
            body = self.kept.answer if self.pane == "ANSWER" else self.kept.body
            return body_text(body, self._forms[self.pane])
        lines = self._pane(self.request, _PAGE_WIDTH)
        return "\n".join("".join(text for text, _ in line) for line in lines)

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

    @property
    def shows_answer(self) -> bool:
        """Whether the pane of the answer is shown."""
        return self.pane == "ANSWER"

    def turn(self, panes: int) -> None:
        """Show another pane, from its beginning."""
        self.pane = PANES[(PANES.index(self.pane) + panes) % len(PANES)]
        self._top = 0

    def start(self, row: RequestRecord | None) -> None:
        """Show a request from its beginning."""
        self.request = row
        self._top = 0
        self._is_at_end = False
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
        *_header_block("Response headers", row.response_headers, width, _no_answer_headers(row)),
        (),
        *_header_block("Request headers (credentials masked)", row.request_headers, width, "none"),
    ]


def _no_answer_headers(row: RequestRecord) -> str:
    if row.is_live:
        return "none yet"
    return "none: a replay answers no client" if row.replay_of else "none"


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
