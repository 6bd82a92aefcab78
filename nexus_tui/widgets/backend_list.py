"""Backend list: the table of the Backends tab and the panel of the dashboard."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import events
from textual.message import Message

from nexus_core.config.schema import UnusableBackend
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.observe.stats import BackendStats
from nexus_core.types import BackendState, Cost, HealthStatus
from nexus_tui.sources.base import EventSource
from nexus_tui.text.costs import sum_sign
from nexus_tui.text.escape import visible
from nexus_tui.text.numbers import NOTHING, clock, dollars, duration, fit, percent
from nexus_tui.view.backend_status import is_usable, models_cooling, state_of
from nexus_tui.view.model import ViewModel
from nexus_tui.widgets.base.bars import gauge
from nexus_tui.widgets.base.columns import Column, Layout, heading, layout
from nexus_tui.widgets.base.lines import Cell, Line, LineWidget, rule
from nexus_tui.widgets.base.rowlist import RowList

_PANEL = (
    Column("state", "state", 9, 0),
    Column("name", "name", 14, 1, grows=18),
    Column("type", "type", 9, 7),
    Column("zone", "zone", 4, 4),
    Column("tier", "tier", 4, 8),
    Column("load", "load", 10, 3),
    Column("p50", "p50", 7, 5, right=True),
    Column("err", "err", 6, 9, right=True),
    Column("cost", "cost", 10, 6, right=True),
    Column("note", "note", 20, 2, grows=60),
)
_TABLE = (
    Column("state", "state", 9, 0),
    Column("name", "name", 14, 1, grows=22),
    Column("type", "type", 9, 7),
    Column("zone", "zone", 4, 4),
    Column("tier", "tier", 4, 8),
    Column("priority", "prio", 4, 10, right=True),
    Column("load", "load", 10, 3),
    Column("models", "models", 6, 6, right=True),
    Column("probe", "last probe", 18, 9),
    Column("fails", "fails", 5, 11, right=True),
    Column("since", "since", 5, 12),
    Column("note", "note", 28, 2, grows=60),
)


_STATES: dict[BackendState, Cell] = {
    BackendState.OFF: ("○ off", "dim"),
    BackendState.DRAINING: ("◐ drain", "warn"),
    BackendState.UNKNOWN: ("◇ unknown", "dim"),
    BackendState.HEALTHY: ("● healthy", "good"),
    BackendState.FULL: ("● full", "warn"),
    BackendState.COOLDOWN: ("◐ cooling", "warn"),  # nine cells
    BackendState.HALF_OPEN: ("◐ testing", "warn"),
    BackendState.AUTH: ("✗ auth", "bad"),
    BackendState.DOWN: ("✗ down", "bad"),
}


def state_cell(backend: BackendSnapshot) -> Cell:
    """Status of a backend: glyph and word."""
    return _STATES[state_of(backend)]


def note_cell(backend: BackendSnapshot, pending: dict[str, bool], now: float) -> Cell:
    """Note on a backend; empty when all is well."""
    if backend.name in pending:
        return f"switching {'on' if pending[backend.name] else 'off'}…", "live"
    if not backend.is_on:
        return _off(backend, now)
    if backend.health is HealthStatus.UNHEALTHY:
        return visible(backend.detail or "does not answer"), "bad"
    if note := _cooldown_note(backend):
        return visible(note), "warn"
    # It is well, and lists no models: of importance where none are configured.
    return visible(backend.detail or ""), "dim" if backend.models else "warn"


def _cooldown_note(backend: BackendSnapshot) -> str:
    """Why requests keep away from it, or from some of its models; empty when they do not."""
    whole, at = backend.cooldown, time.monotonic()
    if whole is not None and (backend.has_cooldown(at) or whole.is_circuit_open):
        return whole.note(at)
    models = models_cooling(backend)
    if not models:
        return ""
    first, note = next(iter(models.items()))
    more = f" +{len(models) - 1}" if len(models) > 1 else ""
    return f"{first}{more}: cooldown, {note}"


def _off(backend: BackendSnapshot, now: float) -> Cell:
    if backend.in_flight:
        waited = f", {now - backend.toggled_at:.0f} s" if backend.toggled_at is not None else ""
        return f"{backend.in_flight} left{waited}, then off", "warn"
    if not backend.zone_enabled:
        return "off (zone)", "dim"
    if backend.toggled_at is None:
        return "off in the configuration", "dim"
    return f"by you at {clock(backend.toggled_at, seconds=False)}", "dim"


def _load(backend: BackendSnapshot) -> tuple[Cell, ...]:
    """A bar of four cells where there is a limit, and the numbers."""
    limit = backend.max_concurrent
    if limit is None:
        text = f"{backend.in_flight} active" if backend.in_flight else "idle"
        return ((fit(text, 10), "text" if backend.in_flight else "dim"),)
    filled, empty = gauge(backend.in_flight, limit, 4)
    numbers = f" {backend.in_flight}/{limit}"
    return (
        (filled, "warn" if backend.is_full else "bar"),
        (empty, "faint"),
        (fit(numbers, 6), "text"),
    )


@dataclass(frozen=True, slots=True)
class BackendView:
    """What a row needs beside its backend."""

    source: EventSource
    view: ViewModel
    now: Callable[[], float]

    def stats(self, name: str) -> BackendStats:
        """Of one backend; zeros for one that was never used. Adds nothing to the statistics."""
        return self.source.stats.backends.get(name) or BackendStats()

    def note(self, backend: BackendSnapshot) -> Cell:
        return note_cell(backend, self.view.pending, self.now())


def _cells(backend: BackendSnapshot, look: BackendView, columns: Layout) -> Line:
    cells: list[Cell] = [(" ", "text")]
    for column, width in columns:
        if column.id == "load":
            cells += [*_load(backend), (" " * column.after, "text")]
            continue
        text, style = _cell(backend, look, column.id)
        cells.append((column.cell(text, width), style))
    return tuple(cells)


def _cell(backend: BackendSnapshot, look: BackendView, column: str) -> Cell:
    stats = look.stats(backend.name)
    match column:
        case "state":
            return state_cell(backend)
        case "note":
            return look.note(backend)
        case "name":
            return visible(backend.name), "text" if is_usable(backend) else "dim"
        case "type":
            return backend.type.value, "dim"
        case "zone":
            return backend.zone.value[0].upper(), "text"
        case "tier":
            return (NOTHING if backend.tier is None else str(backend.tier)), "text"
        case "priority":
            return str(backend.priority), "text"
        case "p50":
            return duration(stats.first_byte.percentile(0.5)), "text"
        case "err":
            tried = stats.answers + stats.failures
            return percent(stats.failures, tried), "warn" if stats.failures else "text"
        case "cost":
            return spent_cell(stats)
        case "models":
            return str(len(backend.models)), "text"
        case "probe":
            return _probe(backend), "dim"
        case "fails":
            fails = backend.consecutive_failures
            return str(fails), "warn" if fails else "dim"
        case "since":
            return clock(backend.health_since, seconds=False), "dim"
        case _:
            raise AssertionError(column)


def spent_cell(stats: BackendStats) -> Cell:
    """Spending of a backend since start-up; `≥` with unpriced requests."""
    if not stats.cost_nano_usd:
        return ("unpriced", "warn") if stats.unpriced else (NOTHING, "dim")
    spent = dollars(Cost(stats.cost_nano_usd, "").usd)
    is_unpriced, is_estimated = bool(stats.unpriced), bool(stats.estimated_nano_usd)
    sign = sum_sign(is_estimated=is_estimated, is_unpriced=is_unpriced)
    return f"{sign}{spent}", "warn" if is_unpriced else "text"


def _probe(backend: BackendSnapshot) -> str:
    if backend.probed_at is None:
        return "not yet"
    return f"{duration(backend.probe_ms)} at {clock(backend.probed_at)}"


def _unusable(backend: UnusableBackend, columns: Layout) -> Line:
    cells: list[Cell] = [(" ", "text")]
    for column, width in columns:
        known = {
            "state": ("✗ unused", "bad"),
            "name": (visible(backend.name), "dim"),
            "type": (backend.type.value, "dim"),
            "zone": (backend.zone.value[0].upper(), "dim"),
            "note": (visible(backend.why), "bad"),
        }
        text, style = known.get(column.id, (NOTHING, "dim"))
        cells.append((column.cell(text, width), style))
    return tuple(cells)


class BackendPanel(LineWidget):
    """Backend panel of the dashboard: one row each, or two per line if narrow."""

    class Chosen(Message):
        """A backend was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, look: BackendView) -> None:
        super().__init__(id="panel")
        self.is_wide = True  # one line for each, with columns
        self._source = look.source
        self._look = look

    def lines(self, width: int, height: int) -> Sequence[Line]:
        backends = self._source.backends()
        unusable = self._source.config.unusable
        total = len(backends) + len(unusable)
        usable = sum(map(is_usable, backends))
        title = rule(width, "Backends", f"{usable} of {total} usable")
        if not self.is_wide:
            return [title, *_folded(self._pairs(width), height - 1)]
        columns = layout(_PANEL, width)
        rows = [_cells(backend, self._look, columns) for backend in backends]
        rows += [_unusable(backend, columns) for backend in unusable]
        return [title, ((heading(columns), "head"),), *_folded(rows, height - 2)]

    def on_click(self, event: events.Click) -> None:
        """Say whose row it was; nobody's is below the last one."""
        names = [backend.name for backend in self._source.backends()]
        is_right = event.x >= self.size.width // 2
        at = event.y - 2 if self.is_wide else 2 * (event.y - 1) + is_right
        if at in range(len(names)):
            self.post_message(self.Chosen(names[at]))

    def _pairs(self, width: int) -> list[Line]:
        half = width // 2
        short = [self._short(backend, half) for backend in self._source.backends()]
        return [
            tuple(cell for item in short[at : at + 2] for cell in item)
            for at in range(0, len(short), 2)
        ]

    def _short(self, backend: BackendSnapshot, width: int) -> Line:
        glyph, style = state_cell(backend)
        note = "" if style in ("good", "warn") and backend.is_on else glyph[2:]
        if style == "good" and (cooling := len(models_cooling(backend))):
            note, style = f"{cooling} cooling", "warn"
        limit = NOTHING if backend.max_concurrent is None else str(backend.max_concurrent)
        tier = "" if backend.tier is None else str(backend.tier)
        latency = duration(backend.latency_ms)
        return (
            (f" {glyph[0]} ", style),
            (fit(visible(backend.name), width - 24), "text" if is_usable(backend) else "dim"),
            (f" {backend.zone.value[0].upper()}{tier:<2}", "dim"),
            (f"{fit(f'{backend.in_flight}/{limit}', 6)} ", "text"),
            (fit(note or latency, 9), style if note else "text"),
            (" ", "text"),
        )


