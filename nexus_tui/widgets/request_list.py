"""Request list: newest on top, columns by priority, cursor kept on its request."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_core.observe.facts import SCREEN_LIST, Fact
from nexus_core.observe.record import RequestRecord
from nexus_core.types import RouteReason
from nexus_tui.text.costs import cost_cell
from nexus_tui.text.escape import escaped
from nexus_tui.text.facts import fact_text
from nexus_tui.text.numbers import NOTHING, clock, count, duration, short_count, short_id
from nexus_tui.view.filter.filtered import Filtered
from nexus_tui.view.filter.requests import REQUESTS
from nexus_tui.view.model import ViewModel
from nexus_tui.widgets.base.columns import Column, Layout, heading, layout
from nexus_tui.widgets.base.filter_lines import filter_problem, nothing_matches
from nexus_tui.widgets.base.lines import Cell, Line, rule
from nexus_tui.widgets.base.rowlist import RowList

# How much room the list gives to each fact; one that is not among them gets what its title takes.
_COLUMNS = {
    column.id: column
    for column in (
        Column("at", "time", 8, 3),
        Column("request_id", "id", 8, 10),
        Column("asked_model", "model", 18, 1, grows=40),
        Column("backend", "backend", 12, 4, grows=24),
        Column("zone", "z", 1, 9, after=2),
        Column("reason", "reason", 19, 11),
        Column("status", "st", 3, 0),
        Column("first_byte_ms", "first", 7, 7, right=True, after=1),
        Column("total_ms", "total", 8, 2, right=True, after=1),
        Column("tokens", "tokens", 9, 8, right=True, after=1),
        Column("cost_usd", "cost", 8, 5, right=True),
    )
}
_LETTER = Column("letter", " ", 1, 6, after=1)  # for the reason, where that does not fit
_LEAST_WIDTH, _LEAST_RANK = 8, 12
_FACTS = {fact.name: fact for _, fact in SCREEN_LIST}


def _column(fact: Fact) -> Column:
    width = max(len(fact.title), _LEAST_WIDTH)
    return _COLUMNS.get(fact.name) or Column(fact.name, fact.title, width, _LEAST_RANK)


_WIDE = tuple(map(_column, _FACTS.values()))
_NARROW = tuple(_LETTER if column.id == "reason" else column for column in _WIDE)
_WIDE_FROM = 110

# The letter, or the style of the whole reason.
_REASONS: dict[RouteReason, tuple[str, str]] = {
    RouteReason.CAPABILITY_MATCH: (" ", "text"),
    RouteReason.CAPACITY_OVERFLOW: ("C", "live"),
    RouteReason.PRIVACY_REQUIREMENT: ("P", "privacy"),
    RouteReason.BACKEND_FAILOVER: ("F", "warn"),
}


class RequestList(RowList):
    """Rows of the view model. While following, the cursor stays on the newest request."""

    def __init__(self, view: ViewModel, title: str, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.following = True
        self._view = view
        self._title = title
        self._seq = -1  # of the row under the cursor
        self._drawn: dict[tuple[int, int, int, bool], Line] = {}
        self.filtered = Filtered(
            kind="requests",
            example="words  status:5xx  key:laptop  slow:>2s  last:10m  cut or left  !zone:open",
            language=REQUESTS,
            current=lambda: view.filter,
            set=view.set_filter,
            names=lambda: view.known_names,
        )

    @property
    def selected(self) -> RequestRecord | None:
        """The row under the cursor, also when newer ones came that are not drawn yet."""
        self.locate()
        rows = self._view.view
        return rows[-1 - self.cursor] if self.cursor < len(rows) else None

    def select(self, seq: int) -> None:
        """Put the cursor on a request; it stays there."""
        self.following = False
        self._seq = seq

    def follow(self) -> None:
        """Go to the newest request and stay there."""
        self.following = True

    def row_count(self) -> int:
        return len(self._view.view)

    def cursor_moved(self) -> None:
        rows = self._view.view
        self._seq = rows[-1 - self.cursor].seq if self.cursor < len(rows) else -1
        self.following = self.cursor == 0

    def lines(self, width: int, height: int) -> Sequence[Line]:
        self.locate()
        return super().lines(width, height)

    def locate(self) -> None:
        """Move with the request that the cursor is on, and keep it on its line of the screen."""
        rows = self._view.view
        if self.following or not rows:
            self.cursor = self._top = 0
            return
        index = len(rows) - 1 - min(self._view.position(self._seq), len(rows) - 1)
        if index != self.cursor:
            self._top = max(0, self._top + index - self.cursor)
            self.cursor = index

    def head(self, width: int) -> Sequence[Line]:
        titles = ((heading(_layout(width)), "head"),)
        problem = filter_problem(self._view.filter)
        return [rule(width, self._title, *self._states(), warning=problem), titles]

    def _states(self) -> list[str]:
        view = self._view
        if view.paused:
            states = [f"paused, +{count(view.new_while_paused)} new, f to follow"]
        elif self.following:
            states = ["following"]
        else:
            states = ["not following, f for the newest"]
        if (view.sort, view.reversed) != ("time", False):
            states.append(f"by {view.sort}{', reversed' if view.reversed else ''}")
        if view.errors_only:
            states.append("errors only")
        if view.filter.text:
            states.append(f"filter: {escaped(view.filter.text)}")
        if view.filter.text or view.errors_only:
            states.append(f"{count(len(view.view))} of {count(view.kept)}")
        return states

    def empty(self, width: int) -> Sequence[Line]:
        if self._view.kept or self._view.filter.problem:
            return nothing_matches(self._view.filter)
        return [(), (("  No request yet.", "dim"),)]

    def row(self, index: int, width: int) -> Line:
        row = self._view.view[-1 - index]
        is_marked = row in self._view.marked
        key = (row.seq, row.version, width, is_marked)
        line = self._drawn.get(key)
        if line is None:
            if len(self._drawn) > 1000:
                self._drawn.clear()
            line = self._drawn[key] = request_line(row, _layout(width), is_marked=is_marked)
        return line


def _layout(width: int) -> Layout:
    return layout(_WIDE if width >= _WIDE_FROM else _NARROW, width)


def request_line(row: RequestRecord, columns: Layout, *, is_marked: bool = False) -> Line:
    """One request as cells."""
    cells: list[Cell] = [("◆", "key") if is_marked else (" ", "dim")]
    for column, width in columns:
        text, style = _cell(row, column.id)
        cells.append((column.cell(text, width), style))
    return tuple(cells)


def _cell(row: RequestRecord, column: str) -> Cell:
    match column:
        case "at":
            return clock(row.at), "dim"
        case "request_id":
            return short_id(escaped(row.request_id)), "dim"
        case "asked_model":
            return escaped(row.model) or NOTHING, "text"
        case "backend":
            return escaped(row.backend or NOTHING), "text"
        case "zone":
            return (row.zone.value[0].upper() if row.zone else NOTHING), "text"
        case "reason":
            return _reason(row)
        case "letter":
            return _REASONS[row.reason] if row.reason else (" ", "text")
        case "status":
            return status_cell(row)
        case "first_byte_ms":
            return duration(row.first_byte_ms), "text"
        case "total_ms":
            return _total(row)
        case "tokens":
            return _tokens(row), "text"
        case "cost_usd":
            return cost_cell(row)
        case _:
            fact = _FACTS[column]
            return fact_text(fact, fact.of(row)), "text"


def _reason(row: RequestRecord) -> Cell:
    if row.reason is not None:
        return row.reason.value, _REASONS[row.reason][1]
    if row.refused is not None:
        return escaped(row.refused.code), "warn"
    return NOTHING, "text"


def status_cell(row: RequestRecord) -> Cell:
    """The HTTP status, `left` for a client that went away, `…` while there is none."""
    if row.status is None:
        return "…", "live"
    if row.has_error:
        return str(row.status), "bad" if row.status >= 500 or row.status < 400 else "warn"
    return str(row.status), "live" if row.is_live else "dim" if row.client_left else "good"


def _total(row: RequestRecord) -> Cell:
    if row.total_ms is not None:
        return duration(row.total_ms), "text"
    if row.is_live and row.first_byte_ms is not None:
        return "stream…", "live"
    return ("…", "live") if row.is_live else (NOTHING, "text")


def _tokens(row: RequestRecord) -> str:
    if row.usage is None:
        return NOTHING
    prompt, completion = row.usage.prompt_tokens, row.usage.completion_tokens
    sign = "≈" if row.is_estimated else ""
    return f"{sign}{short_count(prompt)}+{short_count(completion)}"
