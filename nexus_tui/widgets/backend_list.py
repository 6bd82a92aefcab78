"""Backend list: the table of the Backends tab and the panel of the dashboard."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from nexus_core.config.schema import UnusableBackend
from nexus_tui.text.escape import escaped
from nexus_tui.text.numbers import NOTHING, duration, fit
from nexus_tui.view.filter.backends import BACKENDS
from nexus_tui.view.filter.filtered import OwnFilter
from nexus_tui.view.frame import BackendView, Frame, Frames
from nexus_tui.view.order import Sorting, Way
from nexus_tui.widgets.base.columns import Layout, heading, layout
from nexus_tui.widgets.base.filter_lines import filter_parts, filter_problem, nothing_matches
from nexus_tui.widgets.base.lines import Line, LineWidget, rule
from nexus_tui.widgets.base.rowlist import with_cursor
from nexus_tui.widgets.base.sortable import SortableList
from nexus_tui.widgets.cells.backends import (
    PANEL,
    STATE_CELLS,
    TABLE,
    BackendRows,
    failed_share,
    unusable_row,
    unusable_short,
)


class BackendPanel(LineWidget):
    """Backend panel of the dashboard: one row each, or two per line if narrow."""

    class Chosen(Message):
        """A backend was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, frames: Frames) -> None:
        super().__init__(id="panel")
        self.is_wide = True  # one line for each, with columns
        self.has_cursor = False  # it is the pane that the keys move in
        self._frames = frames
        self._rows = BackendRows()
        self._cursor = 0
        self._top = 0  # the first line of backends in sight

    def lines(self, width: int, height: int) -> Sequence[Line]:
        frame = self._frames.current
        usable = f"{len(frame.usable)} of {frame.total} usable"
        if not self.is_wide:
            title = rule(width, "Backends", usable, f"first byte p50 {frame.window.shown}")
            self.put_cursor(-1)  # two backends share a line
            chosen = self._cursor if self.has_cursor else -1
            return [title, *self._seen(_pairs(frame, width, chosen), height - 1, 2)]
        title = rule(width, "Backends", usable, frame.window.shown)
        columns = layout(PANEL, width)
        rows = self._rows.draw(frame.backends, frame, columns)
        rows += [unusable_row(backend, columns) for backend in frame.config.unusable]
        lines = [title, ((heading(columns), "head"),), *self._seen(rows, height - 2, 1)]
        self.put_cursor(2 + self._cursor - self._top if self.has_cursor else -1)
        return lines

    def _seen(self, rows: list[Line], room: int, in_line: int) -> list[Line]:
        """The lines that fit; those around the cursor while the keys move in here."""
        if not self.has_cursor:
            self._top = 0
            return _folded(rows, room)
        self._cursor = max(0, min(self._cursor, len(self._frames.current.backends) - 1))
        line = self._cursor // in_line
        self._top = max(min(self._top, line, max(0, len(rows) - room)), line - room + 1)
        return rows[self._top : self._top + room]

    def under_cursor(self, line: Line) -> Line:
        return with_cursor(line, reverses=self.look.reverses)

    @property
    def selected(self) -> str | None:
        """The backend under the cursor."""
        backends = self._frames.current.backends
        return backends[self._cursor].snapshot.name if self._cursor < len(backends) else None

    def move(self, rows: int) -> None:
        """Move the cursor; it is seen when the panel is drawn."""
        last = len(self._frames.current.backends) - 1
        self._cursor = max(0, min(self._cursor + rows, last))

    def page(self, pages: int) -> None:
        """Move by what is in sight."""
        self.move(pages * max(1, self.size.height - 2))

    def edge(self, direction: int) -> None:
        """Move to the first (-1) or the last (1) backend."""
        self.move(direction * len(self._frames.current.backends))

    def on_click(self, event: events.Click) -> None:
        """Say whose row it was; nobody's is below the last one."""
        names = [backend.snapshot.name for backend in self._frames.current.backends]
        is_right = event.x >= self.size.width // 2
        at = self._top + event.y - 2 if self.is_wide else 2 * (self._top + event.y - 1) + is_right
        if at in range(len(names)):
            self.post_message(self.Chosen(names[at]))


