"""Columns of the request lists, and the cells of a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nexus_core.observe.facts import SCREEN_LIST, Fact
from nexus_core.observe.record import RequestRecord
from nexus_core.types import RouteReason
from nexus_tui.text.costs import cost_cell
from nexus_tui.text.escape import escaped
from nexus_tui.text.facts import fact_text
from nexus_tui.text.numbers import NOTHING, clock, duration, short_count, short_id, short_session
from nexus_tui.text.outcome import outcome_word
from nexus_tui.widgets.base.columns import Column, Layout, layout
from nexus_tui.widgets.base.lines import Cell, Line

LEAD = 2  # cells before the first column: of the cursor, and of the mark for the diff

# How much room the list gives to each fact; one that is not among them gets what its title takes.
# Those without a rank below 12 come where the others have all they need.
_COLUMNS = {
    column.id: column
    for column in (
        Column("time", "time", 8, 3),
        Column("id", "id", 8, 10),
        Column("replica", "replica", 8, 5, grows=12),
        Column("key", "key", 8, 12, grows=12),
        Column("api", "api", 9, 17),
        Column("agent", "agent", 12, 14, grows=16),
        Column("session", "session", 8, 15),
        Column("model", "model", 18, 1, grows=40),
        Column("backend", "backend", 11, 4, grows=24),
        Column("zone", "zone", 1, 9, after=1, short="z"),
        Column("reason", "reason", 19, 11),
        Column("tries", "tries", 5, 16, right=True),
        Column("status", "status", 4, 0, grows=8, short="st"),
        Column("stream", "stream", 6, 18),
        Column("first", "first", 7, 7, right=True, after=1),
        Column("total", "total", 8, 2, right=True, after=1),
        Column("tokens", "tokens", 9, 8, right=True, after=1),
        Column("cost", "cost", 8, 5, right=True),
        Column("path", "path", 24, 19),
        Column("error", "error", 18, 13, grows=80),
    )
}
_LETTER = Column("letter", " ", 1, 6, after=1)  # for the reason, where that does not fit
_LEAST_WIDTH, _LEAST_RANK = 8, 20
_FACTS = dict(SCREEN_LIST)
_WIDE_FROM = 110
_STATUS_AND_WORD = 8  # cells

# The letter, or the style of the whole reason.
_REASONS: dict[RouteReason, tuple[str, str]] = {
    RouteReason.CAPABILITY_MATCH: (" ", "text"),
    RouteReason.CAPACITY_OVERFLOW: ("C", "live"),
    RouteReason.PRIVACY_REQUIREMENT: ("P", "privacy"),
    RouteReason.BACKEND_FAILOVER: ("F", "warn"),
}


def _column(name: str, fact: Fact) -> Column:
    width = max(len(fact.title), _LEAST_WIDTH)
    return _COLUMNS.get(name) or Column(name, fact.title, width, _LEAST_RANK)


class RequestColumns:
    """Which columns the lists have: a person's own, or all that there is room for."""

    def __init__(self, own: Sequence[str] | None = None, *, is_fleet: bool = False) -> None:
        """
        Args:
            own: names of SCREEN_LIST, in the order wanted; the last ones go where it is narrow.
            is_fleet: the requests are those of several replicas, and each is named.
        """
        names = own or tuple([name for name in _FACTS if is_fleet or name != "replica"])
        self._drops_last = own is not None
        self._wide = tuple([_column(name, _FACTS[name]) for name in names if name in _FACTS])
        self._layouts: dict[int, Layout] = {}  # to look one up by all columns takes longer
        self._narrow = tuple([_LETTER if one.id == "reason" else one for one in self._wide])

    def layout(self, width: int) -> Layout:
        """The columns of a list of this width."""
        known = self._layouts.get(width)
        if known is None:
            columns = self._wide if width >= _WIDE_FROM else self._narrow
            known = layout(columns, width, lead=LEAD, drops_last=self._drops_last)
            self._layouts[width] = known
        return known