def _folded(rows: list[Line], room: int) -> list[Line]:
    """The rows that fit; the last line says how many do not."""
    if len(rows) <= room:
        return rows
    hidden = len(rows) - room + 1
    more: Line = (("   … ", "dim"), (f"{hidden} more lines, see ", "dim"), ("3", "key"))
    return [*rows[: room - 1], more]


# What the table can be sorted by; the first is the order of the configuration.
SORTS: dict[str, Callable[[BackendSnapshot], float | str]] = {
    "configuration": lambda _: 0,
    "name": lambda backend: backend.name,
    "load": lambda backend: -backend.in_flight,
    "priority": lambda backend: -backend.priority,
    "latency": lambda backend: -(backend.latency_ms or 0.0),
    "state": lambda backend: f"{is_usable(backend):d}{backend.health}",
}


class BackendTable(RowList):
    """Backend table; the cursor stays on its backend when the order changes."""

    def __init__(self, look: BackendView) -> None:
        super().__init__(id="backend-table")
        self._source = look.source
        self._look = look
        self._sort = "configuration"
        self._name = ""  # of the backend under the cursor

    @property
    def _rows(self) -> list[BackendSnapshot]:
        return sorted(self._source.backends(), key=SORTS[self._sort])

    @property
    def selected(self) -> BackendSnapshot | None:
        """The backend under the cursor; None on one that could not be used."""
        rows = self._rows
        return rows[self.cursor] if self.cursor < len(rows) else None

    def sort_by_next(self) -> str:
        """Sort by the next column; gives its name."""
        self.cursor_moved()
        names = list(SORTS)
        self._sort = names[(names.index(self._sort) + 1) % len(names)]
        self.locate()
        self.redraw()
        return self._sort

    def select(self, name: str) -> None:
        """Put the cursor on a backend."""
        self._name = name
        self.locate()

    def cursor_moved(self) -> None:
        self._name = self.selected.name if self.selected else ""

    def locate(self) -> None:
        names = [backend.name for backend in self._rows]
        if self._name in names:
            self.cursor = names.index(self._name)

    def lines(self, width: int, height: int) -> Sequence[Line]:
        self.locate()
        return super().lines(width, height)

    def row_count(self) -> int:
        return len(self._source.backends()) + len(self._source.config.unusable)

    def head(self, width: int) -> Sequence[Line]:
        usable = sum(map(is_usable, self._source.backends()))
        title = rule(
            width,
            "Backends",
            f"{usable} of {self.row_count()} usable",
            "on/off lasts until restart",
            *([] if self._sort == "configuration" else [f"sorted by {self._sort}"]),
        )
        return [title, ((heading(layout(_TABLE, width)), "head"),)]

    def row(self, index: int, width: int) -> Line:
        columns = layout(_TABLE, width)
        rows = self._rows
        if index >= len(rows):
            return _unusable(self._source.config.unusable[index - len(rows)], columns)
        return _cells(rows[index], self._look, columns)