def _pairs(frame: Frame, width: int, chosen: int = -1) -> list[Line]:
    short = [
        _short(backend, width // 2, is_selected=index == chosen)
        for index, backend in enumerate(frame.backends)
    ]
    short += [unusable_short(backend, width // 2) for backend in frame.config.unusable]
    return [
        tuple(cell for item in short[at : at + 2] for cell in item)
        for at in range(0, len(short), 2)
    ]


def _short(backend: BackendView, width: int, *, is_selected: bool) -> Line:
    snapshot = backend.snapshot
    glyph, style = STATE_CELLS[backend.state]
    note = "" if style in ("good", "warn") and snapshot.is_on else glyph[2:]
    if style == "good" and backend.cooling:
        note, style = f"{len(backend.cooling)} cooling", "warn"
    name_style = "text" if backend.is_usable else "dim"
    limit = NOTHING if snapshot.max_concurrent is None else str(snapshot.max_concurrent)
    tier = "" if snapshot.tier is None else str(snapshot.tier)
    latency = duration(backend.recent.first_byte.percentile(0.5))
    return (
        (f" {glyph[0]} ", style),
        (fit(escaped(snapshot.name), width - 24), "tab" if is_selected else name_style),
        (f" {snapshot.zone.value[0].upper()}{tier:<2}", "dim"),
        (f"{fit(f'{snapshot.in_flight}/{limit}', 6)} ", "text"),
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


# How the table can be sorted; the first is the order of the configuration.
_AS_CONFIGURED = "configuration"
_WAYS: dict[str, Way[BackendView]] = {
    _AS_CONFIGURED: Way("c", None, is_text=True),
    "state": Way("s", lambda one: f"{one.is_usable:d} {one.state}", is_text=True),
    "name": Way("n", lambda one: one.snapshot.name, is_text=True),
    "type": Way("y", lambda one: one.snapshot.type, is_text=True),
    "zone": Way("z", lambda one: one.snapshot.zone, is_text=True),
    "tier": Way("t", lambda one: one.snapshot.tier),
    "priority": Way("p", lambda one: one.snapshot.priority),
    "load": Way("l", lambda one: one.snapshot.in_flight),
    "models": Way("m", lambda one: len(one.snapshot.models)),
    "p50": Way("5", lambda one: one.recent.first_byte.percentile(0.5)),
    "err": Way("e", lambda one: failed_share(one.recent)),
    "cost": Way("o", lambda one: one.recent.cost_nano_usd or None),
    "probe": Way("r", lambda one: one.snapshot.probed_at),
    "fails": Way("f", lambda one: one.snapshot.consecutive_failures),
    "since": Way("i", lambda one: one.snapshot.health_since),
}


class BackendTable(SortableList):
    """Backend table; the cursor stays on its backend when the order changes."""

    def __init__(self, frames: Frames) -> None:
        super().__init__(id="backend-table")
        self._frames = frames
        self._sorting = Sorting(_WAYS, usual=_AS_CONFIGURED)
        self._name = ""  # of the backend under the cursor
        self._sorted: Sequence[BackendView] = frames.current.backends
        self._sorted_from: object = None
        self._rows = BackendRows()
        self.typed = OwnFilter(
            "backends",
            "words  state:down  zone:open  model:llama3:70b  load:>0",
            BACKENDS,
            {"name": self._names, "model": self._models},
        )

    def _names(self) -> list[str]:
        frame = self._frames.current
        unusable = [backend.name for backend in frame.config.unusable]
        return [*(backend.snapshot.name for backend in frame.backends), *unusable]

    def _models(self) -> set[str]:
        return {model for one in self._frames.current.backends for model in one.snapshot.models}

    # --- order ---------------------------------------------------------------------------

    @property
    def sorting(self) -> Sorting[BackendView]:
        return self._sorting

    def columns(self, width: int) -> Layout:
        return layout(TABLE, width)

    @property
    def _in_order(self) -> Sequence[BackendView]:
        """The frame's backends that match, sorted once for each frame."""
        made_from = (self._frames.current, self._sorting.words, self.typed.current)
        if made_from != self._sorted_from:
            self._sorted_from, self._sorted = made_from, made_from[0].backends
            if not self._sorting.is_usual:
                self._sorted = self._sorting.top_first(self._sorted)
            self._sorted = self.typed.of(self._sorted)
        return self._sorted

    # --- the cursor ----------------------------------------------------------------------

    @property
    def selected(self) -> BackendView | None:
        """The backend under the cursor; None on one that could not be used."""
        rows = self._in_order
        return rows[self.cursor] if self.cursor < len(rows) else None

    def has(self, name: str) -> bool:
        """Whether a backend of that name is in the list, as it is filtered now."""
        return any(one.snapshot.name == name for one in self._in_order)

    @property
    def selected_name(self) -> str | None:
        """The name of the row under the cursor, whether the backend can be used or not."""
        if (selected := self.selected) is not None:
            return selected.snapshot.name
        at = self.cursor - len(self._in_order)
        unusable = self._unusable
        return unusable[at].name if 0 <= at < len(unusable) else None

    def select(self, name: str) -> None:
        """Put the cursor on a backend."""
        self._name = name
        self.locate()

    def cursor_moved(self) -> None:
        selected = self.selected
        self._name = selected.snapshot.name if selected else ""

    def locate(self) -> None:
        rows = self._in_order
        if self.cursor < len(rows) and rows[self.cursor].snapshot.name == self._name:
            return
        names = [backend.snapshot.name for backend in rows]
        if self._name in names:
            self.cursor = names.index(self._name)

    # --- drawing -------------------------------------------------------------------------

    def lines(self, width: int, height: int) -> Sequence[Line]:
        self.locate()
        return super().lines(width, height)

    def row_count(self) -> int:
        return len(self._in_order) + len(self._unusable)

    @property
    def _unusable(self) -> Sequence[UnusableBackend]:
        return self.typed.of(self._frames.current.config.unusable)

    def head(self, width: int) -> Sequence[Line]:
        frame = self._frames.current
        title = rule(
            width,
            "Backends",
            f"{len(frame.usable)} of {frame.total} usable",
            frame.window.shown,
            "on/off lasts until restart",
            *self.sorted_by(),
            *filter_parts(self.typed.current, self.row_count(), frame.total),
            warning=filter_problem(self.typed.current),
        )
        return [title, self.titles(width)]

    def empty(self, width: int) -> Sequence[Line]:
        return nothing_matches(self.typed.current)

    def rows(self, first: int, last: int, width: int) -> list[Line]:
        frame, columns = self._frames.current, self.columns(width)
        usable = len(self._in_order)
        lines = self._rows.draw(self._in_order[first:last], frame, columns)
        unusable = self._unusable[max(0, first - usable) : max(0, last - usable)]
        return lines + [unusable_row(backend, columns) for backend in unusable]