def request_line(row: RequestRecord, columns: Layout, *, is_marked: bool = False) -> Line:
    """One request as cells; the first cell is the cursor's."""
    cells: list[Cell] = [(" ◆", "key") if is_marked else ("  ", "dim")]
    telling = _column_that_tells(row, columns) if row.has_error else ""
    for column, width in columns:
        name = column.id
        if name == telling:
            text, style = _error(row, with_words=name == "error")
        elif name == "status":
            text, style = status_cell(row, width)
        elif (make := _CELLS.get(name)) is not None:
            text, style = make(row)
        else:
            fact = _FACTS[name]
            text, style = fact_text(fact, fact.of(row)), "text"
        cells.append((column.cell(text, width), style))
    return tuple(cells)


# What went wrong ----------------------------------------------------------------------------------


def _column_that_tells(row: RequestRecord, columns: Layout) -> str:
    """The column that says what went wrong; empty where the status has to do."""
    shown = [column.id for column, _ in columns]
    if "error" in shown:
        return "error"
    if "reason" in shown:
        return "reason"
    return "backend" if row.backend is None else ""


def _error(row: RequestRecord, *, with_words: bool) -> Cell:
    code = escaped(row.error_code or "failed")
    style = "warn" if 400 <= (row.status or 0) < 500 else "bad"
    if not with_words or not row.error or row.error == row.error_code:
        return code, style
    return f"{code}: {escaped(row.error)}", style


def status_cell(row: RequestRecord, width: int = _STATUS_AND_WORD) -> Cell:
    """The HTTP status, and a word where it alone says too little; `…` while there is none.

    `200 cut` of an answer that broke off, `200 left` of a client that went away, `200 live` while
    it runs. Where there is no room for both, the word.
    """
    if row.status is None:
        return "…", "live"
    word, style = _outcome(row, row.status)
    if word and width < _STATUS_AND_WORD:
        return word, style
    return f"{row.status} {word}".rstrip(), style


def _outcome(row: RequestRecord, status: int) -> Cell:
    word = outcome_word(row)
    if row.client_left:
        return word, "dim"
    if row.has_error:
        return word, "warn" if 400 <= status < 500 else "bad"
    return word, "live" if row.is_live else "good"


# The other cells ----------------------------------------------------------------------------------


def _reason(row: RequestRecord) -> Cell:
    return (row.reason.value, _REASONS[row.reason][1]) if row.reason else (NOTHING, "text")


def _total(row: RequestRecord) -> Cell:
    if row.total_ms is not None:
        return duration(row.total_ms), "text"
    if not row.is_live:
        return NOTHING, "text"
    return ("waiting…" if row.first_byte_ms is None else "stream…"), "live"


def _tokens(row: RequestRecord) -> Cell:
    if row.usage is None:
        return NOTHING, "text"
    prompt, completion = row.usage.prompt_tokens, row.usage.completion_tokens
    sign = "≈" if row.is_estimated else ""
    return f"{sign}{short_count(prompt)}+{short_count(completion)}", "text"


def _short(session: str | None) -> str:
    return NOTHING if session is None else short_session(escaped(session))


# Of the columns that are not the plain text of their fact.
_CELLS: dict[str, Callable[[RequestRecord], Cell]] = {
    "time": lambda row: (clock(row.at), "dim"),
    "id": lambda row: (short_id(escaped(row.request_id)), "dim"),
    "model": lambda row: (escaped(row.model) or NOTHING, "text"),
    "backend": lambda row: (escaped(row.backend or NOTHING), "text"),
    "zone": lambda row: ((row.zone.value[0].upper() if row.zone else NOTHING), "text"),
    "reason": _reason,
    "letter": lambda row: _REASONS[row.reason] if row.reason else (" ", "text"),
    "first": lambda row: (duration(row.first_byte_ms), "text"),
    "total": _total,
    "tokens": _tokens,
    "session": lambda row: (_short(row.origin.session), "text"),
    "cost": cost_cell,
    "path": lambda row: (escaped(row.endpoint or row.path or NOTHING), "text"),
}
