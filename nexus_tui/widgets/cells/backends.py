"""Columns of the backend lists, and the cells of a row: state, load, numbers, current notice."""

from __future__ import annotations

from collections.abc import Sequence

from nexus_core.config.schema import UnusableBackend
from nexus_core.fleet.registry import BackendSnapshot
from nexus_core.observe.operation_stats import BackendStats
from nexus_core.observe.stats import Stats
from nexus_core.types import BackendState, Cost, HealthStatus
from nexus_tui.text.costs import sum_sign
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import (
    NOTHING,
    clock,
    dollars,
    duration,
    fit,
    percent,
    short_count,
)
from nexus_tui.view.frame import BackendView, Frame
from nexus_tui.widgets.base.bars import gauge
from nexus_tui.widgets.base.columns import Column, Layout
from nexus_tui.widgets.base.lines import Cell, Line

PANEL = (
    Column("state", "state", 9, 0),
    Column("name", "name", 14, 1, grows=18),
    Column("type", "type", 9, 7),
    Column("zone", "zone", 4, 4),
    Column("tier", "tier", 4, 8),
    Column("load", "load", 10, 3),
    Column("p50", "first p50", 9, 5, right=True),
    Column("err", "err", 6, 9, right=True),
    Column("cost", "cost", 10, 6, right=True),
    Column("note", "note", 20, 2, grows=60),
)
TABLE = (
    Column("state", "state", 9, 0),
    Column("name", "name", 14, 1, grows=22),
    Column("type", "type", 9, 11),
    Column("zone", "zone", 4, 4, after=1),
    Column("tier", "tier", 4, 9, after=1, right=True),
    Column("priority", "prio", 4, 5, right=True),
    Column("load", "load", 10, 3),
    Column("models", "models", 6, 10, after=1, right=True),
    Column("p50", "first p50", 9, 6, after=1, right=True),
    Column("err", "err", 6, 7, after=1, right=True),
    Column("cost", "cost", 8, 8, right=True),
    Column("probe", "last probe", 18, 12),
    Column("fails", "fails", 5, 13, right=True),
    Column("since", "since", 5, 14),
    Column("note", "note", 28, 2, grows=60),
)

UNSAVED = "*"  # behind what differs from the file
_KEYS = {"state": "enabled", "tier": "tier", "priority": "priority"}  # of the file, by column

# Glyph and word.
STATE_CELLS: dict[BackendState, Cell] = {
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


def note_cell(backend: BackendView, frame: Frame) -> Cell:
    """Note on a backend; empty when all is well."""
    snapshot = backend.snapshot
    if backend.switching is not None:
        return f"switching {'on' if backend.switching else 'off'}…", "live"
    if not snapshot.is_on:
        return _off(snapshot, frame.now)
    if snapshot.health is HealthStatus.UNHEALTHY:
        return escaped(snapshot.detail or "does not answer"), "bad"
    if note := _cooldown_note(backend, frame.at):
        return escaped(note), "warn"
    # It is well, and lists no models: of importance where none are configured.
    return escaped(snapshot.detail or ""), "dim" if snapshot.models else "warn"


def _cooldown_note(backend: BackendView, at: float) -> str:
    """Why requests keep away from it, or from some of its models; empty when they do not."""
    whole = backend.snapshot.cooldown
    if whole is not None and (at < whole.until or whole.is_circuit_open):
        return whole.note(at)
    if not backend.cooling:
        return ""
    first, note = next(iter(backend.cooling.items()))
    more = f" +{len(backend.cooling) - 1}" if len(backend.cooling) > 1 else ""
    return f"{first}{more}: cooldown, {note}"


def _off(backend: BackendSnapshot, now: float) -> Cell:
    if backend.in_flight:
        waited = f", {now - backend.toggled_at:.0f} s" if backend.toggled_at is not None else ""
        return f"{backend.in_flight} left{waited}, then off", "warn"
    if not backend.zone_enabled:
        return "off (zone)", "dim"
    if backend.toggled_at is None:
        return "off in the configuration", "dim"
    return f"switched off at {clock(backend.toggled_at, seconds=False)}", "dim"


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


def _row(backend: BackendView, frame: Frame, columns: Layout) -> Line:
    cells: list[Cell] = [(" ", "text")]
    for column, width in columns:
        if column.id == "load":
            cells += [*_load(backend.snapshot), (" " * column.after, "text")]
            continue
        text, style = _cell(backend, frame, column.id)
        cell = column.cell(text, width)
        if backend.unsaved and _is_unsaved(backend, column.id):
            written = cell.rstrip()  # there is room for the mark: columns have a gap behind them
            cell = f"{written}{UNSAVED}{cell[len(written) + 1 :]}"
        cells.append((cell, style))
    return tuple(cells)


def _is_unsaved(backend: BackendView, column: str) -> bool:
    """Whether the file says something else here; the name is marked wherever it does."""
    return column == "name" or _KEYS.get(column) in backend.unsaved


def _cell(backend: BackendView, frame: Frame, column: str) -> Cell:
    snapshot, stats = backend.snapshot, backend.recent
    match column:
        case "state":
            return STATE_CELLS[backend.state]
        case "note":
            return note_cell(backend, frame)
        case "name":
            return escaped(snapshot.name), "text" if backend.is_usable else "dim"
        case "type":
            return snapshot.type.value, "dim"
        case "zone":
            return snapshot.zone.value[0].upper(), "text"
        case "tier":
            return (NOTHING if snapshot.tier is None else str(snapshot.tier)), "text"
        case "priority":
            return str(snapshot.priority), "text"
        case "p50":
            first_byte = stats.first_byte
            p50 = first_byte.percentile(0.5) if first_byte.count else None
            return (NOTHING if p50 is None else duration(p50)), "text"
        case "err":
            tried = stats.answers + stats.failures
            return percent(stats.failures, tried), "warn" if stats.failures else "text"
        case "cost":
            return spent_cell(stats)
        case "models":
            return str(len(snapshot.models)), "text"
        case "probe":
            return _probe(snapshot), "dim"
        case "fails":
            fails = snapshot.consecutive_failures
            return str(fails), "warn" if fails else "dim"
        case "since":
            return clock(snapshot.health_since, seconds=False), "dim"
        case _:
            raise AssertionError(column)


def failed_share(stats: BackendStats) -> float | None:
    """The part of its attempts that failed; None without any."""
    tried = stats.answers + stats.failures
    return stats.failures / tried if tried else None


def spent_cell(stats: BackendStats) -> Cell:
    """Spending at a backend; `≥` with unpriced requests."""
    if not stats.cost_nano_usd:
        return ("unpriced", "warn") if stats.unpriced else (NOTHING, "dim")
    spent = dollars(Cost(stats.cost_nano_usd, "").usd)
    is_unpriced, is_estimated = bool(stats.unpriced), bool(stats.estimated_nano_usd)
    sign = sum_sign(is_estimated=is_estimated, is_unpriced=is_unpriced)
    return f"{sign}{spent}", "warn" if is_unpriced else "text"


def tokens_of(numbers: Stats | BackendStats) -> str:
    """Tokens in and out, with a sign where Nexus counted some of them itself: `≈1.2k+340`."""
    own_prompt, own_completion = numbers.counted_prompt_tokens, numbers.counted_completion_tokens
    sign = "≈" if own_prompt or own_completion else ""
    prompt = short_count(numbers.prompt_tokens + own_prompt)
    return f"{sign}{prompt}+{short_count(numbers.completion_tokens + own_completion)}"


def _probe(backend: BackendSnapshot) -> str:
    if backend.probed_at is None:
        return "not yet"
    return f"{duration(backend.probe_ms)} at {clock(backend.probed_at)}"


def unusable_row(backend: UnusableBackend, columns: Layout) -> Line:
    """A backend of the configuration that could not be used, and why."""
    cells: list[Cell] = [(" ", "text")]
    for column, width in columns:
        known = {
            "state": ("✗ unused", "bad"),
            "name": (escaped(backend.name), "dim"),
            "type": (backend.type.value, "dim"),
            "zone": (backend.zone.value[0].upper(), "dim"),
            "note": (escaped(backend.why), "bad"),
        }
        text, style = known.get(column.id, (NOTHING, "dim"))
        cells.append((column.cell(text, width), style))
    return tuple(cells)


def unusable_short(backend: UnusableBackend, width: int) -> Line:
    """The same where two backends share a line: its note has the reason, on the tab of backends."""
    return (
        (" ✗ ", "bad"),
        (fit(escaped(backend.name), width - 24), "dim"),
        (f" {backend.zone.value[0].upper()}{'':<2}", "dim"),
        (f"{fit('', 6)} ", "dim"),
        (fit("unused", 9), "bad"),
        (" ", "text"),
    )


class BackendRows:
    """Backends as rows of one table: each is drawn anew only when something of it has changed."""

    def __init__(self) -> None:
        self._drawn: dict[str, tuple[BackendView, Layout, Line]] = {}

    def draw(self, backends: Sequence[BackendView], frame: Frame, columns: Layout) -> list[Line]:
        """One line for each of these backends of the frame."""
        if len(self._drawn) > 2 * len(frame.backends):
            self._drawn.clear()  # of many that have left
        lines: list[Line] = []
        for backend in backends:
            name = backend.snapshot.name
            drawn = self._drawn.get(name)
            if drawn is None or drawn[0] is not backend or drawn[1] is not columns:
                drawn = self._drawn[name] = (backend, columns, _row(backend, frame, columns))
            lines.append(drawn[2])
        return lines
